if(MIKU_CUDA_FOUND)
    add_subdirectory(wrappers)
endif()
miku_kernel_test(wrappers KERNELS tests/wrappers/warp.cu tests/wrappers/hopper.cu
    DEVICE_KERNELS device_wrapper_kernels)

# What a GPU gave, the emulator has to give. tools/gpu-check makes the record.
if(MIKU_EMULATED_KERNELS)
    add_test(NAME emulator_wrappers_record COMMAND emulator_wrappers_fast
        --held-to ${PROJECT_SOURCE_DIR}/tests/vectors/device/wrappers.txt)
    set_tests_properties(emulator_wrappers_record PROPERTIES LABELS emulator SKIP_RETURN_CODE 77)
endif()
