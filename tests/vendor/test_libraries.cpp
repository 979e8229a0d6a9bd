/* tests/vendor/test_libraries.cpp - NVIDIA's own cuBLASLt and cuDNN, where they are installed: they
 * are found by the names that the engine tries, are new enough, and have every function that it
 * calls. That needs no GPU. What they do without one is an error of one line. */
#include <stdio.h>
#include <string.h>

#include "cuda/vendor.cuh"

enum { SKIPPED = 77 };

int main(void)
{
    vendor_libraries libraries;
    const status result = vendor_libraries_open(NULL, &libraries);
    if (result == STATUS_NOT_FOUND) {
        fprintf(stderr, "skipped: %s\n", status_text());
        return SKIPPED;
    }
    if (result != STATUS_OK) {
        fprintf(stderr, "failed: %s\n", status_text());
        return 1;
    }
    printf("%s: all functions are there\n", libraries.versions);
    void *handle = NULL;
    const int code = libraries.lt.create(&handle);
    printf("cublasLtCreate: %s\n", libraries.lt.status_name(code));
    int failed =
        code != LT_SUCCESS && strncmp(libraries.lt.status_name(code), "CUBLAS_STATUS_", 14);
    if (code == LT_SUCCESS)
        failed |= libraries.lt.destroy(handle) != LT_SUCCESS;
    const int begun = libraries.dnn.create(&handle);
    printf("cudnnCreate: %s\n", libraries.dnn.status_text(begun));
    failed |=
        begun != DNN_SUCCESS && strncmp(libraries.dnn.status_text(begun), "CUDNN_STATUS_", 13);
    if (begun == DNN_SUCCESS)
        failed |= libraries.dnn.destroy(handle) != DNN_SUCCESS;
    vendor_libraries_close(&libraries);
    return failed != 0;
}
