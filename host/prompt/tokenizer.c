/* host/prompt/tokenizer.c - cleaning, splitting into words, and byte pairs. */
#include "host/prompt/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "host/prompt/bpe.h"
#include "host/prompt/clean.h"
#include "host/prompt/unicode.h"

struct tokenizer {
    struct bpe *bpe;
    char *pieces;            /* texts of all ids, each NUL-terminated */
    size_t piece[TOKEN_END]; /* where each begins; TOKEN_START and TOKEN_END are literals */
};

static const char start_text[] = "<|startoftext|>", end_text[] = "<|endoftext|>";

/* ---- making ------------------------------------------------------------------------------ */

static status make_pieces(struct tokenizer *tokenizer)
{
    size_t room = 1 << 20, used = 0;
    tokenizer->pieces = malloc(room);
    for (int32_t id = 0; id < TOKEN_START && tokenizer->pieces != NULL;) {
        const size_t bytes = bpe_piece(id, tokenizer->pieces + used, room - used - 1);
        if (bytes > 0) {
            tokenizer->piece[id++] = used;
            used += bytes;
            tokenizer->pieces[used++] = '\0';
        } else {
            char *grown = realloc(tokenizer->pieces, room *= 2);
            if (grown == NULL)
                free(tokenizer->pieces);
            tokenizer->pieces = grown;
        }
    }
    return tokenizer->pieces != NULL ? STATUS_OK
                                     : status_fail(STATUS_NO_MEMORY, "tokenizer: no memory");
}

status tokenizer_create(struct tokenizer **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return status_fail(STATUS_NO_MEMORY, "tokenizer: no memory");
    status s = bpe_create(&(*out)->bpe);
    if (s == STATUS_OK)
        s = make_pieces(*out);
    if (s != STATUS_OK) {
        tokenizer_destroy(*out);
        *out = NULL;
    }
    return s;
}

void tokenizer_destroy(struct tokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return;
    bpe_destroy(tokenizer->bpe);
    free(tokenizer->pieces);
    free(tokenizer);
}

const char *tokenizer_piece(const struct tokenizer *tokenizer, int32_t id)
{
    if (id < 0 || id >= TOKEN_COUNT)
        return NULL;
    return id == TOKEN_START ? start_text
           : id == TOKEN_END ? end_text
                             : tokenizer->pieces + tokenizer->piece[id];
}

/* ---- words ------------------------------------------------------------------------------- */

/* Length of `literal` at text->at[i], 0 if it is not there. The tokeniser's pattern ignores case,
 * and to it a long s is an s. */
static size_t literal_at(const struct codes *text, size_t i, const char *literal)
{
    size_t n = 0;
    for (; literal[n] != '\0'; n++) {
        if (i + n == text->count)
            return 0;
        const uint32_t c = text->at[i + n] == 0x17f ? 's' : text->at[i + n];
        if (c != (unsigned char)literal[n])
            return 0;
    }
    return n;
}

static int is_white(uint32_t c)
{
    return unicode_is_space(c) && !(c >= 0x1c && c <= 0x1f); /* \s of the regex package */
}

/* Neither in a word nor one: white space, and U+0345, which the pattern loses. Ignoring case, it is
 * an iota, so it is in no negated set; but it is no letter either. */
static int is_between(uint32_t c) { return is_white(c) || c == 0x345; }

static int is_other(uint32_t c)
{
    return !is_between(c) && !unicode_is_letter(c) && !unicode_is_number(c);
}

/* Length of the word at text->at[i], which is_between() is not. */
static size_t word_at(const struct codes *text, size_t i)
{
    static const char *const first[] = { start_text, end_text, "'s",  "'t", "'re",
                                         "'ve",      "'m",     "'ll", "'d" };
    for (size_t k = 0; k < sizeof first / sizeof first[0]; k++) {
        const size_t n = literal_at(text, i, first[k]);
        if (n > 0)
            return n;
    }
    size_t end = i + 1;
    if (unicode_is_letter(text->at[i]))
        while (end < text->count && unicode_is_letter(text->at[end]))
            end++;
    else if (!unicode_is_number(text->at[i]))
        while (end < text->count && is_other(text->at[end]))
            end++;
    return end - i;
}

/* ---- ids --------------------------------------------------------------------------------- */

struct encoder {
    const struct tokenizer *tokenizer;
    struct bpe_work *work;
    char *word; /* UTF-8 of one word */
    size_t word_room;
    int32_t *ids;
    size_t count, room;
};

static status put_ids(struct encoder *encoder, const int32_t *ids, size_t count)
{
    if (count > encoder->room - encoder->count) {
        const size_t room = encoder->room + encoder->room / 2 + count + 16;
        int32_t *grown = realloc(encoder->ids, room * sizeof *grown);
        if (grown == NULL)
            return status_fail(STATUS_NO_MEMORY, "tokenizer: no memory for %zu tokens", room);
        encoder->ids = grown;
        encoder->room = room;
    }
    memcpy(encoder->ids + encoder->count, ids, count * sizeof *ids);
    encoder->count += count;
    return STATUS_OK;
}

static status put_word(struct encoder *encoder, const uint32_t *at, size_t count)
{
    if (4 * count > encoder->word_room) {
        free(encoder->word);
        encoder->word_room = 0;
        encoder->word = malloc(8 * count);
        if (encoder->word == NULL)
            return status_fail(STATUS_NO_MEMORY, "tokenizer: no memory for a word");
        encoder->word_room = 8 * count;
    }
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += utf8_put(at[i], encoder->word + bytes);
    const int32_t special[] = { TOKEN_START, TOKEN_END };
    if (bytes == sizeof start_text - 1 && memcmp(encoder->word, start_text, bytes) == 0)
        return put_ids(encoder, &special[0], 1);
    if (bytes == sizeof end_text - 1 && memcmp(encoder->word, end_text, bytes) == 0)
        return put_ids(encoder, &special[1], 1);
    const int32_t *ids;
    size_t n;
    TRY(bpe_encode(encoder->tokenizer->bpe, encoder->work, encoder->word, bytes, &ids, &n));
    return put_ids(encoder, ids, n);
}

/* Runs of white space to one space, none at either end. */
static void collapse(struct codes *text)
{
    size_t kept = 0;
    for (size_t i = 0; i < text->count; i++) {
        if (!is_white(text->at[i]))
            text->at[kept++] = text->at[i];
        else if (kept > 0 && text->at[kept - 1] != ' ')
            text->at[kept++] = ' ';
    }
    if (kept > 0 && text->at[kept - 1] == ' ')
        kept--;
    text->count = kept;
}

/* A stretch of the text without special token literals. */
static status put_stretch(struct encoder *encoder, struct codes *codes, const char *text,
                          size_t bytes)
{
    codes->count = 0;
    for (size_t at = 0; at < bytes;)
        TRY(codes_push(codes, utf8_next(text, bytes, &at)));
    TRY(clean_text(codes));
    collapse(codes);
    TRY(unicode_lower(codes));
    for (size_t i = 0; i < codes->count;) {
        if (is_between(codes->at[i])) {
            i++;
            continue;
        }
        const size_t n = word_at(codes, i);
        TRY(put_word(encoder, codes->at + i, n));
        i += n;
    }
    return STATUS_OK;
}

static int starts_with(const char *text, size_t bytes, const char *literal, size_t length)
{
    return bytes >= length && memcmp(text, literal, length) == 0;
}

/* Exact special token literals are cut out first; each rest is cleaned alone. */
static status put_text(struct encoder *encoder, struct codes *codes, const char *text, size_t bytes)
{
    size_t from = 0;
    for (size_t i = 0; i < bytes;) {
        const char *at = memchr(text + i, '<', bytes - i);
        if (at == NULL)
            break;
        i = (size_t)(at - text);
        const int start = starts_with(at, bytes - i, start_text, sizeof start_text - 1);
        if (!start && !starts_with(at, bytes - i, end_text, sizeof end_text - 1)) {
            i++;
            continue;
        }
        TRY(put_stretch(encoder, codes, text + from, i - from));
        const int32_t id = start ? TOKEN_START : TOKEN_END;
        TRY(put_ids(encoder, &id, 1));
        i += start ? sizeof start_text - 1 : sizeof end_text - 1;
        from = i;
    }
    return put_stretch(encoder, codes, text + from, bytes - from);
}

status tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t bytes,
                        int32_t **ids, size_t *count)
{
    *ids = NULL;
    *count = 0;
    struct encoder encoder = { .tokenizer = tokenizer };
    struct codes codes = { 0 };
    status s = bpe_work_create(&encoder.work);
    if (s == STATUS_OK)
        s = put_text(&encoder, &codes, text, bytes);
    bpe_work_destroy(encoder.work);
    free(encoder.word);
    codes_free(&codes);
    if (s != STATUS_OK) {
        free(encoder.ids);
        return s;
    }
    *ids = encoder.ids;
    *count = encoder.count;
    return STATUS_OK;
}
