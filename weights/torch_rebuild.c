/* weights/torch_rebuild.c - storage, offset, shape and strides to a contiguous tensor. */
#include "weights/torch_rebuild.h"

#include <string.h>

static const char rebuild_prefix[] = "torch._utils._rebuild_";
static const char from_type[] = "torch._tensor._rebuild_from_type_v2";

static int begins(const struct pickle_value *type, const char *text)
{
    return type->kind == PICKLE_CLASS && type->text.length >= strlen(text) &&
           memcmp(type->text.at, text, strlen(text)) == 0;
}

int torch_rebuilds_tensor(const struct pickle_value *value)
{
    return value->kind == PICKLE_OBJECT &&
           (begins(value->type, rebuild_prefix) || pickle_is_class(value->type, from_type));
}

/* ---- arguments ----------------------------------------------------------------------- */

struct layout {
    size_t first;                    /* elements before the tensor's first */
    size_t strides[TENSOR_MAX_RANK]; /* in elements */
};

static int size_of(const struct pickle_value *value, size_t *out)
{
    if (value->kind != PICKLE_INT || value->integer < 0)
        return 0;
    *out = (size_t)value->integer;
    return 1;
}

/* A tuple of sizes; torch.Size((2, 3)) is one too. */
static const struct pickle_value *sizes_of(const struct pickle_value *value)
{
    if (pickle_is_object_of(value, "torch.Size") && value->args->items.count == 1)
        value = value->args->items.at[0];
    return value->kind == PICKLE_TUPLE || value->kind == PICKLE_LIST ? value : NULL;
}

static status read_layout(const struct pickle_value *args, struct layout *layout,
                          struct tensor *tensor)
{
    const struct pickle_value *shape = sizes_of(args->items.at[2]);
    const struct pickle_value *strides = sizes_of(args->items.at[3]);
    if (!size_of(args->items.at[1], &layout->first) || shape == NULL || strides == NULL ||
        shape->items.count != strides->items.count)
        return status_fail(STATUS_BAD_FILE, "its offset, shape or strides are not there");
    if (shape->items.count > TENSOR_MAX_RANK)
        return status_fail(STATUS_UNSUPPORTED, "%zu dimensions, %d are known", shape->items.count,
                           (int)TENSOR_MAX_RANK);
    tensor->rank = (int)shape->items.count;
    for (int i = 0; i < tensor->rank; i++)
        if (!size_of(shape->items.at[i], &tensor->shape[i]) ||
            !size_of(strides->items.at[i], &layout->strides[i]))
            return status_fail(STATUS_BAD_FILE, "dimension %d has no size or stride", i);
    return STATUS_OK;
}

/* Adds a * b to *sum unless it overflows. */
static int add_product(size_t *sum, size_t a, size_t b)
{
    if (a != 0 && b > (SIZE_MAX - *sum) / a)
        return 0;
    *sum += a * b;
    return 1;
}

/* Every element has to lie inside the storage; the last is the one furthest out. */
static status check_reach(const struct layout *layout, const struct tensor *tensor, size_t elements)
{
    size_t last = layout->first;
    int fits = 1;
    for (int i = 0; i < tensor->rank; i++)
        fits = fits && add_product(&last, tensor->shape[i] - 1, layout->strides[i]);
    if (!fits || last >= elements)
        return status_fail(STATUS_BAD_FILE, "reaches element %zu of a storage that has %zu",
                           fits ? last : SIZE_MAX, elements);
    return STATUS_OK;
}

static int is_contiguous(const struct layout *layout, const struct tensor *tensor)
{
    size_t step = 1;
    for (int i = tensor->rank; i-- > 0;) {
        if (tensor->shape[i] != 1 && layout->strides[i] != step)
            return 0;
        step *= tensor->shape[i];
    }
    return 1;
}

/* ---- elements ------------------------------------------------------------------------ */

static void gather(const unsigned char *storage, const struct layout *layout,
                   const struct tensor *tensor, int swap, unsigned char *out)
{
    const size_t size = dtype_size(tensor->dtype);
    size_t at[TENSOR_MAX_RANK] = { 0 }, from = layout->first;
    for (const unsigned char *end = out + tensor->bytes; out < end; out += size) {
        const unsigned char *element = storage + from * size;
        if (swap)
            for (size_t i = 0; i < size; i++)
                out[i] = element[size - 1 - i];
        else
            memcpy(out, element, size);
        for (int i = tensor->rank; i-- > 0;) { /* an odometer: the last axis turns fastest */
            from += layout->strides[i];
            if (++at[i] < tensor->shape[i])
                break;
            from -= layout->strides[i] * tensor->shape[i];
            at[i] = 0;
        }
    }
}

static status place(const unsigned char *storage, const struct layout *layout, int swap,
                    struct tensor_table *table, struct tensor *tensor)
{
    swap = swap && dtype_size(tensor->dtype) > 1;
    if (!swap && is_contiguous(layout, tensor)) {
        tensor->data = storage + layout->first * dtype_size(tensor->dtype);
        return STATUS_OK;
    }
    void *own;
    TRY(tensor_table_own(table, tensor->bytes, &own));
    gather(storage, layout, tensor, swap, own);
    tensor->data = own;
    return STATUS_OK;
}

/* ---- calls --------------------------------------------------------------------------- */

/* _rebuild_tensor_v3 looks into an untyped storage and names the element type itself. */
static status named_dtype(const struct pickle_value *type, enum dtype *out)
{
    static const struct {
        const char *name;
        enum dtype dtype;
    } known[] = {
        { "torch.float32", DTYPE_F32 },   { "torch.float16", DTYPE_F16 },
        { "torch.bfloat16", DTYPE_BF16 }, { "torch.float64", DTYPE_F64 },
        { "torch.int64", DTYPE_I64 },     { "torch.int32", DTYPE_I32 },
        { "torch.int16", DTYPE_I16 },     { "torch.int8", DTYPE_I8 },
        { "torch.uint8", DTYPE_U8 },      { "torch.bool", DTYPE_BOOL },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (pickle_is_class(type, known[i].name)) {
            *out = known[i].dtype;
            return STATUS_OK;
        }
    if (type->kind != PICKLE_CLASS)
        return status_fail(STATUS_BAD_FILE, "its element type is not there");
    return status_fail(STATUS_UNSUPPORTED, "element type %.*s is not known",
                       (int)(type->text.length > 100 ? 100 : type->text.length), type->text.at);
}

static status rebuild_strided(const struct pickle_value *args, int names_dtype,
                              struct torch_store *store, struct tensor_table *table,
                              struct tensor *out)
{
    struct torch_storage storage;
    struct layout layout = { .first = 0 };
    const unsigned char *data;
    size_t count;
    if (args->items.count < (names_dtype ? 7 : 4) || args->items.at[0]->kind != PICKLE_PERSISTENT)
        return status_fail(STATUS_BAD_FILE, "not built as torch builds a tensor");
    TRY(torch_storage_read(args->items.at[0], &storage));
    TRY(read_layout(args, &layout, out));
    out->dtype = storage.dtype;
    if (names_dtype)
        TRY(named_dtype(args->items.at[6], &out->dtype));
    if (!tensor_shape_bytes(out->shape, out->rank, out->dtype, &count, &out->bytes))
        return status_fail(STATUS_BAD_FILE, "its shape overflows");

    const size_t size = dtype_size(storage.dtype);
    const size_t first_byte = storage.view_first * size;
    if (count > 0)
        TRY(check_reach(&layout, out, storage.view_elements * size / dtype_size(out->dtype)));
    else
        layout.first = 0;
    TRY(store->find(store, &storage, &data));
    if (count == 0) {
        out->data = data;
        return STATUS_OK;
    }
    return place(data + first_byte, &layout, store->swap, table, out);
}

status torch_rebuild(const struct pickle_value *call, struct torch_store *store,
                     struct tensor_table *table, struct tensor *out)
{
    /* A parameter, or a tensor with attributes, wraps the call that rebuilds its data. */
    for (int depth = 0; depth < 8; depth++) {
        const struct pickle_value *type = call->type, *args = call->args;
        if (pickle_is_class(type, "torch._utils._rebuild_tensor") ||
            pickle_is_class(type, "torch._utils._rebuild_tensor_v2"))
            return rebuild_strided(args, 0, store, table, out);
        if (pickle_is_class(type, "torch._utils._rebuild_tensor_v3"))
            return rebuild_strided(args, 1, store, table, out);
        if (pickle_is_class(type, from_type) && args->items.count == 4) {
            struct pickle_value inner = { .kind = PICKLE_OBJECT,
                                          .type = args->items.at[0],
                                          .args = args->items.at[2] };
            if (inner.args->kind == PICKLE_TUPLE &&
                begins(inner.type, "torch._utils._rebuild_tensor"))
                return torch_rebuild(&inner, store, table, out);
        }
        if (!pickle_is_class(type, "torch._utils._rebuild_parameter") &&
            !pickle_is_class(type, "torch._utils._rebuild_parameter_with_state"))
            return status_fail(STATUS_UNSUPPORTED, "tensors built by %.*s are not known",
                               (int)(type->text.length > 100 ? 100 : type->text.length),
                               type->text.at);
        if (args->items.count < 1 || !torch_rebuilds_tensor(args->items.at[0]))
            break;
        call = args->items.at[0];
    }
    return status_fail(STATUS_BAD_FILE, "a parameter without a tensor");
}
