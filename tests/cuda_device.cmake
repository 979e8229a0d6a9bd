# The whole CUDA device: on emulated kernels, as it is (fast) and with every access looked at
# (checked), and on a GPU where the kernels were built for one.
if(NOT MIKU_EMULATED AND NOT MIKU_CUDA_FOUND)
    return()
endif()

set(emulated_kinds fast)
if(MIKU_EMULATED_KERNELS)
    list(APPEND emulated_kinds checked)
endif()
if(MIKU_EMULATED)
    foreach(kind ${emulated_kinds})
        set(objects)
        miku_emulated(objects ${kind} ${MIKU_CUDA_SOURCES})
        add_library(emulated_cuda_${kind} STATIC ${objects} ${MIKU_CUDA_PLANS})
        target_link_libraries(emulated_cuda_${kind} PUBLIC emulator emulator_options)
    endforeach()
endif()

set(device_test_sources check.c device.c device_cuda.c)
list(TRANSFORM device_test_sources PREPEND ${PROJECT_SOURCE_DIR}/tests/)

# miku_device_test(NAME [ORDERS] [NO_CHECKED] [SOURCES files...] [ROOMS rooms...] [TIMEOUT seconds])
# builds tests/test_NAME.c over the CUDA device and the definitions, and registers
#   emulator_NAME_forward, _reverse, _random   fast, in three orders; only the last without ORDERS
#   emulator_NAME_checked                      unless NO_CHECKED
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
        set(kinds ${emulated_kinds})
    endif()
    if(TEST_NO_CHECKED)
        list(REMOVE_ITEM kinds checked)
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
        set(orders random)
        if(MIKU_EMULATED_KERNELS AND TEST_ORDERS)
            set(orders forward reverse random)
        endif()
        foreach(order ${orders})
            add_test(NAME emulator_${name}_${order} COMMAND emulator_${name}_fast)
            set_tests_properties(emulator_${name}_${order} PROPERTIES LABELS emulator
                TIMEOUT ${TEST_TIMEOUT} SKIP_RETURN_CODE 77 ENVIRONMENT "EMU_ORDER=${order}")
        endforeach()
        if(MIKU_EMULATED_KERNELS AND NOT TEST_NO_CHECKED)
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
        set_property(GLOBAL APPEND PROPERTY MIKU_GPU_TESTS device_${name})
        add_test(NAME device_${name} COMMAND device_${name})
        set_tests_properties(device_${name} PROPERTIES LABELS gpu TIMEOUT ${TEST_TIMEOUT}
            SKIP_RETURN_CODE 77)
    endif()
endfunction()

set(wrapped malloc calloc realloc aligned_alloc) # counted by tests/device.c
list(TRANSFORM wrapped PREPEND "-Wl,--wrap=")
file(GLOB definitions CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/ref/ref_*.c)

miku_device_test(cuda_device)
foreach(op small sampler_step weight)
    miku_device_test(op_${op} ORDERS)
endforeach()
# Their kernels have tests of their own with more shapes, in all orders and checked.
if(NOT MIKU_SANITIZE)
    foreach(op conv2d linear norms attention)
        miku_device_test(op_${op} NO_CHECKED)
    endforeach()
endif()

# Whole pictures: the library with the emulated device in it, its pipeline compiled to know of one.
if(MIKU_EMULATED AND TARGET miku_cpu)
    get_target_property(pipeline_sources miku_pipeline SOURCES)
    get_target_property(pipeline_dir miku_pipeline SOURCE_DIR)
    list(TRANSFORM pipeline_sources PREPEND ${pipeline_dir}/)
    add_library(emulated_pipeline OBJECT ${pipeline_sources})
    set_source_files_properties(${pipeline_dir}/file.c TARGET_DIRECTORY emulated_pipeline
        PROPERTIES COMPILE_DEFINITIONS _XOPEN_SOURCE=700) # realpath
    target_compile_definitions(emulated_pipeline PRIVATE MIKU_CPU=1 MIKU_CUDA=1
        MIKU_CUDA_BUILD="emulated" MIKU_VERSION="${PROJECT_VERSION}"
        MIKU_COMPILER="${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION}")
    target_link_libraries(emulated_pipeline PUBLIC miku_options PkgConfig::CJSON PkgConfig::CRYPTO
        PkgConfig::PNG PkgConfig::UTF8PROC PkgConfig::ZLIB Threads::Threads)
    get_property(emulated_rooms GLOBAL PROPERTY MIKU_ROOMS)
    list(REMOVE_ITEM emulated_rooms miku_pipeline miku_cuda)
endif()

# miku_emulated_program(NAME SOURCES files...) builds a test over the whole library on emulated CUDA.
function(miku_emulated_program name)
    add_executable(${name} ${ARGN})
    target_compile_definitions(${name} PRIVATE TEST_ON_EMULATOR=1
        TEST_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    target_link_libraries(${name} PRIVATE miku_options emulated_pipeline ${emulated_rooms}
        emulated_cuda_fast PkgConfig::CMOCKA)
    set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
endfunction()

if(TARGET emulated_pipeline AND MIKU_EMULATED_KERNELS)
    miku_emulated_program(emulator_pipeline ${PROJECT_SOURCE_DIR}/tests/test_cuda_pipeline.c
        ${PROJECT_SOURCE_DIR}/tests/weights_fixture.c)
    add_test(NAME emulator_pipeline COMMAND emulator_pipeline)
    set_tests_properties(emulator_pipeline PROPERTIES LABELS emulator TIMEOUT 900)
endif()

# The program too.
if(TARGET emulated_pipeline)
    miku_emulated_program(emulated_mikubench ${PROJECT_SOURCE_DIR}/host/app/main.c)
    target_link_libraries(emulated_mikubench PRIVATE miku_app)
    if(MIKU_EMULATED_KERNELS)
        add_test(NAME emulator_cli
            COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/cli/cli_cuda $<TARGET_FILE:emulated_mikubench>)
        set(program_test emulator_cli)
    else() # a sanitizer looks at one picture
        add_test(NAME emulator_picture COMMAND emulated_mikubench --case 4 --steps 1 --size 64x64
            --device cuda --out emulator_picture)
        set(program_test emulator_picture)
    endif()
    set_tests_properties(${program_test} PROPERTIES LABELS emulator TIMEOUT 300
        ENVIRONMENT OMP_WAIT_POLICY=passive)
endif()

if(MIKU_CUDA_FOUND AND TARGET miku_cpu)
    add_executable(device_pipeline ${PROJECT_SOURCE_DIR}/tests/test_cuda_pipeline.c
        ${PROJECT_SOURCE_DIR}/tests/weights_fixture.c)
    target_compile_definitions(device_pipeline PRIVATE TEST_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    target_link_libraries(device_pipeline PRIVATE miku_options mikubench PkgConfig::CMOCKA)
    set_target_properties(device_pipeline PROPERTIES LINKER_LANGUAGE CXX)
    set_property(GLOBAL APPEND PROPERTY MIKU_GPU_TESTS device_pipeline)
    add_test(NAME device_pipeline COMMAND device_pipeline)
    set_tests_properties(device_pipeline PROPERTIES LABELS gpu TIMEOUT 600 SKIP_RETURN_CODE 77)
endif()

# Faults: the host's memory is counted here too, what is freed included.
if(MIKU_EMULATED)
    add_executable(emulator_faults ${PROJECT_SOURCE_DIR}/tests/test_cuda_faults.c)
    target_link_options(emulator_faults PRIVATE -Wl,--wrap=malloc -Wl,--wrap=calloc
        -Wl,--wrap=realloc -Wl,--wrap=posix_memalign -Wl,--wrap=free)
    target_link_libraries(emulator_faults PRIVATE miku_options emulated_cuda_fast miku_base
        PkgConfig::CMOCKA)
    set_target_properties(emulator_faults PROPERTIES LINKER_LANGUAGE CXX)
    add_test(NAME emulator_faults COMMAND emulator_faults)
    set_tests_properties(emulator_faults PROPERTIES LABELS emulator TIMEOUT 300)
    if(MIKU_SANITIZE) # it counts by itself what is left; what a refused call was to give back stays
        set_tests_properties(emulator_faults PROPERTIES ENVIRONMENT ASAN_OPTIONS=detect_leaks=0)
    endif()
endif()
