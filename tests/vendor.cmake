# The vendor engine: on stand-ins for its libraries, and held to NVIDIA's own where they are.
if(NOT MIKU_EMULATED_KERNELS)
    return()
endif()

add_executable(emulator_vendor vendor/test_vendor.cpp check.c)
target_link_libraries(emulator_vendor PRIVATE emulator_options emulated_cuda_fast miku_base)
miku_sees_fakes(emulator_vendor)
add_dependencies(emulator_vendor fake_cublaslt_lacks fake_cudnn_lacks)
add_test(NAME emulator_vendor COMMAND emulator_vendor)
set_tests_properties(emulator_vendor PROPERTIES LABELS emulator TIMEOUT 300)

# NVIDIA's libraries as they are installed here: no GPU is needed to look them through.
set(library_objects)
miku_emulated(library_objects fast cuda/vendor_library.cu)
add_executable(vendor_libraries vendor/test_libraries.cpp ${library_objects})
target_link_libraries(vendor_libraries PRIVATE emulator_options miku_base)
add_test(NAME vendor_libraries COMMAND vendor_libraries)
set_tests_properties(vendor_libraries PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)

# Their headers.
find_path(MIKU_CUBLASLT_INCLUDE cublasLt.h HINTS /usr/local/cuda/include)
find_path(MIKU_CUDNN_INCLUDE cudnn.h HINTS /usr/local/cuda/include)
if(MIKU_CUBLASLT_INCLUDE AND MIKU_CUDNN_INCLUDE)
    add_executable(vendor_abi vendor/abi.cpp)
    target_include_directories(vendor_abi SYSTEM PRIVATE ${MIKU_CUBLASLT_INCLUDE}
        ${MIKU_CUDNN_INCLUDE})
    target_compile_options(vendor_abi PRIVATE -Wno-deprecated-declarations)
    target_link_libraries(vendor_abi PRIVATE miku_options)
    add_test(NAME vendor_abi COMMAND vendor_abi)
else()
    message(STATUS "vendor_abi: left out, cublasLt.h and cudnn.h are not both here")
endif()

# The benchmark's column: that it is there, and that it is said where it is not.
add_test(NAME emulator_bench_vendor
    COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/vendor/bench $<TARGET_FILE:emulator_bench_variants>)
set_tests_properties(emulator_bench_vendor PROPERTIES LABELS emulator TIMEOUT 300)
miku_sees_fakes(emulator_bench_variants)
miku_finds_fakes(emulator_bench_vendor)

if(TARGET emulator_pipeline)
    miku_sees_fakes(emulator_pipeline)
    miku_finds_fakes(emulator_pipeline)
    miku_sees_fakes(emulated_mikubench)
    set_property(TEST emulator_cli APPEND PROPERTY ENVIRONMENT "FAKE_VENDOR=${MIKU_FAKE_VENDOR}")
endif()
