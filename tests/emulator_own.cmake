# The emulator's own tests.
if(NOT MIKU_EMULATED_KERNELS)
    return()
endif()

foreach(kind fast checked)
    set(objects)
    miku_emulated(objects ${kind} tests/emulator/misuse_sm80.cu tests/emulator/misuse_hopper.cu)
    add_executable(emulator_misuse_${kind} test_emulator_misuse.cpp ${objects})
    target_link_libraries(emulator_misuse_${kind} PRIVATE emulator miku_base)
    add_test(NAME emulator_misuse_${kind} COMMAND emulator_misuse_${kind})
    set_tests_properties(emulator_misuse_${kind} PROPERTIES LABELS emulator TIMEOUT 300)

    # host code and kernels in one file, so that both are compiled as kernels are
    set(objects)
    miku_emulated(objects ${kind} tests/test_emulator_runtime.cpp)
    add_executable(emulator_runtime_${kind} ${objects})
    set_target_properties(emulator_runtime_${kind} PROPERTIES LINKER_LANGUAGE CXX)
    target_link_libraries(emulator_runtime_${kind} PRIVATE emulator miku_base)
    add_test(NAME emulator_runtime_${kind} COMMAND emulator_runtime_${kind})
    set_tests_properties(emulator_runtime_${kind} PROPERTIES LABELS emulator TIMEOUT 300)
endforeach()

# Kernels broken on purpose, and who notices: about 7 s of processor time a mutant.
find_package(Python3 COMPONENTS Interpreter QUIET)
if(Python3_FOUND)
    add_test(NAME mutations
        COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/mutate.py --build ${CMAKE_BINARY_DIR})
    set_tests_properties(mutations PROPERTIES LABELS slow TIMEOUT 1800 RUN_SERIAL ON)
endif()
