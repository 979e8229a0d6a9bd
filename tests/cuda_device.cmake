# The whole CUDA device: on emulated kernels, as it is (fast) and with every access looked at
# (checked), and on a GPU where the kernels were built for one.
if(NOT MIKU_EMULATED AND NOT MIKU_CUDA_FOUND)
    return()
endif()

if(MIKU_EMULATED)
    foreach(kind fast checked)
        set(objects)
        miku_emulated(objects ${kind} ${MIKU_CUDA_SOURCES})
        target_compile_definitions(emulated_${kind}_absent PRIVATE ${MIKU_CUDA_HAVE})
        add_library(emulated_cuda_${kind} STATIC ${objects} ${MIKU_CUDA_PLANS})
        target_link_libraries(emulated_cuda_${kind} PUBLIC emulator emulator_options)
    endforeach()
endif()

set(device_test_sources check.c device.c device_cuda.c)
list(TRANSFORM device_test_sources PREPEND ${PROJECT_SOURCE_DIR}/tests/)

# miku_device_test(NAME [ORDERS] [SOURCES files...] [ROOMS rooms...] [TIMEOUT seconds])
# builds tests/test_NAME.c over the CUDA device and the definitions, and registers
#   emulator_NAME_forward, _reverse, _random   fast, in three orders; only the first without ORDERS
#   emulator_NAME_checked
#   device_NAME                                on a GPU; skipped where there is none
function(miku_device_test name)
    cmake_parse_arguments(TEST "ORDERS;NO_CHECKED" "TIMEOUT" "SOURCES;ROOMS" ${ARGN})
    list(TRANSFORM TEST_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/tests/)
    list(TRANSFORM TEST_ROOMS PREPEND miku_)
    set(sources ${PROJECT_SOURCE_DIR}/tests/test_${name}.c ${TEST_SOURCES} ${device_test_sources})
    if(NOT TEST_TIMEOUT)
        set(TEST_TIMEOUT 300)
    endif()
    set(kinds)
    if(MIKU_EMULATED)
        set(kinds fast checked)
    endif()
    foreach(kind ${kinds})
        set(target emulator_${name}_${kind})
        add_executable(${target} ${sources} ${definitions})
        target_compile_definitions(${target} PRIVATE TEST_ON_CUDA=1 TEST_ON_EMULATOR=1
            TEST_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
        target_link_options(${target} PRIVATE ${wrapped})
        target_link_libraries(${target} PRIVATE miku_options emulated_cuda_${kind} miku_base
            ${TEST_ROOMS} PkgConfig::CMOCKA)
        set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX)
    endforeach()
    if(MIKU_EMULATED)
        set(orders forward)
        if(TEST_ORDERS)
            set(orders forward reverse random)
        endif()
        foreach(order ${orders})
            add_test(NAME emulator_${name}_${order} COMMAND emulator_${name}_fast)
            set_tests_properties(emulator_${name}_${order} PROPERTIES LABELS emulator
                TIMEOUT ${TEST_TIMEOUT} SKIP_RETURN_CODE 77 ENVIRONMENT "EMU_ORDER=${order}")
        endforeach()
        if(NOT TEST_NO_CHECKED)
            add_test(NAME emulator_${name}_checked COMMAND emulator_${name}_checked)
            set_tests_properties(emulator_${name}_checked PROPERTIES LABELS emulator
                TIMEOUT ${TEST_TIMEOUT} SKIP_RETURN_CODE 77)
        endif()
    endif()
    if(MIKU_CUDA_FOUND)
        add_executable(device_${name} ${sources} ${definitions})
        target_compile_definitions(device_${name} PRIVATE TEST_ON_CUDA=1
            TEST_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
        target_link_options(device_${name} PRIVATE ${wrapped})
        target_link_libraries(device_${name} PRIVATE miku_options miku_cuda miku_base ${TEST_ROOMS}
            PkgConfig::CMOCKA)
        set_target_properties(device_${name} PROPERTIES LINKER_LANGUAGE CXX)
        add_test(NAME device_${name} COMMAND device_${name})
        set_tests_properties(device_${name} PROPERTIES LABELS gpu TIMEOUT ${TEST_TIMEOUT}
            SKIP_RETURN_CODE 77)
    endif()
endfunction()

set(wrapped malloc calloc realloc aligned_alloc) # counted by tests/device.c
list(TRANSFORM wrapped PREPEND "-Wl,--wrap=")
file(GLOB definitions CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/ref/ref_*.c)

miku_device_test(op_sampler_step ORDERS)
if(EXISTS ${PROJECT_SOURCE_DIR}/cuda/weight.cu)
    miku_device_test(op_small ORDERS)
    miku_device_test(op_weight ORDERS)
endif()
miku_device_test(op_norms)
miku_device_test(op_attention NO_CHECKED) # emulator_attention_checked checks the kernels
