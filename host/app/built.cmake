# host/app/built.cmake - run at every build: writes OUT, a header with the commit of SOURCE and whether
# its tree differs from it, and leaves the file alone where nothing changed.
set(commit "")
set(dirty 0)
find_program(GIT git)
if(GIT)
    execute_process(COMMAND ${GIT} -C ${SOURCE} rev-parse --show-toplevel
        OUTPUT_VARIABLE top OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    if(top STREQUAL SOURCE) # not a repository around an unpacked copy
        execute_process(COMMAND ${GIT} -C ${SOURCE} rev-parse HEAD
            OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
        execute_process(COMMAND ${GIT} -C ${SOURCE} status --porcelain --untracked-files=no
            OUTPUT_VARIABLE changes ERROR_QUIET)
        if(changes)
            set(dirty 1)
        endif()
    endif()
endif()
set(text "/* Written by host/app/built.cmake. */
#define BUILT_COMMIT \"${commit}\"
#define BUILT_DIRTY ${dirty}
")
set(old "")
if(EXISTS ${OUT})
    file(READ ${OUT} old)
endif()
if(NOT text STREQUAL old)
    file(WRITE ${OUT} "${text}")
endif()
