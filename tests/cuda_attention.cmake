miku_kernel_test(attention KERNELS cuda/attention.cu)
