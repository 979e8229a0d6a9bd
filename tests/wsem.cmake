# What weights files mean: checkpoints, inversions, LoRAs, folders, hashes, the catalog.
set(fixture ${PROJECT_SOURCE_DIR}/tests/weights_fixture.c)
miku_test(test_checkpoint ROOMS base weights model SOURCES ${fixture})
miku_test(test_lora ROOMS base weights model SOURCES ${fixture})
miku_test(test_store ROOMS base weights SOURCES ${fixture} LIBS Threads::Threads LABELS threads)
miku_fuzz(fuzz_weights ROOMS base weights)

find_program(BASH_PROGRAM bash REQUIRED)
add_test(NAME test_fetch COMMAND ${BASH_PROGRAM} ${CMAKE_CURRENT_SOURCE_DIR}/test_fetch.sh
    ${PROJECT_SOURCE_DIR}/tools/fetch)
set_tests_properties(test_fetch PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 120)
