# What is measured and how it is written down.
miku_test(test_statistics ROOMS base)
miku_test(test_measuring ROOMS app LIBS mikubench)
miku_test(test_ranges ROOMS LIBS mikubench)

# NVML, as no driver has it.
miku_test(test_machine ROOMS app LIBS mikubench)
foreach(kind "" _OLD _BROKEN)
    string(TOLOWER "fake_nvml${kind}" library)
    add_library(${library} MODULE ${CMAKE_CURRENT_SOURCE_DIR}/fake_nvml.c)
    target_link_libraries(${library} PRIVATE miku_options)
    target_compile_definitions(${library} PRIVATE FAKE_NVML${kind})
    add_dependencies(test_machine ${library})
    target_compile_definitions(test_machine PRIVATE FAKE_NVML${kind}="$<TARGET_FILE:${library}>")
endforeach()

foreach(script cli_results cli_measure cli_profile)
    add_test(NAME ${script}
        COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/cli/${script} $<TARGET_FILE:mikubench-cuda>)
    set_tests_properties(${script} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300
        ENVIRONMENT OMP_WAIT_POLICY=passive)
endforeach()

# The sanitizers' libraries want to be loaded before any other.
if(NOT MIKU_SANITIZE)
    add_library(jumping_clock MODULE ${CMAKE_CURRENT_SOURCE_DIR}/jumping_clock.c)
    add_test(NAME cli_clock
        COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/cli/cli_clock $<TARGET_FILE:mikubench-cuda>
            $<TARGET_FILE:jumping_clock>)
    set_tests_properties(cli_clock PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300
        ENVIRONMENT OMP_WAIT_POLICY=passive)
endif()

add_test(NAME cli_nvml
    COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/cli/cli_nvml $<TARGET_FILE:mikubench-cuda> $<TARGET_FILE:fake_nvml>)
set_tests_properties(cli_nvml PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300 ENVIRONMENT OMP_WAIT_POLICY=passive)
