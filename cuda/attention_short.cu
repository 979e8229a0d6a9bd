/* cuda/attention_short.cu - the flash-attention kernels where all keys fit one tile: a prompt's 77,
 * the lowest level's 96. No running maximum, nothing shrinks, one wait.
 *
 * Tilings    d 8, 40, 64, 80, 160 with 80 keys; 160 with 96 keys; 64 queries a block, 32 at 160
 * Roofline   77 keys, 2x8 heads of 40, 6144 queries: 1.2 GFLOP; q and y once are 15.7 MB, 3.7 us at
 *            4.3 TB/s.
 */
#include "cuda/attention_mma.cuh"

int attention_short_takes(const attention_args *a)
{
    return attention_rows_aligned(a) &&
           ((a->s_kv <= 80 && (a->d == 8 || a->d == 40 || a->d == 64 || a->d == 80)) ||
            (a->s_kv <= 96 && a->d == 160));
}

template <class T> static status launch_short(const attention_args *a, const cuda_call *call)
{
    const char *name = "attention short";
    switch (a->d) {
    case 8:
        return attention_launch<T, attention_tiling<8, 80, 4, 1, 1>>(name, a, call);
    case 40:
        return attention_launch<T, attention_tiling<40, 80, 4, 1, 1>>(name, a, call);
    case 64:
        return attention_launch<T, attention_tiling<64, 80, 4, 1, 1>>(name, a, call);
    case 80:
        return attention_launch<T, attention_tiling<80, 80, 4, 1, 1>>(name, a, call);
    default:
        return a->s_kv <= 80
                   ? attention_launch<T, attention_tiling<160, 80, 2, 1, 1>>(name, a, call)
                   : attention_launch<T, attention_tiling<160, 96, 2, 1, 1>>(name, a, call);
    }
}

status attention_short_launch(const attention_args *a, const cuda_call *call)
{
    return a->dtype == DTYPE_F16 ? launch_short<__half>(a, call)
                                 : launch_short<__nv_bfloat16>(a, call);
}
