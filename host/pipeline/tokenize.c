/* host/pipeline/tokenize.c - token ids for whoever asks, without a model. */
#include <pthread.h>

#include "host/mikubench.h"
#include "host/prompt/tokenizer.h"

/* The tables cost milliseconds to build and never change: one copy a process, kept to its end. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct tokenizer *shared;

static void build(void) { (void)tokenizer_create(&shared); }

status miku_tokenize(const char *text, size_t bytes, int32_t **ids, size_t *count)
{
    *ids = NULL;
    *count = 0;
    pthread_once(&once, build);
    if (shared == NULL)
        return status_fail(STATUS_NO_MEMORY, "tokenizer: no memory for its tables");
    return tokenizer_encode(shared, text, bytes, ids, count);
}
