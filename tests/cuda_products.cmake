set(product_kernels cuda/gemm.cu cuda/gemm_hopper.cu cuda/group_norm_stats.cu cuda/product_plain.cu
    cuda/product_tiled.cu cuda/vendor.cu cuda/vendor_conv.cu cuda/vendor_finish.cu
    cuda/vendor_library.cu cuda/vendor_matmul.cu cuda/weight.cu)
miku_kernel_test(conv2d KERNELS cuda/conv2d.cu cuda/gemm_window.cu ${product_kernels}
    SOURCES tests/cuda_layer.cpp)
miku_kernel_test(linear KERNELS cuda/linear.cu ${product_kernels} SOURCES tests/cuda_layer.cpp)
if(MIKU_EMULATED_KERNELS) # their "vendor" rows, on stand-ins for the libraries
    foreach(op conv2d linear)
        foreach(kind fast checked)
            miku_sees_fakes(emulator_${op}_${kind})
        endforeach()
    endforeach()
endif()
