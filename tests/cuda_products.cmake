miku_kernel_test(conv2d KERNELS cuda/conv2d.cu cuda/gemm.cu cuda/gemm_hopper.cu cuda/gemm_window.cu
    cuda/product_plain.cu cuda/weight.cu
    SOURCES tests/cuda_layer.cpp)
miku_kernel_test(linear KERNELS cuda/linear.cu cuda/gemm.cu cuda/gemm_hopper.cu cuda/product_plain.cu cuda/weight.cu
    SOURCES tests/cuda_layer.cpp)
