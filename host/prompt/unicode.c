/* host/prompt/unicode.c */
#include "host/prompt/unicode.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* ---- UTF-8 ------------------------------------------------------------------------------- */

/* How the second byte narrows after a leading byte: no overlong forms, no surrogates, no more
 * than U+10FFFF. Returns how many bytes follow, 0 for a byte that leads nothing. */
static int trail_of(unsigned char lead, unsigned char *low, unsigned char *high)
{
    *low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    *high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    return lead < 0xc2 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : lead < 0xf5 ? 3 : 0;
}

uint32_t utf8_next(const char *text, size_t bytes, size_t *at)
{
    const unsigned char lead = (unsigned char)text[(*at)++];
    if (lead < 0x80)
        return lead;
    unsigned char low, high;
    int trail = trail_of(lead, &low, &high);
    if (trail == 0)
        return UNICODE_REPLACEMENT;
    uint32_t c = lead & (0x3fu >> trail);
    for (; trail > 0; trail--) {
        if (*at == bytes || (unsigned char)text[*at] < low || (unsigned char)text[*at] > high)
            return UNICODE_REPLACEMENT;
        c = c << 6 | ((unsigned char)text[(*at)++] & 0x3fu);
        low = 0x80;
        high = 0xbf;
    }
    return c;
}

uint32_t utf8_before(const char *text, size_t at)
{
    if (at == 0)
        return 0;
    size_t start = at - 1;
    while (start > 0 && at - start < 4 && ((unsigned char)text[start] & 0xc0) == 0x80)
        start--;
    size_t end = start;
    const uint32_t c = utf8_next(text, at, &end);
    return end == at ? c : UNICODE_REPLACEMENT;
}

int utf8_word_at(const char *text, size_t bytes, size_t at, const char *word)
{
    const size_t length = strlen(word);
    if (bytes - at < length || memcmp(text + at, word, length) != 0)
        return 0;
    size_t end = at + length;
    return (at == 0 || !unicode_is_word(utf8_before(text, at))) &&
           (end == bytes || !unicode_is_word(utf8_next(text, bytes, &end)));
}

size_t utf8_skip_space(const char *text, size_t bytes, size_t at)
{
    for (size_t next = at; at < bytes; at = next)
        if (!unicode_is_space(utf8_next(text, bytes, &next)))
            break;
    return at;
}

size_t utf8_trim_space(const char *text, size_t at)
{
    while (at > 0) {
        const uint32_t c = utf8_before(text, at);
        if (!unicode_is_space(c))
            break;
        char form[4];
        at -= utf8_put(c, form);
    }
    return at;
}

size_t utf8_put(uint32_t c, char out[4])
{
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)c, (utf8proc_uint8_t *)out);
}

/* ---- classes ----------------------------------------------------------------------------- */

/* Letters and numbers newer than the oldest utf8proc. */
static const struct newer {
    uint32_t first, last;
    int number;
} newer[] = {
#include "host/prompt/vocab/letters.inc"
};

static int is_newer(uint32_t c, int number)
{
    size_t low = 0, high = sizeof newer / sizeof newer[0];
    while (low < high) {
        const size_t mid = (low + high) / 2;
        if (newer[mid].last < c)
            low = mid + 1;
        else
            high = mid;
    }
    return low < sizeof newer / sizeof newer[0] && newer[low].first <= c &&
           newer[low].number == number;
}

static utf8proc_category_t category(uint32_t c) { return utf8proc_category((utf8proc_int32_t)c); }

int unicode_is_letter(uint32_t c)
{
    if (c < 0x80)
        return (c | 32) >= 'a' && (c | 32) <= 'z';
    const utf8proc_category_t cat = category(c);
    return (cat >= UTF8PROC_CATEGORY_LU && cat <= UTF8PROC_CATEGORY_LO) ||
           (cat == UTF8PROC_CATEGORY_CN && is_newer(c, 0));
}

int unicode_is_number(uint32_t c)
{
    if (c < 0x80)
        return c >= '0' && c <= '9';
    const utf8proc_category_t cat = category(c);
    return (cat >= UTF8PROC_CATEGORY_ND && cat <= UTF8PROC_CATEGORY_NO) ||
           (cat == UTF8PROC_CATEGORY_CN && is_newer(c, 1));
}

int unicode_is_digit(uint32_t c)
{
    return c < 0x80 ? c >= '0' && c <= '9' : category(c) == UTF8PROC_CATEGORY_ND;
}

int unicode_is_word(uint32_t c) { return c == '_' || unicode_is_letter(c) || unicode_is_number(c); }

int unicode_is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

/* ---- growing code points ----------------------------------------------------------------- */

status codes_append(struct codes *codes, const uint32_t *from, size_t count)
{
    if (count > codes->room - codes->count) {
        size_t room = codes->room + codes->room / 2 + 64;
        if (room - codes->count < count)
            room = codes->count + count;
        uint32_t *grown = realloc(codes->at, room * sizeof *grown);
        if (grown == NULL)
            return status_fail(STATUS_NO_MEMORY, "text: no memory for %zu code points", room);
        codes->at = grown;
        codes->room = room;
    }
    if (count > 0)
        memcpy(codes->at + codes->count, from, count * sizeof *from);
    codes->count += count;
    return STATUS_OK;
}

status codes_push(struct codes *codes, uint32_t c) { return codes_append(codes, &c, 1); }

void codes_free(struct codes *codes)
{
    free(codes->at);
    *codes = (struct codes){ 0 };
}

/* ---- normal forms ------------------------------------------------------------------------ */

/* Decompositions of one character; the longest canonical one has 4, the longest other 18. */
enum { LONGEST = 32 };

static size_t decompose(uint32_t c, utf8proc_option_t options, utf8proc_int32_t out[LONGEST])
{
    int boundary = 0;
    const utf8proc_ssize_t n =
        utf8proc_decompose_char((utf8proc_int32_t)c, out, LONGEST, options, &boundary);
    if (n >= 1 && n <= LONGEST)
        return (size_t)n;
    out[0] = (utf8proc_int32_t)c;
    return 1;
}

struct mark {
    uint32_t c;
    int class;
    size_t place;
};

static int by_class(const void *a, const void *b)
{
    const struct mark *x = a, *y = b;
    return x->class != y->class ? (x->class > y->class) - (x->class < y->class)
                                : (x->place > y->place) - (x->place < y->place);
}

/* Puts the marks of each run into the order of their classes. utf8proc would do this by
 * exchanging neighbours, which a long run of marks makes quadratic. */
static status order_marks(uint32_t *at, size_t count)
{
    struct mark *run = NULL;
    size_t room = 0;
    for (size_t i = 0; i < count;) {
        size_t end = i;
        int sorted = 1, last = 0;
        for (; end < count; end++) {
            const int class = utf8proc_get_property((utf8proc_int32_t)at[end])->combining_class;
            if (class == 0)
                break;
            sorted &= class >= last;
            last = class;
        }
        if (!sorted) {
            if (end - i > room) {
                free(run);
                room = end - i;
                run = malloc(room * sizeof *run);
                if (run == NULL)
                    return status_fail(STATUS_NO_MEMORY, "text: no memory for %zu marks", room);
            }
            for (size_t k = i; k < end; k++)
                run[k - i] = (struct mark){
                    .c = at[k],
                    .class = utf8proc_get_property((utf8proc_int32_t)at[k])->combining_class,
                    .place = k,
                };
            qsort(run, end - i, sizeof *run, by_class);
            for (size_t k = i; k < end; k++)
                at[k] = run[k - i].c;
        }
        i = end + 1;
    }
    free(run);
    return STATUS_OK;
}

status unicode_compose(struct codes *codes)
{
    size_t plain = 0; /* below U+0300 nothing decomposes that does not compose again */
    while (plain < codes->count && codes->at[plain] < 0x300)
        plain++;
    if (plain == codes->count)
        return STATUS_OK;

    struct codes whole = { 0 };
    status s = STATUS_OK;
    for (size_t i = 0; i < codes->count && s == STATUS_OK; i++) {
        utf8proc_int32_t part[LONGEST];
        uint32_t parts[LONGEST];
        const size_t n = decompose(codes->at[i], UTF8PROC_DECOMPOSE, part);
        for (size_t k = 0; k < n; k++)
            parts[k] = (uint32_t)part[k];
        s = codes_append(&whole, parts, n);
    }
    if (s == STATUS_OK)
        s = order_marks(whole.at, whole.count);
    if (s != STATUS_OK) {
        codes_free(&whole);
        return s;
    }
    const utf8proc_ssize_t n =
        utf8proc_normalize_utf32((utf8proc_int32_t *)whole.at, (utf8proc_ssize_t)whole.count,
                                 UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (n >= 0)
        whole.count = (size_t)n;
    codes_free(codes);
    *codes = whole;
    return STATUS_OK;
}

size_t unicode_compatible(uint32_t c, uint32_t out[8])
{
    utf8proc_int32_t part[LONGEST];
    size_t n = decompose(c, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, part);
    const utf8proc_ssize_t composed =
        utf8proc_normalize_utf32(part, (utf8proc_ssize_t)n, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (composed >= 0)
        n = (size_t)composed;
    if (n > 8)
        n = 8;
    for (size_t i = 0; i < n; i++)
        out[i] = (uint32_t)part[i];
    return n;
}
