# The CPU device itself; its operators are in ops.cmake.
if(MIKU_CPU)
    miku_test(test_cpu_device ROOMS base cpu LABELS ops
        SOURCES check.c ref/ref_conv2d.c ref/ref_weight.c)
endif()
