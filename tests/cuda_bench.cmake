# The plan that follows from what the benchmark of variants measured.
miku_test(test_fastest ROOMS base SOURCES ${PROJECT_SOURCE_DIR}/bench/variants/fastest.c
    LIBS PkgConfig::CJSON)

# The benchmark of variants: that it works, not how fast, on emulated kernels.
if(NOT MIKU_EMULATED_KERNELS)
    return()
endif()
foreach(source bench_variants fastest variants_options)
    list(APPEND variants_sources ${PROJECT_SOURCE_DIR}/bench/variants/${source}.c)
endforeach()
add_executable(emulator_bench_variants ${variants_sources})
target_link_libraries(emulator_bench_variants PRIVATE bench_record miku_base miku_model
    emulated_cuda_fast PkgConfig::CJSON)
set_target_properties(emulator_bench_variants PROPERTIES LINKER_LANGUAGE CXX)
add_test(NAME emulator_bench_variants COMMAND emulator_bench_variants --op layer_norm --size 64x64
    --runs 2 --inner 1 --ceiling 64 --json bench_variants.json)
set_tests_properties(emulator_bench_variants PROPERTIES LABELS emulator TIMEOUT 300)

# tools/gpu-check, every step of it.
if(TARGET emulated_pipeline)
    add_test(NAME gpu_check_rehearsal
        COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/gpu-check/rehearse ${CMAKE_BINARY_DIR})
    set_tests_properties(gpu_check_rehearsal PROPERTIES LABELS emulator TIMEOUT 300
        ENVIRONMENT OMP_WAIT_POLICY=passive)
endif()
