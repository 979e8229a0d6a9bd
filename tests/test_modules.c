/* tests/test_modules.c - the table of modules against the parameters of the networks as written in
 * PyTorch, name by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>

#include "host/model/modules.h"

enum { LINE = 256, MOST = 2048 };

static int compare_lines(const void *a, const void *b)
{
    return strcmp((const char *)a, (const char *)b);
}

static void shape_text(const struct module_row *row, char *out, size_t size)
{
    if (row->kind == MODULE_CONV2D)
        snprintf(out, size, "%d %d %d %d", row->out, row->in, row->kernel, row->kernel);
    else if (row->kind == MODULE_NORM)
        snprintf(out, size, "%d", row->out);
    else
        snprintf(out, size, "%d %d", row->out, row->in);
}

/* Lines "name shape\n" of all parameters, sorted. */
static size_t table_lines(const struct modules *modules, char (*lines)[LINE])
{
    size_t count = 0;
    for (size_t i = 0; i < modules->count; i++) {
        const struct module_row *row = &modules->rows[i];
        char shape[64];
        shape_text(row, shape, sizeof shape);
        snprintf(lines[count++], LINE, "%s.weight %s\n", row->name, shape);
        if (row->has_bias)
            snprintf(lines[count++], LINE, "%s.bias %d\n", row->name, row->out);
    }
    qsort(lines, count, LINE, compare_lines);
    return count;
}

static void every_parameter_of_the_full_networks_is_listed(void **state)
{
    (void)state;
    const struct sd1_sizes full = modules_sd1_sizes();
    struct modules *modules;
    assert_int_equal(modules_create(&full, &modules), STATUS_OK);
    char(*got)[LINE] = malloc(MOST * LINE), (*want)[LINE] = malloc(MOST * LINE);
    const size_t count = table_lines(modules, got);

    gzFile file = gzopen(TEST_SOURCE_DIR "/tests/vectors/model/modules.txt.gz", "rb");
    assert_non_null(file);
    size_t wanted = 0;
    while (wanted < MOST && gzgets(file, want[wanted], LINE) != NULL)
        wanted++;
    gzclose(file);
    qsort(want, wanted, LINE, compare_lines);
    for (size_t i = 0; i < count && i < wanted; i++)
        assert_string_equal(got[i], want[i]);
    assert_int_equal(count, wanted);
    assert_int_equal(count, 686 + 248 + 196); /* and position_ids, which is no module */
    free(got);
    free(want);
    modules_destroy(modules);
}

static void parameters_add_up_to_the_published_counts(void **state)
{
    (void)state;
    const struct sd1_sizes full = modules_sd1_sizes();
    struct modules *modules;
    assert_int_equal(modules_create(&full, &modules), STATUS_OK);
    assert_int_equal(modules_parameters(modules, MODULE_TEXT), 123060480);
    assert_int_equal(modules_parameters(modules, MODULE_UNET), 859520964);
    size_t vae = 0;
    for (size_t i = 0; i < modules->count; i++)
        if (modules->rows[i].part == MODULE_VAE)
            vae += module_parameters(&modules->rows[i]);
    assert_int_equal(vae, 83653863);
    modules_destroy(modules);
}

static void a_model_without_an_encoder_has_no_rows_of_one(void **state)
{
    (void)state;
    struct sd1_sizes sizes = modules_sd1_sizes();
    memset(sizes.encoder_width, 0, sizeof sizes.encoder_width);
    struct modules *modules;
    assert_int_equal(modules_create(&sizes, &modules), STATUS_OK);
    assert_int_equal(modules->encoder_first, modules->count);
    assert_null(modules_find(modules, "first_stage_model.quant_conv"));
    assert_non_null(modules_find(modules, "first_stage_model.post_quant_conv"));
    modules_destroy(modules);
}

static void the_most_layers_fit(void **state)
{
    (void)state;
    struct sd1_sizes sizes = modules_sd1_sizes();
    sizes.text_layers = 64;
    struct modules *modules;
    assert_int_equal(modules_create(&sizes, &modules), STATUS_OK);
    const char *last = "cond_stage_model.transformer.text_model.encoder.layers.63.mlp.fc2";
    const struct module_row *row = modules_find(modules, last);
    assert_non_null(row);
    assert_int_equal(row->in, 3072);
    modules_destroy(modules);
}

static void sizes_that_no_network_has_are_refused(void **state)
{
    (void)state;
    struct sd1_sizes good = modules_sd1_sizes();
    struct sd1_sizes bad[10];
    for (int i = 0; i < 10; i++)
        bad[i] = good;
    bad[0].text_layers = 0;
    bad[1].unet_width[2] = 100;
    bad[2].decoder_width[0] = 0;
    bad[3].text_heads = 7;
    bad[4].unet_in = 9;
    bad[5].vocabulary = -1;
    bad[6].unet_width[0] = 1 << 20;
    bad[7].encoder_width[3] = 1;
    bad[8].text_layers = 65;
    bad[9].positions = 0;
    for (int i = 0; i < 10; i++) {
        struct modules *modules = (struct modules *)&good;
        assert_int_equal(modules_create(&bad[i], &modules), STATUS_BAD_SHAPE);
        assert_null(modules);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_parameter_of_the_full_networks_is_listed),
        cmocka_unit_test(parameters_add_up_to_the_published_counts),
        cmocka_unit_test(a_model_without_an_encoder_has_no_rows_of_one),
        cmocka_unit_test(the_most_layers_fit),
        cmocka_unit_test(sizes_that_no_network_has_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
