# The benchmark of variants: that it works, not how fast, on emulated kernels.
if(NOT MIKU_EMULATED)
    return()
endif()
add_executable(emulator_bench_variants ${PROJECT_SOURCE_DIR}/bench/variants/bench_variants.c)
target_link_libraries(emulator_bench_variants PRIVATE bench_record miku_base miku_model
    emulated_cuda_fast PkgConfig::CJSON)
set_target_properties(emulator_bench_variants PROPERTIES LINKER_LANGUAGE CXX)
add_test(NAME emulator_bench_variants COMMAND emulator_bench_variants --op layer_norm --size 64x64
    --runs 2 --inner 1 --ceiling 64 --json bench_variants.json)
set_tests_properties(emulator_bench_variants PROPERTIES LABELS emulator TIMEOUT 300)
