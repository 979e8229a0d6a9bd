# Operators: every device against the definitions in tests/ref.
if(NOT MIKU_CPU)
    return()
endif()

set(wrapped malloc calloc realloc aligned_alloc) # counted by tests/device.c
list(TRANSFORM wrapped PREPEND "-Wl,--wrap=")

foreach(op conv2d linear weight group_norm layer_norm attention embed time_embed sampler_step noise
        scale to_rgb8 stats)
    list(APPEND definitions ${PROJECT_SOURCE_DIR}/tests/ref/ref_${op}.c)
endforeach()
add_library(op_tests OBJECT ${definitions} ${PROJECT_SOURCE_DIR}/tests/check.c
    ${PROJECT_SOURCE_DIR}/tests/device.c ${PROJECT_SOURCE_DIR}/tests/device_cpu.c)
target_link_libraries(op_tests PUBLIC miku_options PkgConfig::CMOCKA)
target_link_options(op_tests INTERFACE ${wrapped})

foreach(op conv2d linear weight norms attention sampler_step small spans)
    miku_test(test_op_${op} ROOMS base cpu LIBS op_tests LABELS ops)
endforeach()
