/* tests/fuzz/fuzz_prompt.c - the whole way of a prompt, as far as chunks, by both sets of rules. */
#include <stdlib.h>
#include <string.h>

#include "host/prompt/prompt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tokenizer *tokenizer;
static struct prompt_embeddings *embeddings;

static void check_chunks(const struct prompt_chunks *chunks)
{
    for (size_t i = 0; i < chunks->count; i++) {
        const struct prompt_chunk *chunk = &chunks->chunk[i];
        if (chunk->ids[0] != TOKEN_START || chunk->ids[PROMPT_CHUNK - 1] != TOKEN_END)
            abort();
        for (size_t k = 0; k < chunk->fixes; k++)
            if (chunk->fix[k].offset < 0 || chunk->fix[k].offset >= PROMPT_CHUNK_TEXT)
                abort();
    }
}

static void run_part(const struct prompt_text *part, const struct prompt_rules *rules)
{
    struct prompt_schedule *schedule;
    if (prompt_schedule(part->data, part->bytes, 12, rules, &schedule) != STATUS_OK)
        return;
    for (size_t i = 0; i < schedule->count; i++) {
        const struct prompt_text *text = &schedule->entry[i].text;
        struct prompt_chunks *chunks;
        if (prompt_chunks(tokenizer, text->data, text->bytes, embeddings, rules, &chunks) !=
            STATUS_OK)
            continue;
        check_chunks(chunks);
        prompt_chunks_free(chunks);
    }
    prompt_schedule_free(schedule);
}

static void run(const char *text, size_t bytes, const char *version)
{
    struct compat compat;
    struct prompt_tags *tags;
    struct prompt_parts *parts;
    if (compat_parse(version, &compat) != STATUS_OK)
        abort();
    const struct prompt_rules rules = prompt_rules_of(&compat);
    if (prompt_extract_tags(text, bytes, &tags) != STATUS_OK)
        return;
    double te, unet;
    for (size_t i = 0; i < tags->count; i++)
        prompt_tag_weights(&tags->tag[i], &compat, &te, &unet);
    if (prompt_parts(tags->text.data, tags->text.bytes, &parts) == STATUS_OK) {
        for (size_t i = 0; i < parts->count; i++)
            run_part(&parts->part[i].text, &rules);
        prompt_parts_free(parts);
    }
    prompt_tags_free(tags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct prompt_embedding list[] = { { "a", 3 }, { "bad-hands-5", 2 }, { "b", 75 } };
    if (tokenizer == NULL && (tokenizer_create(&tokenizer) != STATUS_OK ||
                              prompt_embeddings_create(tokenizer, list, 3, &embeddings)))
        abort();
    run((const char *)data, size, "1.1");
    run((const char *)data, size, "1.6");
    return 0;
}
