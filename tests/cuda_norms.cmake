miku_kernel_test(norms KERNELS cuda/group_norm.cu cuda/group_norm_stats.cu cuda/layer_norm.cu)
