set(app_image_sources
    ${PROJECT_SOURCE_DIR}/host/pipeline/caption.c
    ${PROJECT_SOURCE_DIR}/host/pipeline/compare.c
    ${PROJECT_SOURCE_DIR}/host/pipeline/file.c
    ${PROJECT_SOURCE_DIR}/host/pipeline/latin.c
    ${PROJECT_SOURCE_DIR}/host/pipeline/png_read.c
    ${PROJECT_SOURCE_DIR}/host/pipeline/png_write.c
    ${PROJECT_SOURCE_DIR}/host/pipeline/sheet.c)

miku_test(test_image ROOMS base SOURCES ${app_image_sources}
    LIBS PkgConfig::PNG PkgConfig::UTF8PROC PkgConfig::ZLIB)
set_source_files_properties(${PROJECT_SOURCE_DIR}/host/pipeline/file.c
    PROPERTIES COMPILE_DEFINITIONS _XOPEN_SOURCE=700) # realpath

# The program's own rooms, over the whole library.
foreach(name test_compare test_html test_options test_prompts)
    miku_test(${name} ROOMS app LIBS mikubench)
endforeach()
miku_test(test_out_folder ROOMS app LIBS mikubench LABELS threads)

# The program itself.
foreach(script cli_options cli_texts cli_pictures cli_places cli_signals cli_report how_fast peers)
    add_test(NAME ${script}
        COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/cli/${script} $<TARGET_FILE:mikubench-cuda>)
    set_tests_properties(${script} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300
        ENVIRONMENT OMP_WAIT_POLICY=passive)
endforeach()

# Pages in a browser: tools/check installs one, elsewhere the test says that there is none.
add_test(NAME report_browser
    COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/report/check $<TARGET_FILE:mikubench-cuda>)
set_tests_properties(report_browser PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300 LABELS slow
    ENVIRONMENT OMP_WAIT_POLICY=passive)

miku_fuzz(fuzz_document ROOMS app)
if(TARGET fuzz_document)
    target_link_libraries(fuzz_document PRIVATE mikubench)
endif()
miku_fuzz(fuzz_png ROOMS base SOURCES ${app_image_sources})
if(TARGET fuzz_png)
    target_link_libraries(fuzz_png PRIVATE PkgConfig::PNG PkgConfig::UTF8PROC PkgConfig::ZLIB)
endif()
