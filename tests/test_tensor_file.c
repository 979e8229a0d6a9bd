/* tests/test_tensor_file.c - files that torch and safetensors wrote, against what those libraries
 * say is in them (tests/vectors/formats/expected.tsv), and files that have to be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "weights/tensor_file.h"

static const char folder[] = TEST_SOURCE_DIR "/tests/vectors/formats";

/* ---- the table of facts -------------------------------------------------------------- */

struct facts {
    FILE *from;
    char *line;
    size_t cap;
    char *fields[6];
    int count;
};

static int next_fact(struct facts *facts)
{
    const ssize_t length = getline(&facts->line, &facts->cap, facts->from);
    if (length <= 0)
        return 0;
    facts->line[strcspn(facts->line, "\n")] = 0;
    facts->count = 0;
    for (char *at = facts->line; at != NULL && facts->count < 6;) {
        facts->fields[facts->count++] = at;
        at = strchr(at, '\t');
        if (at != NULL)
            *at++ = 0;
    }
    return 1;
}

static struct facts open_facts(void)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/expected.tsv", folder);
    struct facts facts = { .from = fopen(path, "r") };
    assert_non_null(facts.from);
    return facts;
}

static void close_facts(struct facts *facts)
{
    fclose(facts->from);
    free(facts->line);
}

static status open_vector(const char *name, struct tensor_file **file)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return tensor_file_open(path, file);
}

/* ---- what the libraries wrote -------------------------------------------------------- */

static void check_tensor(const struct tensor_file *file, char **fields)
{
    const struct tensor *tensor = tensor_file_find(file, fields[1]);
    if (tensor == NULL)
        fail_msg("%s has no tensor \"%s\"", tensor_file_path(file), fields[1]);
    assert_string_equal(tensor->name, fields[1]);
    assert_string_equal(dtype_name(tensor->dtype), fields[2]);

    int rank = 0;
    for (char *at = fields[3]; *at != 0; at += *at == ',', rank++) {
        assert_true(rank < tensor->rank);
        assert_int_equal(tensor->shape[rank], strtoull(at, &at, 10));
    }
    assert_int_equal(tensor->rank, rank);
    for (; rank < TENSOR_MAX_RANK; rank++)
        assert_int_equal(tensor->shape[rank], 0);

    assert_int_equal(2 * tensor->bytes, strlen(fields[4]));
    for (size_t i = 0; i < tensor->bytes; i++) {
        unsigned byte;
        assert_int_equal(sscanf(fields[4] + 2 * i, "%2x", &byte), 1);
        if (((const unsigned char *)tensor->data)[i] != byte)
            fail_msg("%s, tensor \"%s\", byte %zu", tensor_file_path(file), fields[1], i);
    }
}

static void check_file(const struct tensor_file *file, char **fields)
{
    static const char *const formats[] = { "safetensors", "zip", "legacy" };
    assert_string_equal(formats[tensor_file_format(file)], fields[2]);
    if (tensor_file_count(file) != strtoull(fields[3], NULL, 10))
        for (size_t i = 0; i < tensor_file_count(file); i++)
            print_message("%s\n", tensor_file_at(file, i)->name);
    assert_int_equal(tensor_file_count(file), strtoull(fields[3], NULL, 10));
    for (size_t i = 0; i < tensor_file_count(file); i++) {
        const struct tensor *tensor = tensor_file_at(file, i);
        assert_ptr_equal(tensor_file_find(file, tensor->name), tensor);
    }
    assert_null(tensor_file_at(file, tensor_file_count(file)));
    assert_null(tensor_file_find(file, "no such tensor"));
    assert_null(tensor_file_note(file, "no such note"));
    assert_int_equal(tensor_file_unchanged(file), STATUS_OK);
}

static void check_class(const struct tensor_file *file, const char *name)
{
    assert_int_equal(tensor_file_class_count(file), 1);
    assert_string_equal(tensor_file_class_at(file, 0), name);
    assert_null(tensor_file_class_at(file, 1));
}

static void files_hold_what_their_libraries_wrote(void **state)
{
    (void)state;
    struct facts facts = open_facts();
    struct tensor_file *file = NULL;
    int files = 0, tensors = 0, notes = 0;
    while (next_fact(&facts)) {
        char **fields = facts.fields;
        if (strcmp(fields[0], "file") == 0) {
            tensor_file_close(file);
            if (open_vector(fields[1], &file) != STATUS_OK)
                fail_msg("%s", status_text());
            check_file(file, fields);
            files++;
        } else if (strcmp(fields[0], "tensor") == 0) {
            check_tensor(file, fields);
            tensors++;
        } else if (strcmp(fields[0], "note") == 0) {
            const char *note = tensor_file_note(file, fields[1]);
            if (note == NULL)
                fail_msg("%s has no note \"%s\"", tensor_file_path(file), fields[1]);
            assert_string_equal(note, fields[2]);
            notes++;
        } else if (strcmp(fields[0], "class") == 0) {
            check_class(file, fields[1]);
        }
    }
    tensor_file_close(file);
    close_facts(&facts);
    assert_true(files >= 16 && tensors > 150 && notes > 100);
}

static void bad_files_are_refused_with_a_reason(void **state)
{
    (void)state;
    struct facts facts = open_facts();
    int files = 0;
    while (next_fact(&facts)) {
        struct tensor_file *file = (struct tensor_file *)&files; /* has to become null */
        if (strcmp(facts.fields[0], "refused") != 0)
            continue;
        const status code = open_vector(facts.fields[1], &file);
        if (code != STATUS_BAD_FILE && code != STATUS_UNSUPPORTED)
            fail_msg("%s: %s", facts.fields[1], status_name(code));
        assert_null(file);
        const char *name = strstr(status_text(), facts.fields[1]);
        const size_t length = strlen(facts.fields[1]);
        if (name == NULL || strstr(name + length, facts.fields[2]) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", facts.fields[1], status_text(),
                     facts.fields[2]);
        files++;
    }
    close_facts(&facts);
    assert_true(files >= 50);
}

/* ---- values -------------------------------------------------------------------------- */

static void tensors_widen_to_f32(void **state)
{
    (void)state;
    struct tensor_file *file;
    float wide[6], scalar;
    assert_int_equal(open_vector("dtypes.safetensors", &file), STATUS_OK);
    const struct tensor *half = tensor_file_find(file, "x.f16");
    assert_int_equal(tensor_elements(half), 6);
    tensor_to_f32(half, wide);
    for (size_t i = 0; i < 6; i++)
        assert_true((double)wide[i] == dtype_value(half->data, DTYPE_F16, i));
    const struct tensor *four = tensor_file_find(file, "scalar");
    assert_int_equal(four->rank, 0);
    assert_int_equal(tensor_elements(four), 1);
    tensor_to_f32(four, &scalar);
    assert_true(scalar == 4.0f);
    const struct tensor *empty = tensor_file_find(file, "empty");
    assert_int_equal(tensor_elements(empty), 0);
    tensor_to_f32(empty, NULL);
    tensor_file_close(file);
}

static void tensors_of_one_storage_share_its_bytes(void **state)
{
    (void)state;
    struct tensor_file *file;
    assert_int_equal(open_vector("nested.ckpt", &file), STATUS_OK);
    assert_ptr_equal(tensor_file_find(file, "state_dict/betas")->data,
                     tensor_file_find(file, "state_dict/tied")->data);
    tensor_file_close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_hold_what_their_libraries_wrote),
        cmocka_unit_test(bad_files_are_refused_with_a_reason),
        cmocka_unit_test(tensors_widen_to_f32),
        cmocka_unit_test(tensors_of_one_storage_share_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
