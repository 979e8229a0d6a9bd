/* host/prompt/tags.c - <kind:item:item> */
#include <stdlib.h>
#include <string.h>

#include "host/prompt/bytes.h"
#include "host/prompt/number.h"
#include "host/prompt/prompt.h"
#include "host/prompt/unicode.h"

/* One tag in the text: offsets of its kind, of what follows the colon, and its end. */
struct found {
    size_t open, kind_end, args, close; /* '<', ':', behind it, '>' */
};

struct finder {
    const char *text;
    size_t bytes;
    int no_more; /* no '>' is left */
};

static int tag_at(struct finder *finder, size_t open, struct found *out)
{
    size_t at = open + 1;
    for (size_t next = at; at < finder->bytes; at = next)
        if (!unicode_is_word(utf8_next(finder->text, finder->bytes, &next)))
            break;
    if (at == open + 1 || at == finder->bytes || finder->text[at] != ':')
        return 0;
    const char *close = memchr(finder->text + at + 1, '>', finder->bytes - at - 1);
    if (close == NULL)
        finder->no_more = 1;
    if (close == NULL || close == finder->text + at + 1)
        return 0;
    *out = (struct found){ open, at, at + 1, (size_t)(close - finder->text) };
    return 1;
}

/* The next tag at or behind `from`. */
static int next_tag(struct finder *finder, size_t from, struct found *out)
{
    while (!finder->no_more) {
        const char *open = memchr(finder->text + from, '<', finder->bytes - from);
        if (open == NULL)
            return 0;
        from = (size_t)(open - finder->text);
        if (tag_at(finder, from, out))
            return 1;
        from++;
    }
    return 0;
}

/* ---- results ----------------------------------------------------------------------------- */

static status copy_text(const char *from, size_t bytes, struct prompt_text *out)
{
    char *data = malloc(bytes + 1);
    if (data == NULL)
        return status_fail(STATUS_NO_MEMORY, "prompt: no memory for %zu bytes", bytes);
    memcpy(data, from, bytes);
    data[bytes] = '\0';
    *out = (struct prompt_text){ data, bytes };
    return STATUS_OK;
}

static status fill_tag(const char *text, const struct found *found, struct prompt_tag *tag)
{
    TRY(copy_text(text + found->open + 1, found->kind_end - found->open - 1, &tag->kind));
    size_t items = 1;
    for (size_t i = found->args; i < found->close; i++)
        items += text[i] == ':';
    tag->item = calloc(items, sizeof *tag->item);
    if (tag->item == NULL)
        return status_fail(STATUS_NO_MEMORY, "prompt: no memory for a tag");
    for (size_t at = found->args; tag->items < items;) {
        const char *colon = memchr(text + at, ':', found->close - at);
        const size_t end = colon != NULL ? (size_t)(colon - text) : found->close;
        TRY(copy_text(text + at, end - at, &tag->item[tag->items]));
        tag->items++;
        at = end + 1;
    }
    return STATUS_OK;
}

static status collect(struct finder *finder, struct prompt_tags *tags)
{
    struct bytes rest = { 0 };
    status s = STATUS_OK;
    size_t from = 0, room = 0;
    struct found found;
    while (s == STATUS_OK && next_tag(finder, from, &found)) {
        void *grown = tags->tag;
        s = array_grow(&grown, &room, tags->count, sizeof *tags->tag);
        tags->tag = grown;
        if (s == STATUS_OK) {
            tags->tag[tags->count] = (struct prompt_tag){ 0 };
            s = fill_tag(finder->text, &found, &tags->tag[tags->count++]);
        }
        if (s == STATUS_OK)
            s = bytes_append(&rest, finder->text + from, found.open - from);
        from = found.close + 1;
    }
    if (s == STATUS_OK)
        s = bytes_append(&rest, finder->text + from, finder->bytes - from);
    if (s == STATUS_OK)
        s = bytes_end(&rest);
    if (s != STATUS_OK) {
        bytes_free(&rest);
        return s;
    }
    tags->text = (struct prompt_text){ rest.at, rest.count - 1 };
    return STATUS_OK;
}

status prompt_extract_tags(const char *text, size_t bytes, struct prompt_tags **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return status_fail(STATUS_NO_MEMORY, "prompt: no memory");
    const status s = collect(&(struct finder){ .text = text, .bytes = bytes }, *out);
    if (s != STATUS_OK) {
        prompt_tags_free(*out);
        *out = NULL;
    }
    return s;
}

void prompt_tags_free(struct prompt_tags *tags)
{
    if (tags == NULL)
        return;
    for (size_t i = 0; i < tags->count; i++) {
        for (size_t k = 0; k < tags->tag[i].items; k++)
            free((char *)tags->tag[i].item[k].data);
        free(tags->tag[i].item);
        free((char *)tags->tag[i].kind.data);
    }
    free(tags->tag);
    free((char *)tags->text.data);
    free(tags);
}

/* ---- multipliers ------------------------------------------------------------------------- */

/* A number with white space around it, as Python's float() takes it. */
static int read_number(const char *text, size_t bytes, double *out)
{
    const size_t from = utf8_skip_space(text, bytes, 0);
    const size_t end = from < bytes ? utf8_trim_space(text, bytes) : from;
    return number_parse(text + from, end - from, out);
}

/* The value of the last item "name=value"; null if there is none. */
static const char *named_item(const struct prompt_tag *tag, const char *name, size_t *bytes)
{
    const size_t length = strlen(name);
    for (size_t i = tag->items; i > 0; i--) {
        const struct prompt_text *item = &tag->item[i - 1];
        if (item->bytes > length && memcmp(item->data, name, length) == 0 &&
            item->data[length] == '=') {
            *bytes = item->bytes - length - 1;
            return item->data + length + 1;
        }
    }
    return NULL;
}

/* The item at a position, those of the form name=value not counted if `skip_named`. */
static const char *positional_item(const struct prompt_tag *tag, size_t position, int skip_named,
                                   size_t *bytes)
{
    for (size_t i = 0; i < tag->items; i++) {
        const struct prompt_text *item = &tag->item[i];
        if (skip_named && memchr(item->data, '=', item->bytes) != NULL)
            continue;
        if (position-- == 0) {
            *bytes = item->bytes;
            return item->data;
        }
    }
    return NULL;
}

int prompt_tag_weights(const struct prompt_tag *tag, const struct compat *compat, double *te,
                       double *unet)
{
    const int named = compat_at_least(compat, 1, 3), apart = compat_at_least(compat, 1, 5);
    size_t bytes = 0;
    int fine = 1;
    *te = 1.0;
    const char *text = positional_item(tag, 1, named, &bytes);
    if (text != NULL)
        fine &= read_number(text, bytes, te);
    if (apart && (text = named_item(tag, "te", &bytes)) != NULL)
        fine &= read_number(text, bytes, te);
    *unet = *te;
    if (apart && (text = positional_item(tag, 2, named, &bytes)) != NULL)
        fine &= read_number(text, bytes, unet);
    if (apart && (text = named_item(tag, "unet", &bytes)) != NULL)
        fine &= read_number(text, bytes, unet);
    return fine;
}
