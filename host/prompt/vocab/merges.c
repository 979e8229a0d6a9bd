/* vocab/merges.c - build time: bpe_merges.txt to rows of { left id, right id }.
 *
 * Row r makes the token 512 + r. Ids 0 to 255 are the bytes in CLIP's order, 256 to 511 the same at
 * the end of a word, then come the merges; a merge names its halves by their text.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MERGES = 48894, BASE = 512, SLOTS = 1 << 18, LONGEST = 256 };

static struct slot {
    char *text;
    int id;
} table[SLOTS];

static struct slot *slot_of(const char *text)
{
    uint32_t hash = 2166136261u;
    for (const char *c = text; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    struct slot *slot = &table[hash % SLOTS];
    while (slot->text != NULL && strcmp(slot->text, text) != 0)
        slot = slot == &table[SLOTS - 1] ? table : slot + 1;
    return slot;
}

static void remember(const char *text, int id)
{
    struct slot *slot = slot_of(text);
    const size_t bytes = strlen(text) + 1;
    if (slot->text != NULL || (slot->text = malloc(bytes)) == NULL) {
        fprintf(stderr, "merges: %s is there twice\n", text);
        exit(1);
    }
    memcpy(slot->text, text, bytes);
    slot->id = id;
}

static void remember_byte(int id, unsigned letter)
{
    char text[8];
    const int one = letter < 0x80;
    snprintf(text, sizeof text, one ? "%c" : "%c%c", one ? (int)letter : (int)(0xc0 | letter >> 6),
             (int)(0x80 | (letter & 0x3f)));
    remember(text, id);
    strcat(text, "</w>");
    remember(text, id + 256);
}

/* The 188 printable bytes of latin-1 stand for themselves; the others are U+0100 and on. */
static void remember_alphabet(void)
{
    int id = 0;
    for (unsigned b = 0; b < 256; b++)
        if ((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174)
            remember_byte(id++, b);
    for (unsigned other = 256; id < 256; other++)
        remember_byte(id++, other);
}

static int known(const char *text)
{
    const struct slot *slot = slot_of(text);
    if (slot->text == NULL) {
        fprintf(stderr, "merges: %s is not made before it is used\n", text);
        exit(1);
    }
    return slot->id;
}

int main(int argc, char **argv)
{
    FILE *in = argc == 3 ? fopen(argv[1], "rb") : NULL;
    FILE *out = in != NULL ? fopen(argv[2], "wb") : NULL;
    if (out == NULL) {
        fprintf(stderr, "usage: merges bpe_merges.txt OUT\n");
        return 2;
    }
    remember_alphabet();
    char left[LONGEST], right[LONGEST], whole[2 * LONGEST];
    for (int row = 0; row < MERGES; row++) {
        if (fscanf(in, "%255s %255s", left, right) != 2) {
            fprintf(stderr, "merges: row %d is missing\n", row);
            return 1;
        }
        fprintf(out, "{ %d, %d },\n", known(left), known(right));
        snprintf(whole, sizeof whole, "%s%s", left, right);
        remember(whole, BASE + row);
    }
    fclose(in);
    return fclose(out) == 0 ? 0 : 1;
}
