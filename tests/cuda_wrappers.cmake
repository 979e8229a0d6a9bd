miku_kernel_test(wrappers KERNELS tests/wrappers/warp.cu tests/wrappers/hopper.cu)
