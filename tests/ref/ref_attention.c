/* tests/ref/ref_attention.c - the definition, in double: the whole row of scores, its largest,
 * its exponentials, their sum. */
#include <math.h>
#include <stdlib.h>

#include "tests/check.h" /* value(), test_alloc() */
#include "tests/ref/ref.h"

/* Row `row` of head `head` of the image that query image `img` reads. */
static size_t query_at(const struct attention_args *a, int img, int row, int head)
{
    return ((size_t)(img % a->n_q) * (size_t)a->s_q + (size_t)row) * a->q_stride +
           (size_t)head * (size_t)a->d;
}

static size_t key_at(const struct attention_args *a, int context, int img, int row, int head)
{
    const int part = img / (a->n / a->n_kv);
    return (size_t)context * a->kv_context_stride +
           ((size_t)part * (size_t)a->s_kv + (size_t)row) * a->kv_stride +
           (size_t)head * (size_t)a->d;
}

static int keys_seen(const struct attention_args *a, int context, int img, int row)
{
    const int part = img / (a->n / a->n_kv);
    int keys = a->s_kv;
    if (a->key_len)
        keys = a->key_len[(a->len_contexts > 0 ? context * a->n_kv : 0) + part];
    return a->causal && row + 1 < keys ? row + 1 : keys;
}

void ref_attention(const struct attention_args *a, int context, double *want)
{
    double *p = test_alloc((size_t)a->s_kv * sizeof *p);

    for (int img = 0; img < a->n; img++)
        for (int row = 0; row < a->s_q; row++)
            for (int head = 0; head < a->heads; head++) {
                const int keys = keys_seen(a, context, img, row);
                const size_t q = query_at(a, img, row, head);
                double largest = -INFINITY, sum = 0;
                for (int j = 0; j < keys; j++) {
                    const size_t k = key_at(a, context, img, j, head);
                    p[j] = 0;
                    for (size_t i = 0; i < (size_t)a->d; i++)
                        p[j] += value(a->q, a->dtype, q + i) * value(a->k, a->dtype, k + i);
                    p[j] *= a->scale;
                    largest = fmax(largest, p[j]);
                }
                for (int j = 0; j < keys; j++)
                    sum += p[j] = exp(p[j] - largest);
                for (size_t i = 0; i < (size_t)a->d; i++) {
                    double y = 0;
                    for (int j = 0; j < keys; j++)
                        y += p[j] / sum *
                             value(a->v, a->dtype, key_at(a, context, img, j, head) + i);
                    want[(((size_t)img * (size_t)a->s_q + (size_t)row) * (size_t)a->heads +
                          (size_t)head) *
                             (size_t)a->d +
                         i] = y;
                }
            }
}
