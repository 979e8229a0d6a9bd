/* cuda_runtime.h - stand-in for NVIDIA's header where kernels are compiled by the host compiler. */
#ifndef EMULATOR_CUDA_RUNTIME_H
#define EMULATOR_CUDA_RUNTIME_H

#include "tests/emulator/language.h"
#include "tests/emulator/threads.h"
#include "tests/emulator/intrinsics.h"
#include "tests/emulator/instructions.h"
#include "tests/emulator/runtime.h"

#endif
