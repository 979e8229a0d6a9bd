# The library as its clients see it, on the embedded weights.
miku_test(test_library ROOMS LIBS mikubench Threads::Threads LABELS threads)
miku_test(test_cases ROOMS LIBS mikubench)
if(MIKU_CUDA_FOUND)
    add_test(NAME device_cases COMMAND test_cases WORKING_DIRECTORY ${CMAKE_BINARY_DIR})
    set_tests_properties(device_cases PROPERTIES LABELS gpu SKIP_RETURN_CODE 77 TIMEOUT 300
        ENVIRONMENT MIKU_TEST_DEVICE=cuda)
endif()
miku_test(test_requests ROOMS LIBS mikubench SOURCES seeded.c weights_fixture.c)
