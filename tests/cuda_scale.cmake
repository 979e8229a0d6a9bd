miku_kernel_test(scale KERNELS cuda/scale.cu)
