/* weights/tensor_table.c - growing lists with a hash index beside them. */
#include "weights/tensor_table.h"

#include <stdlib.h>
#include <string.h>

enum {
    NAME_MAX_BYTES = 4096,         /* real names are under 120 */
    NOTE_MAX_BYTES = 16 << 20,     /* kohya's ss_tag_frequency can be megabytes */
    TEXT_MAX_BYTES = 256 << 20,    /* all names and notes of one file */
    ENTRIES_MAX = 4 * 1000 * 1000, /* tensors, or notes, of one file */
};

struct tensor_block {
    struct tensor_block *next;
    max_align_t bytes[];
};

/* ---- memory -------------------------------------------------------------------------- */

static status block_take(struct tensor_table *table, size_t bytes, void **out)
{
    struct tensor_block *block = NULL;
    *out = NULL;
    if (bytes <= SIZE_MAX - sizeof *block)
        block = malloc(sizeof *block + bytes);
    if (block == NULL)
        return status_fail(STATUS_NO_MEMORY, "no memory for %zu bytes", bytes);
    block->next = table->blocks;
    table->blocks = block;
    *out = block->bytes;
    return STATUS_OK;
}

status tensor_table_own(struct tensor_table *table, size_t bytes, void **out)
{
    *out = NULL;
    if (bytes > table->own_cap - table->own_bytes)
        return status_fail(STATUS_BAD_FILE,
                           "%zu bytes would have to be unpacked or gathered, %zu are allowed "
                           "for a file of this size",
                           bytes, table->own_cap - table->own_bytes);
    TRY(block_take(table, bytes, out));
    table->own_bytes += bytes;
    return STATUS_OK;
}

static status text_copy(struct tensor_table *table, const char *text, size_t length,
                        const char **out)
{
    void *copy;
    if (length >= TEXT_MAX_BYTES - table->text_bytes)
        return status_fail(STATUS_BAD_FILE, "names and notes take more than %d bytes",
                           (int)TEXT_MAX_BYTES);
    TRY(block_take(table, length + 1, &copy));
    memcpy(copy, text, length);
    ((char *)copy)[length] = 0;
    table->text_bytes += length + 1;
    *out = copy;
    return STATUS_OK;
}

/* Room for one more in a list of `count` items of `size` bytes; *out is the list. */
static status list_grow(void *items, size_t count, size_t *cap, size_t size, void **out)
{
    *out = items;
    if (count < *cap)
        return STATUS_OK;
    if (count >= ENTRIES_MAX)
        return status_fail(STATUS_BAD_FILE, "more than %d entries", (int)ENTRIES_MAX);
    const size_t wanted = *cap == 0 ? 64 : *cap * 2;
    void *grown = realloc(items, wanted * size);
    if (grown == NULL)
        return status_fail(STATUS_NO_MEMORY, "no memory for %zu bytes", wanted * size);
    *out = grown;
    *cap = wanted;
    return STATUS_OK;
}

void tensor_table_release(struct tensor_table *table)
{
    for (struct tensor_block *block = table->blocks, *next; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
    free(table->tensors);
    free(table->notes);
    free(table->classes);
    free(table->by_name.slots);
    free(table->by_key.slots);
    *table = (struct tensor_table){ .own_cap = table->own_cap };
}

/* ---- index --------------------------------------------------------------------------- */

static uint64_t hash(const char *text, size_t length) /* FNV-1a */
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++)
        h = (h ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return h ^ h >> 29;
}

/* The text of entry i of a list whose items begin with a `const char *`. */
static const char *entry_text(const void *items, size_t size, size_t i)
{
    const char *text;
    memcpy(&text, (const unsigned char *)items + i * size, sizeof text);
    return text;
}

/* The slot that holds the text, or the empty one where it would go. */
static size_t index_slot(const struct name_index *index, const void *items, size_t size,
                         const char *text, size_t length)
{
    size_t slot = (size_t)hash(text, length) & (index->cap - 1);
    while (index->slots[slot] != 0) {
        const char *there = entry_text(items, size, index->slots[slot] - 1);
        if (strncmp(there, text, length) == 0 && there[length] == 0)
            return slot;
        slot = (slot + 1) & (index->cap - 1);
    }
    return slot;
}

/* Keeps the index at most half full for `count` entries and one more. */
static status index_grow(struct name_index *index, const void *items, size_t size, size_t count)
{
    if (2 * (count + 1) <= index->cap)
        return STATUS_OK;
    struct name_index grown = { .cap = index->cap == 0 ? 256 : index->cap * 2 };
    grown.slots = calloc(grown.cap, sizeof *grown.slots);
    if (grown.slots == NULL)
        return status_fail(STATUS_NO_MEMORY, "no memory for %zu bytes",
                           grown.cap * sizeof *grown.slots);
    for (size_t i = 0; i < count; i++) {
        const char *text = entry_text(items, size, i);
        grown.slots[index_slot(&grown, items, size, text, strlen(text))] = (uint32_t)(i + 1);
    }
    free(index->slots);
    *index = grown;
    return STATUS_OK;
}

/* ---- text ---------------------------------------------------------------------------- */

int tensor_text_is_clean(const char *text, size_t length)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + length;
    while (p < end) {
        const unsigned lead = *p++;
        if (lead == 0)
            return 0;
        if (lead < 0x80)
            continue;
        const int more = lead >= 0xc2 && lead <= 0xdf   ? 1
                         : lead >= 0xe0 && lead <= 0xef ? 2
                         : lead >= 0xf0 && lead <= 0xf4 ? 3
                                                        : 0;
        if (more == 0 || end - p < more)
            return 0;
        if ((lead == 0xe0 && *p < 0xa0) || (lead == 0xf0 && *p < 0x90) ||
            (lead == 0xf4 && *p > 0x8f)) /* overlong, or beyond U+10FFFF */
            return 0;
        for (int i = 0; i < more; i++)
            if ((*p++ & 0xc0) != 0x80)
                return 0;
    }
    return 1;
}

/* ---- entries ------------------------------------------------------------------------- */

int tensor_shape_bytes(const size_t *shape, int rank, enum dtype dtype, size_t *elements,
                       size_t *bytes)
{
    size_t count = 1, span = 1; /* span: the product without zeros, so that order cannot matter */
    for (int i = 0; i < rank; i++) {
        if (shape[i] != 0 && span > SIZE_MAX / shape[i])
            return 0;
        span *= shape[i] == 0 ? 1 : shape[i];
        count *= shape[i];
    }
    if (span > SIZE_MAX / dtype_size(dtype))
        return 0;
    *elements = count;
    *bytes = count * dtype_size(dtype);
    return 1;
}

status tensor_table_add(struct tensor_table *table, const char *name, size_t length,
                        const struct tensor *tensor)
{
    if (length > NAME_MAX_BYTES)
        return status_fail(STATUS_BAD_FILE, "a tensor's name of %zu bytes, %d at most are wanted",
                           length, (int)NAME_MAX_BYTES);
    if (!tensor_text_is_clean(name, length))
        return status_fail(STATUS_BAD_FILE, "tensor number %zu has a name that is not UTF-8",
                           table->tensor_count);
    void *list;
    TRY(list_grow(table->tensors, table->tensor_count, &table->tensor_cap, sizeof *table->tensors,
                  &list));
    table->tensors = list;
    TRY(index_grow(&table->by_name, table->tensors, sizeof *table->tensors, table->tensor_count));
    const size_t slot =
        index_slot(&table->by_name, table->tensors, sizeof *table->tensors, name, length);
    if (table->by_name.slots[slot] != 0)
        return status_fail(STATUS_BAD_FILE, "tensor \"%.*s\" is there twice", (int)length, name);

    struct tensor *added = &table->tensors[table->tensor_count];
    *added = *tensor;
    TRY(text_copy(table, name, length, &added->name));
    table->by_name.slots[slot] = (uint32_t)++table->tensor_count;
    return STATUS_OK;
}

status tensor_table_note(struct tensor_table *table, const char *key, size_t key_length,
                         const char *value, size_t value_length)
{
    if (key_length > NAME_MAX_BYTES || value_length > NOTE_MAX_BYTES ||
        !tensor_text_is_clean(key, key_length) || !tensor_text_is_clean(value, value_length))
        return STATUS_OK;
    void *list;
    TRY(list_grow(table->notes, table->note_count, &table->note_cap, sizeof *table->notes, &list));
    table->notes = list;
    TRY(index_grow(&table->by_key, table->notes, sizeof *table->notes, table->note_count));
    const size_t slot =
        index_slot(&table->by_key, table->notes, sizeof *table->notes, key, key_length);

    struct tensor_note note;
    TRY(text_copy(table, value, value_length, &note.value));
    if (table->by_key.slots[slot] != 0) {
        table->notes[table->by_key.slots[slot] - 1].value = note.value;
        return STATUS_OK;
    }
    TRY(text_copy(table, key, key_length, &note.key));
    table->notes[table->note_count] = note;
    table->by_key.slots[slot] = (uint32_t)++table->note_count;
    return STATUS_OK;
}

status tensor_table_class(struct tensor_table *table, const char *name, size_t length)
{
    for (size_t i = 0; i < table->class_count; i++)
        if (strncmp(table->classes[i], name, length) == 0 && table->classes[i][length] == 0)
            return STATUS_OK;
    enum { CLASSES_MAX = 256 }; /* a list to be read by a person */
    if (length > NAME_MAX_BYTES || !tensor_text_is_clean(name, length) ||
        table->class_count == CLASSES_MAX)
        return STATUS_OK;
    void *list;
    TRY(list_grow(table->classes, table->class_count, &table->class_cap, sizeof *table->classes,
                  &list));
    table->classes = list;
    TRY(text_copy(table, name, length, &table->classes[table->class_count]));
    table->class_count++;
    return STATUS_OK;
}

const struct tensor *tensor_table_find(const struct tensor_table *table, const char *name)
{
    if (table->by_name.cap == 0)
        return NULL;
    const size_t slot =
        index_slot(&table->by_name, table->tensors, sizeof *table->tensors, name, strlen(name));
    const uint32_t at = table->by_name.slots[slot];
    return at == 0 ? NULL : &table->tensors[at - 1];
}

const struct tensor_note *tensor_table_find_note(const struct tensor_table *table, const char *key)
{
    if (table->by_key.cap == 0)
        return NULL;
    const size_t slot =
        index_slot(&table->by_key, table->notes, sizeof *table->notes, key, strlen(key));
    const uint32_t at = table->by_key.slots[slot];
    return at == 0 ? NULL : &table->notes[at - 1];
}
