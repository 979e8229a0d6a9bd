/* host/prompt/infotext_write.c - generation parameters as text. */
#include <stdlib.h>
#include <string.h>

#include "host/prompt/bytes.h"
#include "host/prompt/infotext.h"
#include "host/prompt/number.h"
#include "host/prompt/unicode.h"

/* Before 1.3 a comma asks for quotes, from 1.3 a newline too, from 1.4 a colon too. */
static int needs_quotes(const char *value, const struct compat *compat)
{
    if (strchr(value, ',') != NULL)
        return 1;
    if (compat_at_least(compat, 1, 3) && strchr(value, '\n') != NULL)
        return 1;
    return compat_at_least(compat, 1, 4) && strchr(value, ':') != NULL;
}

/* One character between quotes: backslash and quote escaped, from 1.3 controls as JSON has them. */
static status put_escaped(struct bytes *out, char c, int json)
{
    static const char from[] = "\n\r\t\b\f", to[] = "nrtbf";
    const char *known = json && c != '\0' ? strchr(from, c) : NULL;
    if (c == '"' || c == '\\')
        return bytes_append(out, (char[]){ '\\', c }, 2);
    if (known != NULL)
        return bytes_append(out, (char[]){ '\\', to[known - from] }, 2);
    if (json && (unsigned char)c < 0x20) {
        static const char hex[] = "0123456789abcdef";
        return bytes_append(out, (char[]){ '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] }, 6);
    }
    return bytes_append(out, &c, 1);
}

static status put_value(struct bytes *out, const char *value, const struct compat *compat)
{
    if (!needs_quotes(value, compat))
        return bytes_text(out, value);
    TRY(bytes_text(out, "\""));
    for (const char *c = value; *c != '\0'; c++)
        TRY(put_escaped(out, *c, compat_at_least(compat, 1, 3)));
    return bytes_text(out, "\"");
}

static status put_pairs(struct bytes *out, const struct infotext_pair *pair, size_t count,
                        const struct compat *compat)
{
    int first = 1;
    for (size_t i = 0; i < count; i++) {
        if (pair[i].value == NULL)
            continue;
        if (!first)
            TRY(bytes_text(out, ", "));
        first = 0;
        TRY(bytes_text(out, pair[i].key));
        if (strcmp(pair[i].key, pair[i].value) == 0)
            continue;
        TRY(bytes_text(out, ": "));
        TRY(put_value(out, pair[i].value, compat));
    }
    return STATUS_OK;
}

static status put_all(struct bytes *out, const char *prompt, const char *negative,
                      const struct infotext_pair *pair, size_t count, const struct compat *compat)
{
    TRY(bytes_text(out, prompt != NULL ? prompt : ""));
    if (negative != NULL && *negative != '\0') {
        TRY(bytes_text(out, "\nNegative prompt: "));
        TRY(bytes_text(out, negative));
    }
    TRY(bytes_text(out, "\n"));
    return put_pairs(out, pair, count, compat);
}

status infotext_write(const char *prompt, const char *negative, const struct infotext_pair *pair,
                      size_t count, const struct compat *compat, char **text)
{
    *text = NULL;
    struct bytes out = { 0 };
    status s = put_all(&out, prompt, negative, pair, count, compat);
    if (s == STATUS_OK)
        s = bytes_end(&out);
    if (s != STATUS_OK) {
        bytes_free(&out);
        return s;
    }
    size_t bytes = out.count - 1;
    const size_t first = utf8_skip_space(out.at, bytes, 0);
    bytes = first < bytes ? utf8_trim_space(out.at, bytes) : first;
    memmove(out.at, out.at + first, bytes - first);
    out.at[bytes - first] = '\0';
    *text = out.at;
    return STATUS_OK;
}

void infotext_number(double value, char *out, size_t size) { number_print(value, out, size); }
