# Looks for nvcc, from the top, where a language has to be enabled.
#   MIKU_CUDA        auto: if nvcc is found; ON: must be; OFF
#   MIKU_CUDA_ARCHS  as CMAKE_CUDA_ARCHITECTURES: "80-real" is code, "80-virtual" PTX, "80" both
set(MIKU_CUDA_FOUND OFF)
if(MIKU_CUDA STREQUAL "OFF")
    return()
endif()

include(CheckLanguage)
if(NOT CMAKE_CUDA_COMPILER AND EXISTS /usr/local/cuda/bin/nvcc)
    set(CMAKE_CUDA_COMPILER /usr/local/cuda/bin/nvcc)
endif()
check_language(CUDA)
if(CMAKE_CUDA_COMPILER)
    set(MIKU_CUDA_FOUND ON)
    set(CMAKE_CUDA_ARCHITECTURES ${MIKU_CUDA_ARCHS})
    set(CMAKE_CUDA_STANDARD 17)
    set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
    enable_language(CUDA)
elseif(MIKU_CUDA STREQUAL "ON")
    message(FATAL_ERROR "MIKU_CUDA=ON, and there is no nvcc")
else()
    message(STATUS "CUDA: no nvcc, so no code for a GPU")
endif()
