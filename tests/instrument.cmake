# What is measured and how it is written down.
miku_test(test_statistics ROOMS base)

foreach(script cli_results)
    add_test(NAME ${script}
        COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/cli/${script} $<TARGET_FILE:mikubench-cuda>)
    set_tests_properties(${script} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300
        ENVIRONMENT OMP_WAIT_POLICY=passive)
endforeach()
