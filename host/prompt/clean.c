/* host/prompt/clean.c */
#include "host/prompt/clean.h"

#include <string.h>

enum { LONGEST_NAME = 24, ESCAPE = 0x1b };

/* ---- entities ---------------------------------------------------------------------------- */

static int is_alnum(uint32_t c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* A semicolon is about to follow `out`: if a reference ends there, replaces it. What comes in its
 * place may be the beginning of another one ("&amp;lt;"), which its own semicolon will find. */
static int unescape_tail(struct codes *out, status *s)
{
    size_t start = out->count;
    while (start > 0 && out->count - start <= LONGEST_NAME && is_alnum(out->at[start - 1]))
        start--;
    const size_t letters = out->count - start;
    if (start > 0 && out->at[start - 1] == '#')
        start--;
    if (letters == 0 || letters > LONGEST_NAME || start == 0 || out->at[start - 1] != '&')
        return 0;

    char name[LONGEST_NAME + 2] = { 0 };
    for (size_t i = start; i < out->count; i++)
        name[i - start] = (char)out->at[i];
    const size_t whole = out->count;
    out->count = start - 1;
    if (clean_entity(name, out, s))
        return 1;
    out->count = whole;
    return 0;
}

static status unescape(const struct codes *in, struct codes *out)
{
    out->count = 0;
    for (size_t i = 0; i < in->count; i++) {
        status s = STATUS_OK;
        if (in->at[i] == ';' && unescape_tail(out, &s)) {
            TRY(s);
            /* "&semi;" may end an outer reference in turn */
            while (out->count > 0 && out->at[out->count - 1] == ';') {
                out->count--;
                if (!unescape_tail(out, &s)) {
                    TRY(codes_push(out, ';'));
                    break;
                }
                TRY(s);
            }
        } else {
            TRY(codes_push(out, in->at[i]));
        }
    }
    return STATUS_OK;
}

/* ---- one character for another ----------------------------------------------------------- */

/* C1 controls read as windows-1252; five of them it does not know either. */
static uint32_t fix_c1(uint32_t c)
{
    static const uint16_t upper[32] = {
        0x20ac, 0x81,   0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
        0x2039, 0x0152, 0x8d,   0x017d, 0x8f,   0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
        0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d,   0x017e, 0x0178,
    };
    return c >= 0x80 && c <= 0x9f ? upper[c - 0x80] : c;
}

static const struct ligature {
    uint32_t c;
    uint32_t letters[3];
} ligatures[] = {
    { 0x132, { 'I', 'J' } },       { 0x133, { 'i', 'j' } },       { 0x149, { 0x2bc, 'n' } },
    { 0x1c4, { 'D', 0x17d } },     { 0x1c5, { 'D', 0x17e } },     { 0x1c6, { 'd', 0x17e } },
    { 0x1c7, { 'L', 'J' } },       { 0x1c8, { 'L', 'j' } },       { 0x1c9, { 'l', 'j' } },
    { 0x1ca, { 'N', 'J' } },       { 0x1cb, { 'N', 'j' } },       { 0x1cc, { 'n', 'j' } },
    { 0x1f1, { 'D', 'Z' } },       { 0x1f2, { 'D', 'z' } },       { 0x1f3, { 'd', 'z' } },
    { 0xfb00, { 'f', 'f' } },      { 0xfb01, { 'f', 'i' } },      { 0xfb02, { 'f', 'l' } },
    { 0xfb03, { 'f', 'f', 'i' } }, { 0xfb04, { 'f', 'f', 'l' } }, { 0xfb05, { 0x17f, 't' } },
    { 0xfb06, { 's', 't' } },
};

static uint32_t straight(uint32_t c)
{
    if (c == 0x2bc || (c >= 0x2018 && c <= 0x201b))
        return '\'';
    return c >= 0x201c && c <= 0x201f ? '"' : c;
}

/* All that happens to one character by itself. Returns how many come of it. */
static size_t fix_one(uint32_t c, uint32_t out[8])
{
    c = fix_c1(c);
    out[0] = straight(c);
    if (c < 0x132)
        return 1;
    for (size_t i = 0; i < sizeof ligatures / sizeof ligatures[0]; i++)
        if (ligatures[i].c == c) {
            size_t n = 0;
            for (; n < 3 && ligatures[i].letters[n] != 0; n++)
                out[n] = straight(ligatures[i].letters[n]);
            return n;
        }
    if (c == 0x3000)
        out[0] = ' ';
    else if (c >= 0xff01 && c <= 0xffef)
        return unicode_compatible(c, out);
    else if (c == 0x2028 || c == 0x2029)
        out[0] = '\n';
    return 1;
}

static status fix_characters(const struct codes *in, struct codes *out)
{
    out->count = 0;
    for (size_t i = 0; i < in->count; i++) {
        uint32_t fixed[8];
        size_t n = fix_one(in->at[i], fixed);
        if (n == 1 && fixed[0] == '\r') {
            fixed[0] = '\n';
            if (i + 1 < in->count && in->at[i + 1] == '\n')
                continue; /* the pair is one break */
        }
        TRY(codes_append(out, fixed, n));
    }
    return STATUS_OK;
}

/* ---- what is dropped --------------------------------------------------------------------- */

/* Length of a terminal escape at text->at[i], "\033[1;31m"; 0 if there is none. */
static size_t escape_at(const struct codes *text, size_t i)
{
    if (text->at[i] != ESCAPE || i + 1 >= text->count || text->at[i + 1] != '[')
        return 0;
    size_t end = i + 2;
    while (end < text->count && (text->at[end] == ';' || unicode_is_digit(text->at[end])))
        end++;
    if (end == text->count || text->at[end] >= 0x80 || !unicode_is_letter(text->at[end]))
        return 0;
    return end + 1 - i;
}

static int is_control(uint32_t c)
{
    return c <= 0x08 || c == 0x0b || (c >= 0x0e && c <= 0x1f) || c == 0x7f ||
           (c >= 0x206a && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffc);
}

static void drop_controls(struct codes *text)
{
    size_t kept = 0;
    for (size_t i = 0; i < text->count;) {
        const size_t escape = escape_at(text, i);
        if (escape > 0) {
            i += escape;
            continue;
        }
        if (!is_control(text->at[i]))
            text->at[kept++] = text->at[i];
        i++;
    }
    text->count = kept;
}

/* ---- lines ------------------------------------------------------------------------------- */

static int is_plain(const uint32_t *at, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (at[i] >= 0x7f || at[i] == '&' || (at[i] < 0x20 && at[i] != '\n' && at[i] != '\t'))
            return 0;
    return 1;
}

static int equal(const struct codes *a, const struct codes *b)
{
    return a->count == b->count &&
           (a->count == 0 || memcmp(a->at, b->at, a->count * sizeof *a->at) == 0);
}

/* Repairs `line` until it stays as it is. `other` is scratch. */
static status clean_line(struct codes *line, struct codes *other, struct codes *before,
                         int entities)
{
    for (int round = 0; round < CLEAN_ROUNDS; round++) {
        before->count = 0;
        TRY(codes_append(before, line->at, line->count));
        if (entities) {
            TRY(unescape(before, other));
            TRY(fix_characters(other, line));
        } else {
            TRY(fix_characters(before, line));
        }
        drop_controls(line);
        TRY(unicode_compose(line));
        if (equal(line, before))
            break;
    }
    return STATUS_OK;
}

/* End of the line that starts at `start`, behind its newline. */
static size_t line_end(const struct codes *text, size_t start, int *angle)
{
    size_t i = start;
    while (i < text->count && i - start < CLEAN_LINE) {
        *angle |= text->at[i] == '<';
        if (text->at[i++] == '\n')
            break;
    }
    return i;
}

status clean_text(struct codes *text)
{
    if (is_plain(text->at, text->count))
        return STATUS_OK;
    struct codes out = { 0 }, line = { 0 }, other = { 0 }, before = { 0 };
    status s = STATUS_OK;
    int angle = 0; /* once a line has a '<', entities stay in it and in all that follow */
    for (size_t start = 0, end; start < text->count && s == STATUS_OK; start = end) {
        end = line_end(text, start, &angle);
        line.count = 0;
        s = codes_append(&line, text->at + start, end - start);
        if (s == STATUS_OK && !is_plain(line.at, line.count))
            s = clean_line(&line, &other, &before, !angle);
        if (s == STATUS_OK)
            s = codes_append(&out, line.at, line.count);
    }
    codes_free(&line);
    codes_free(&other);
    codes_free(&before);
    if (s != STATUS_OK) {
        codes_free(&out);
        return s;
    }
    codes_free(text);
    *text = out;
    return STATUS_OK;
}
