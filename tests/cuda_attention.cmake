miku_kernel_test(attention KERNELS cuda/attention.cu cuda/attention_mma.cu cuda/attention_short.cu
    cuda/attention_wide.cu cuda/attention_hopper.cu)
