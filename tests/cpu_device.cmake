# The CPU device itself; its operators are in ops.cmake. oneDNN is also held to AVX2, where
# convolutions run in another layout.
if(MIKU_CPU)
    miku_test(test_cpu_device ROOMS base cpu LABELS ops
        SOURCES check.c ref/ref_conv2d.c ref/ref_weight.c)
    add_test(NAME test_cpu_device_avx2 COMMAND test_cpu_device)
    set_tests_properties(test_cpu_device_avx2 PROPERTIES LABELS ops TIMEOUT 300
        ENVIRONMENT "DNNL_MAX_CPU_ISA=AVX2")
endif()
