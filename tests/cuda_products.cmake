set(product_kernels cuda/gemm.cu cuda/gemm_hopper.cu cuda/product_plain.cu cuda/product_tiled.cu
    cuda/weight.cu)
miku_kernel_test(conv2d KERNELS cuda/conv2d.cu cuda/gemm_window.cu ${product_kernels}
    SOURCES tests/cuda_layer.cpp)
miku_kernel_test(linear KERNELS cuda/linear.cu ${product_kernels} SOURCES tests/cuda_layer.cpp)
