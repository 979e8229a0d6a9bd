/* cuda/attention_mma.cu - the flash-attention kernels for any number of keys: which tiling for
 * which head width, and when few blocks ask for smaller ones.
 *
 * Tilings    d     queries   keys  stages  shared memory
 *            40    128, 64     64       3          30 KB
 *            80     64, 32     64       2          44 KB
 *            160    64, 32     32       2          42 KB
 *            64         64     64       2          36 KB
 *            8          64     64       2           4 KB
 *            filled up to 16, 32, 64, 128: 64 queries, 32 keys
 *            Fewer queries a block where the larger tile leaves multiprocessors idle (384 or 96
 *            tokens); the order of sums depends on the number of keys a tile alone.
 */
#include "cuda/attention_mma.cuh"

/* Blocks of so many queries. */
static int blocks(const attention_args *a, int queries)
{
    return (a->s_q + queries - 1) / queries * a->heads * a->n;
}

static int is_16_bits(const attention_args *a)
{
    return a->dtype == DTYPE_F16 || a->dtype == DTYPE_BF16;
}

int attention_rows_aligned(const attention_args *a)
{
    const size_t bases = (size_t)a->q | (size_t)a->k | (size_t)a->v | (size_t)a->y;
    return is_16_bits(a) && a->d % 8 == 0 && bases % 16 == 0 && a->q_stride % 8 == 0 &&
           a->kv_stride % 8 == 0 && a->kv_context_stride % 8 == 0;
}

/* ---- whole widths --------------------------------------------------------------------------- */

int attention_mma_takes(const attention_args *a)
{
    return attention_rows_aligned(a) &&
           (a->d == 8 || a->d == 40 || a->d == 64 || a->d == 80 || a->d == 160);
}

template <class T, attention_power POWER>
static status launch_40(const attention_args *a, const cuda_call *call)
{
    if (POWER != POWER_UNIT || blocks(a, 128) >= call->sm_count)
        return attention_launch<T, attention_tiling<40, 64, 4, 2, 3, 1, POWER>>("attention mma 40",
                                                                                a, call);
    return attention_launch<T, attention_tiling<40, 64, 4, 1, 3>>("attention mma 40", a, call);
}

template <class T> static status launch_mma(const attention_args *a, const cuda_call *call)
{
    switch (a->d) {
    case 8:
        return attention_launch<T, attention_tiling<8, 64, 4, 1, 2>>("attention mma 8", a, call);
    case 40:
        return launch_40<T, POWER_UNIT>(a, call);
    case 64:
        return attention_launch<T, attention_tiling<64, 64, 4, 1, 2>>("attention mma 64", a, call);
    case 80:
        if (blocks(a, 64) >= call->sm_count)
            return attention_launch<T, attention_tiling<80, 64, 4, 1, 2>>("attention mma 80", a,
                                                                          call);
        return attention_launch<T, attention_tiling<80, 64, 2, 1, 2>>("attention mma 80", a, call);
    default:
        if (blocks(a, 64) >= call->sm_count)
            return attention_launch<T, attention_tiling<160, 32, 4, 1, 2>>("attention mma 160", a,
                                                                           call);
        return attention_launch<T, attention_tiling<160, 32, 2, 1, 2>>("attention mma 160", a,
                                                                       call);
    }
}

status attention_mma_launch(const attention_args *a, const cuda_call *call)
{
    return a->dtype == DTYPE_F16 ? launch_mma<__half>(a, call) : launch_mma<__nv_bfloat16>(a, call);
}

/* ---- a quarter of the exponentials on the multiplying units ------------------------------------
 */

int attention_mixed_takes(const attention_args *a)
{
    return attention_rows_aligned(a) && a->d == 40;
}

status attention_mixed_launch(const attention_args *a, const cuda_call *call)
{
    return a->dtype == DTYPE_F16 ? launch_40<__half, POWER_MIXED>(a, call)
                                 : launch_40<__nv_bfloat16, POWER_MIXED>(a, call);
}

/* ---- widths filled up --------------------------------------------------------------------------
 */

int attention_filled_takes(const attention_args *a) { return is_16_bits(a) && a->d <= 128; }

template <class T> static status launch_filled(const attention_args *a, const cuda_call *call)
{
    const char *name = "attention filled";
    return a->d <= 16   ? attention_launch<T, attention_tiling<16, 32, 4, 1, 2, 0>>(name, a, call)
           : a->d <= 32 ? attention_launch<T, attention_tiling<32, 32, 4, 1, 2, 0>>(name, a, call)
           : a->d <= 64 ? attention_launch<T, attention_tiling<64, 32, 4, 1, 2, 0>>(name, a, call)
                        : attention_launch<T, attention_tiling<128, 32, 4, 1, 2, 0>>(name, a, call);
}

status attention_filled_launch(const attention_args *a, const cuda_call *call)
{
    return a->dtype == DTYPE_F16 ? launch_filled<__half>(a, call)
                                 : launch_filled<__nv_bfloat16>(a, call);
}
