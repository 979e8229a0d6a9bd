/* cuda/absent.cu - the operators that this device does not have yet: each says so. */
#include "cuda/device.cuh"

/* Their files define these otherwise: cuda/CMakeLists.txt looks which are there. */
#define ABSENT(op)                                                                                 \
    extern const cuda_table<struct op##_args> cuda_##op##_table = { #op, nullptr, 0 };             \
    extern "C" status cuda_##op(struct ops *ops, const struct op##_args *)                         \
    {                                                                                              \
        return status_fail(STATUS_UNSUPPORTED, "%s: this device has no " #op " yet", ops->name);   \
    }

#if !HAVE_CONV2D
ABSENT(conv2d)
#endif
#if !HAVE_LINEAR
ABSENT(linear)
#endif
#if !HAVE_GROUP_NORM
ABSENT(group_norm)
#endif
#if !HAVE_LAYER_NORM
ABSENT(layer_norm)
#endif
#if !HAVE_ATTENTION
ABSENT(attention)
#endif

#if !HAVE_WEIGHT
extern "C" status cuda_weight_create(struct ops *ops, const struct weight_args *,
                                     struct weight **out)
{
    *out = nullptr;
    return status_fail(STATUS_UNSUPPORTED, "%s: this device has no weights yet", ops->name);
}

extern "C" status cuda_weight_fuse(struct ops *ops, struct weight *, const struct weight_args *,
                                   const struct weight_delta *, int)
{
    return status_fail(STATUS_UNSUPPORTED, "%s: this device has no weights yet", ops->name);
}

extern "C" void cuda_weight_destroy(struct ops *, struct weight *) {}
#endif
