/* weights/safetensors.c - eight bytes of length, a JSON header, then the tensors end to end.
 *
 * The limits are the reference library's: a header of 100,000,000 bytes, offsets that tile the data
 * without holes or overlap, in any order of names. What JSON leaves open is refused: a key given
 * twice, a NUL in a name, a number that a double cannot hold exactly. */
#include "weights/readers.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static const size_t header_max = 100 * 1000 * 1000;
static const size_t values_max = 4 * 1000 * 1000; /* a tensor takes about ten */
static const double exact_max = 9007199254740992; /* 2^53 */

struct span { /* where one tensor lies, to find holes */
    size_t begin, end, index;
};

/* ---- header -------------------------------------------------------------------------- */

/* cJSON takes 64 bytes for each value, so a hostile header of commas is counted before it is
 * parsed; and it ends a string at \u0000, so that two names could become one. */
static status check_text(const char *text, size_t length)
{
    if (!tensor_text_is_clean(text, length))
        return status_fail(STATUS_BAD_FILE, "the safetensors header is not UTF-8 text");
    size_t values = 1;
    int in_string = 0;
    for (size_t i = 0; i < length; i++) {
        if (in_string && text[i] == '\\') {
            if (length - i > 5 && memcmp(text + i, "\\u0000", 6) == 0)
                return status_fail(STATUS_BAD_FILE, "a NUL in a string of the safetensors header");
            i++;
        } else if (text[i] == '"') {
            in_string = !in_string;
        } else if (!in_string) {
            values += text[i] == ',' || text[i] == '[' || text[i] == '{';
        }
    }
    if (values > values_max)
        return status_fail(STATUS_BAD_FILE,
                           "the safetensors header holds %zu values, %zu at most "
                           "are wanted",
                           values, values_max);
    return STATUS_OK;
}

static status parse_header(struct file_bytes file, cJSON **header, struct file_bytes *data)
{
    if (file.size < 8)
        return status_fail(STATUS_BAD_FILE, "%zu bytes are too few for a safetensors header",
                           file.size);
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | file.at[i];
    if (length > header_max)
        return status_fail(STATUS_BAD_FILE,
                           "a safetensors header of %ju bytes, %zu at most are wanted",
                           (uintmax_t)length, header_max);
    if (length > file.size - 8)
        return status_fail(STATUS_BAD_FILE,
                           "a safetensors header of %ju bytes, but only %zu follow: the file is "
                           "cut short",
                           (uintmax_t)length, file.size - 8);
    const char *text = (const char *)file.at + 8, *end = NULL;
    TRY(check_text(text, (size_t)length));
    *header = cJSON_ParseWithLengthOpts(text, (size_t)length, &end, 0);
    if (*header == NULL)
        return status_fail(STATUS_BAD_FILE, "the safetensors header is not JSON, near byte %zu",
                           end == NULL ? 8 : 8 + (size_t)(end - text));
    for (; end < text + length; end++)
        if (*end != ' ' && *end != '\n' && *end != '\t' && *end != '\r')
            return status_fail(STATUS_BAD_FILE,
                               "text after the end of the safetensors header, at byte %zu",
                               8 + (size_t)(end - text));
    if (!cJSON_IsObject(*header))
        return status_fail(STATUS_BAD_FILE, "the safetensors header is not a JSON object");
    data->at = file.at + 8 + length;
    data->size = file.size - 8 - (size_t)length;
    return STATUS_OK;
}

static status read_metadata(const cJSON *object, struct tensor_table *table)
{
    if (!cJSON_IsObject(object))
        return status_fail(STATUS_BAD_FILE, "__metadata__ is not a JSON object");
    for (const cJSON *item = object->child; item != NULL; item = item->next) {
        if (!cJSON_IsString(item))
            return status_fail(STATUS_BAD_FILE, "__metadata__ \"%s\" is not a string",
                               item->string);
        if (tensor_table_find_note(table, item->string) != NULL)
            return status_fail(STATUS_BAD_FILE, "__metadata__ \"%s\" is there twice", item->string);
        TRY(tensor_table_note(table, item->string, strlen(item->string), item->valuestring,
                              strlen(item->valuestring)));
    }
    return STATUS_OK;
}

/* ---- one tensor ---------------------------------------------------------------------- */

static status read_dtype(const cJSON *item, const char *name, enum dtype *out)
{
    static const struct {
        const char *text;
        enum dtype dtype;
    } known[] = {
        { "F32", DTYPE_F32 }, { "F16", DTYPE_F16 },   { "BF16", DTYPE_BF16 }, { "F64", DTYPE_F64 },
        { "I64", DTYPE_I64 }, { "I32", DTYPE_I32 },   { "I16", DTYPE_I16 },   { "I8", DTYPE_I8 },
        { "U8", DTYPE_U8 },   { "BOOL", DTYPE_BOOL },
    };
    if (!cJSON_IsString(item))
        return status_fail(STATUS_BAD_FILE, "tensor \"%s\": no dtype", name);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(item->valuestring, known[i].text) == 0) {
            *out = known[i].dtype;
            return STATUS_OK;
        }
    return status_fail(STATUS_UNSUPPORTED, "tensor \"%s\": element type \"%.32s\" is not known",
                       name, item->valuestring);
}

/* A whole number that a double holds exactly. */
static int read_size(const cJSON *item, size_t *out)
{
    if (!cJSON_IsNumber(item))
        return 0;
    const double value = item->valuedouble;
    if (!(value >= 0 && value < exact_max) || value != (double)(size_t)value)
        return 0;
    *out = (size_t)value;
    return 1;
}

static status read_shape(const cJSON *item, const char *name, struct tensor *tensor)
{
    if (!cJSON_IsArray(item))
        return status_fail(STATUS_BAD_FILE, "tensor \"%s\": no shape", name);
    for (const cJSON *dim = item->child; dim != NULL; dim = dim->next) {
        if (tensor->rank == TENSOR_MAX_RANK)
            return status_fail(STATUS_UNSUPPORTED, "tensor \"%s\": more than %d dimensions", name,
                               (int)TENSOR_MAX_RANK);
        if (!read_size(dim, &tensor->shape[tensor->rank]))
            return status_fail(STATUS_BAD_FILE, "tensor \"%s\": dimension %d is not a size", name,
                               tensor->rank);
        tensor->rank++;
    }
    return STATUS_OK;
}

static status read_offsets(const cJSON *item, const char *name, struct span *span)
{
    if (!cJSON_IsArray(item) || item->child == NULL || item->child->next == NULL ||
        item->child->next->next != NULL)
        return status_fail(STATUS_BAD_FILE, "tensor \"%s\": no pair of data_offsets", name);
    if (!read_size(item->child, &span->begin) || !read_size(item->child->next, &span->end) ||
        span->begin > span->end)
        return status_fail(STATUS_BAD_FILE, "tensor \"%s\": its data_offsets are no range", name);
    return STATUS_OK;
}

static status field_set(const cJSON **field, const cJSON *item, const char *name)
{
    if (*field != NULL)
        return status_fail(STATUS_BAD_FILE, "tensor \"%s\": \"%s\" is there twice", name,
                           item->string);
    *field = item;
    return STATUS_OK;
}

static status read_entry(const cJSON *entry, struct file_bytes data, struct tensor_table *table,
                         struct span *span)
{
    const char *name = entry->string;
    const cJSON *dtype = NULL, *shape = NULL, *offsets = NULL;
    if (!cJSON_IsObject(entry))
        return status_fail(STATUS_BAD_FILE, "tensor \"%s\" is not a JSON object", name);
    for (const cJSON *item = entry->child; item != NULL; item = item->next)
        if (strcmp(item->string, "dtype") == 0)
            TRY(field_set(&dtype, item, name));
        else if (strcmp(item->string, "shape") == 0)
            TRY(field_set(&shape, item, name));
        else if (strcmp(item->string, "data_offsets") == 0)
            TRY(field_set(&offsets, item, name));

    struct tensor tensor = { .rank = 0 };
    size_t elements;
    TRY(read_dtype(dtype, name, &tensor.dtype));
    TRY(read_shape(shape, name, &tensor));
    TRY(read_offsets(offsets, name, span));
    if (!tensor_shape_bytes(tensor.shape, tensor.rank, tensor.dtype, &elements, &tensor.bytes))
        return status_fail(STATUS_BAD_FILE, "tensor \"%s\": its shape overflows", name);
    if (span->end - span->begin != tensor.bytes)
        return status_fail(STATUS_BAD_FILE,
                           "tensor \"%s\": data_offsets of %zu bytes, its shape of %s wants %zu",
                           name, span->end - span->begin, dtype_name(tensor.dtype), tensor.bytes);
    if (span->end > data.size)
        return status_fail(STATUS_BAD_FILE,
                           "tensor \"%s\" ends at byte %zu of the data, which has %zu: the file "
                           "is cut short",
                           name, span->end, data.size);
    tensor.data = data.at + span->begin;
    span->index = table->tensor_count;
    return tensor_table_add(table, name, strlen(name), &tensor);
}

/* ---- all of them --------------------------------------------------------------------- */

static int by_begin(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static status check_tiling(struct span *spans, size_t count, size_t bytes,
                           const struct tensor_table *table)
{
    size_t next = 0;
    qsort(spans, count, sizeof *spans, by_begin);
    for (size_t i = 0; i < count; i++) {
        if (spans[i].begin != next)
            return status_fail(STATUS_BAD_FILE,
                               "tensor \"%s\" begins at byte %zu of the data, the one before it "
                               "ends at %zu: %s",
                               table->tensors[spans[i].index].name, spans[i].begin, next,
                               spans[i].begin < next ? "they overlap" : "there is a hole");
        next = spans[i].end;
    }
    if (next != bytes)
        return status_fail(STATUS_BAD_FILE, "%zu bytes after the last tensor", bytes - next);
    return STATUS_OK;
}

static status read_entries(const cJSON *header, struct file_bytes data, struct tensor_table *table)
{
    size_t count = 0;
    int metadata_seen = 0;
    struct span *spans = malloc(((size_t)cJSON_GetArraySize(header) + 1) * sizeof *spans);
    if (spans == NULL)
        return status_fail(STATUS_NO_MEMORY, "no memory for the safetensors header");
    status code = STATUS_OK;
    for (const cJSON *entry = header->child; entry != NULL && code == STATUS_OK;
         entry = entry->next)
        if (strcmp(entry->string, "__metadata__") != 0)
            code = read_entry(entry, data, table, &spans[count++]);
        else if (metadata_seen++)
            code = status_fail(STATUS_BAD_FILE, "__metadata__ is there twice");
        else
            code = read_metadata(entry, table);
    if (code == STATUS_OK)
        code = check_tiling(spans, count, data.size, table);
    free(spans);
    return code;
}

status safetensors_read(struct file_bytes file, struct tensor_table *table)
{
    cJSON *header = NULL;
    struct file_bytes data = { .size = 0 };
    status code = parse_header(file, &header, &data);
    if (code == STATUS_OK)
        code = read_entries(header, data, table);
    cJSON_Delete(header);
    return code;
}
