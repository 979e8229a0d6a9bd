/* host/prompt/lower.c - str.lower of Python: simple mappings, and the two that are not simple.
 *
 * source  Unicode 15, section 3.13 (Final_Sigma) and SpecialCasing; derived properties Cased and
 *         Case_Ignorable after DerivedCoreProperties
 */
#include <utf8proc.h>

#include "host/prompt/unicode.h"

enum { SIGMA = 0x3a3, SMALL_SIGMA = 0x3c3, FINAL_SIGMA = 0x3c2, DOTTED_I = 0x130, DOT = 0x307 };

struct range {
    uint32_t first, last;
};

/* Other_Lowercase and Other_Uppercase: cased without being in category Ll, Lu or Lt. */
static const struct range other_cased[] = {
    { 0xaa, 0xaa },       { 0xba, 0xba },       { 0x2b0, 0x2b8 },     { 0x2c0, 0x2c1 },
    { 0x2e0, 0x2e4 },     { 0x345, 0x345 },     { 0x37a, 0x37a },     { 0x1d2c, 0x1d6a },
    { 0x1d78, 0x1d78 },   { 0x1d9b, 0x1dbf },   { 0x2071, 0x2071 },   { 0x207f, 0x207f },
    { 0x2090, 0x209c },   { 0x2160, 0x217f },   { 0x24b6, 0x24e9 },   { 0x2c7c, 0x2c7d },
    { 0xa69c, 0xa69d },   { 0xa770, 0xa770 },   { 0xa7f8, 0xa7f9 },   { 0xab5c, 0xab5f },
    { 0x10780, 0x10780 }, { 0x10783, 0x10785 }, { 0x10787, 0x107b0 }, { 0x107b2, 0x107ba },
    { 0x1f130, 0x1f149 }, { 0x1f150, 0x1f169 }, { 0x1f170, 0x1f189 },
};

/* Word_Break MidLetter, MidNumLet and Single_Quote: ignorable without being a mark or modifier. */
static const uint32_t mid_word[] = { 0x27,   0x2e,   0x3a,   0xb7,   0x387,  0x55f,
                                     0x5f4,  0x2018, 0x2019, 0x2024, 0x2027, 0xfe13,
                                     0xfe52, 0xfe55, 0xff07, 0xff0e, 0xff1a };

static int is_ignorable(uint32_t c)
{
    for (size_t i = 0; i < sizeof mid_word / sizeof mid_word[0]; i++)
        if (mid_word[i] == c)
            return 1;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return 1;
    default:
        return 0;
    }
}

static int is_cased(uint32_t c)
{
    const utf8proc_category_t cat = utf8proc_category((utf8proc_int32_t)c);
    if (cat == UTF8PROC_CATEGORY_LU || cat == UTF8PROC_CATEGORY_LL || cat == UTF8PROC_CATEGORY_LT)
        return 1;
    for (size_t i = 0; i < sizeof other_cased / sizeof other_cased[0]; i++)
        if (c >= other_cased[i].first && c <= other_cased[i].last)
            return 1;
    return 0;
}

/* A sigma is final if a cased letter stands before it and none behind, ignorables passed over. */
static uint32_t lower_sigma(const struct codes *text, size_t i)
{
    size_t before = i;
    while (before > 0 && is_ignorable(text->at[before - 1]))
        before--;
    if (before == 0 || !is_cased(text->at[before - 1]))
        return SMALL_SIGMA;
    size_t after = i + 1;
    while (after < text->count && is_ignorable(text->at[after]))
        after++;
    return after < text->count && is_cased(text->at[after]) ? SMALL_SIGMA : FINAL_SIGMA;
}

status unicode_lower(struct codes *codes)
{
    struct codes out = { 0 };
    status s = STATUS_OK;
    for (size_t i = 0; i < codes->count && s == STATUS_OK; i++) {
        const uint32_t c = codes->at[i];
        if (c == DOTTED_I) {
            s = codes_push(&out, 'i');
            if (s == STATUS_OK)
                s = codes_push(&out, DOT);
        } else if (c == SIGMA) {
            s = codes_push(&out, lower_sigma(codes, i));
        } else {
            s = codes_push(&out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
        }
    }
    if (s != STATUS_OK) {
        codes_free(&out);
        return s;
    }
    codes_free(codes);
    *codes = out;
    return STATUS_OK;
}
