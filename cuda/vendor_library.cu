/* cuda/vendor_library.cu - cuBLASLt and cuDNN, found and looked through at run time. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "cuda/vendor.cuh"

namespace
{

const char *const lt_names[] = { "libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so", NULL };
const char *const dnn_names[] = { "libcudnn.so.9", "libcudnn.so", NULL };

struct symbol {
    const char *name;
    size_t offset; /* of its pointer in the struct of calls */
};

#define LT(call, symbol)                                                                           \
    {                                                                                              \
        symbol, offsetof(lt_calls, call)                                                           \
    }
const symbol lt_symbols[] = {
    LT(version, "cublasLtGetVersion"),
    LT(status_name, "cublasLtGetStatusName"),
    LT(create, "cublasLtCreate"),
    LT(destroy, "cublasLtDestroy"),
    LT(desc_create, "cublasLtMatmulDescCreate"),
    LT(desc_destroy, "cublasLtMatmulDescDestroy"),
    LT(desc_set, "cublasLtMatmulDescSetAttribute"),
    LT(layout_create, "cublasLtMatrixLayoutCreate"),
    LT(layout_destroy, "cublasLtMatrixLayoutDestroy"),
    LT(layout_set, "cublasLtMatrixLayoutSetAttribute"),
    LT(pref_create, "cublasLtMatmulPreferenceCreate"),
    LT(pref_destroy, "cublasLtMatmulPreferenceDestroy"),
    LT(pref_set, "cublasLtMatmulPreferenceSetAttribute"),
    LT(heuristic, "cublasLtMatmulAlgoGetHeuristic"),
    LT(matmul, "cublasLtMatmul"),
};

#define DNN(call, symbol)                                                                          \
    {                                                                                              \
        symbol, offsetof(dnn_calls, call)                                                          \
    }
const symbol dnn_symbols[] = {
    DNN(version, "cudnnGetVersion"),
    DNN(status_text, "cudnnGetErrorString"),
    DNN(create, "cudnnCreate"),
    DNN(destroy, "cudnnDestroy"),
    DNN(set_stream, "cudnnSetStream"),
    DNN(tensor_create, "cudnnCreateTensorDescriptor"),
    DNN(tensor_destroy, "cudnnDestroyTensorDescriptor"),
    DNN(tensor_set, "cudnnSetTensor4dDescriptor"),
    DNN(filter_create, "cudnnCreateFilterDescriptor"),
    DNN(filter_destroy, "cudnnDestroyFilterDescriptor"),
    DNN(filter_set, "cudnnSetFilter4dDescriptor"),
    DNN(conv_create, "cudnnCreateConvolutionDescriptor"),
    DNN(conv_destroy, "cudnnDestroyConvolutionDescriptor"),
    DNN(conv_set, "cudnnSetConvolution2dDescriptor"),
    DNN(conv_set_math, "cudnnSetConvolutionMathType"),
    DNN(conv_output, "cudnnGetConvolution2dForwardOutputDim"),
    DNN(activation_create, "cudnnCreateActivationDescriptor"),
    DNN(activation_destroy, "cudnnDestroyActivationDescriptor"),
    DNN(activation_set, "cudnnSetActivationDescriptor"),
    DNN(algorithms, "cudnnGetConvolutionForwardAlgorithm_v7"),
    DNN(forward, "cudnnConvolutionForward"),
    DNN(forward_bias, "cudnnConvolutionBiasActivationForward"),
};

struct library { /* how one of the two is opened */
    const char *title;
    const symbol *symbols;
    size_t count;
    int oldest; /* major version that is known */
};

/* Versions are MAJOR * 10000 + MINOR * 100 + PATCH from these two on; before, a thousand's digits
 * stood for the major version, which reads as 0 or 1 here. */
const library lt_library = { "cuBLASLt", lt_symbols, sizeof lt_symbols / sizeof lt_symbols[0], 12 };
const library dnn_library = { "cuDNN", dnn_symbols, sizeof dnn_symbols / sizeof dnn_symbols[0], 9 };

status not_found(const library &l, const char *const *names)
{
    char tried[400] = "";
    for (int i = 0; names[i]; i++) {
        const size_t at = strlen(tried);
        snprintf(tried + at, sizeof tried - at, "%s%s", i ? ", " : "", names[i]);
    }
    return status_fail(STATUS_NOT_FOUND,
                       "engine vendor: %s is not to be had here (tried %s, where LD_LIBRARY_PATH "
                       "and the system look); --engine own, the default, needs no library",
                       l.title, tried);
}

status open_one(const library &l, const char *const *names, void **file, void *calls, int *version)
{
    for (int i = 0; names[i] && !*file; i++) /* never unloaded: they have threads of their own */
        *file = dlopen(names[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!*file)
        return not_found(l, names);
    for (size_t i = 0; i < l.count; i++) {
        void *const found = dlsym(*file, l.symbols[i].name);
        memcpy((char *)calls + l.symbols[i].offset, &found, sizeof found);
        if (i > 0)
            continue;
        *version = found ? (int)((size_t(*)(void))found)() : 0;
        if (*version / 10000 < l.oldest)
            return status_fail(STATUS_UNSUPPORTED,
                               "engine vendor: this %s is of version %d; %d.0 or newer is needed, "
                               "or --engine own",
                               l.title, *version, l.oldest);
    }
    for (size_t i = 0; i < l.count; i++) {
        void *found;
        memcpy(&found, (const char *)calls + l.symbols[i].offset, sizeof found);
        if (!found)
            return status_fail(STATUS_UNSUPPORTED,
                               "engine vendor: this %s %d.%d has no %s; use another, or --engine "
                               "own",
                               l.title, *version / 10000, *version / 100 % 100, l.symbols[i].name);
    }
    return STATUS_OK;
}

} // namespace

status vendor_libraries_open(const vendor_names *names, vendor_libraries *out)
{
    static const vendor_names usual = { lt_names, dnn_names };
    int lt = 0, dnn = 0;
    memset(out, 0, sizeof *out);
    if (!names)
        names = &usual;
    status result = open_one(lt_library, names->lt, &out->lt_file, &out->lt, &lt);
    if (result == STATUS_OK)
        result = open_one(dnn_library, names->dnn, &out->dnn_file, &out->dnn, &dnn);
    if (result != STATUS_OK) {
        vendor_libraries_close(out);
        return result;
    }
    snprintf(out->versions, sizeof out->versions, "cuBLASLt %d.%d.%d, cuDNN %d.%d.%d", lt / 10000,
             lt / 100 % 100, lt % 100, dnn / 10000, dnn / 100 % 100, dnn % 100);
    return STATUS_OK;
}

void vendor_libraries_close(vendor_libraries *libraries)
{
    if (libraries->lt_file)
        (void)dlclose(libraries->lt_file);
    if (libraries->dnn_file)
        (void)dlclose(libraries->dnn_file);
    memset(libraries, 0, sizeof *libraries);
}
