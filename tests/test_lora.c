/* tests/test_lora.c - what every kind of LoRA adds, against deltas from PyTorch
 * (tools/vectors/lora.py); names, multipliers, what is left over and what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host/model/modules.h"
#include "tests/weights_fixture.h"
#include "weights/checkpoint.h"
#include "weights/lora.h"

#define TEXT "cond_stage_model.transformer.text_model."
#define UNET "model.diffusion_model."
#define VECTORS TEST_SOURCE_DIR "/tests/vectors/lora/"

/* The same table as in tools/vectors/lora.py. */
static const struct module_row rows[] = {
    { UNET "input_blocks.1.1.transformer_blocks.0.attn1.to_q", MODULE_UNET, MODULE_LINEAR, 0, 12,
      12, 1 },
    { UNET "input_blocks.1.1.transformer_blocks.0.attn1.to_out.0", MODULE_UNET, MODULE_LINEAR, 1,
      12, 12, 1 },
    { UNET "middle_block.1.proj_in", MODULE_UNET, MODULE_CONV2D, 1, 12, 12, 1 },
    { UNET "input_blocks.4.0.in_layers.2", MODULE_UNET, MODULE_CONV2D, 1, 12, 8, 3 },
    { UNET "input_blocks.6.0.op", MODULE_UNET, MODULE_CONV2D, 1, 8, 8, 3 },
    { UNET "output_blocks.5.2.conv", MODULE_UNET, MODULE_CONV2D, 1, 8, 8, 3 },
    { UNET "output_blocks.3.1.transformer_blocks.0.ff.net.0.proj", MODULE_UNET, MODULE_LINEAR, 1,
      24, 6, 1 },
    { UNET "input_blocks.4.0.in_layers.0", MODULE_UNET, MODULE_NORM, 1, 8, 1, 1 },
    { TEXT "encoder.layers.0.self_attn.q_proj", MODULE_TEXT, MODULE_LINEAR, 1, 10, 10, 1 },
    { TEXT "encoder.layers.0.mlp.fc1", MODULE_TEXT, MODULE_LINEAR, 1, 20, 10, 1 },
};
enum { ROWS = sizeof rows / sizeof rows[0], MOST = 24 * 10 * 9 };

static const struct lora_use use = { .te = 0.5, .unet = -1.25, .compat = { 1, 1, 1, 0 } };

static struct lora *open_vector(const char *file)
{
    struct lora *lora;
    char path[512];
    snprintf(path, sizeof path, VECTORS "%s", file);
    if (lora_open(path, rows, ROWS, &lora) != STATUS_OK)
        fail_msg("%s", status_text());
    return lora;
}

static size_t width_of(const struct module_row *row)
{
    return (size_t)row->in * (size_t)row->kernel * (size_t)row->kernel;
}

/* ---- deltas ------------------------------------------------------------------------------ */

/* Sums of at most 16 products of values below 2, in f32: 1e-5 is ten times what they can lose. */
static void assert_same(const float *got, const struct tensor *want, size_t count, const char *what)
{
    for (size_t i = 0; i < count; i++) {
        const double w = want == NULL ? 0 : dtype_value(want->data, want->dtype, i);
        if (!(fabs((double)got[i] - w) <= 1e-5))
            fail_msg("%s: element %zu is %g, %g is wanted", what, i, (double)got[i], w);
    }
}

/* Adds one row's delta to zeros, and holds it against what PyTorch says: 1 if that is something. */
static size_t check_row(const struct lora *lora, const char *file, size_t row,
                        const struct tensor_file *expected)
{
    float weight[MOST] = { 0 }, bias[32] = { 0 }, base[MOST] = { 0 };
    struct lora_delta delta;
    char key[512];
    const size_t count = (size_t)rows[row].out * width_of(&rows[row]);
    for (size_t i = 0; i < count; i++)
        base[i] = (float)((int)(i * 7 % 11) - 5) / 8;
    assert_int_equal(lora_delta(lora, row, &use, base, &delta), STATUS_OK);
    lora_delta_add(&delta, &rows[row], weight, bias);
    lora_delta_free(&delta);

    snprintf(key, sizeof key, "%s|%s|weight", file, rows[row].name);
    const struct tensor *want = tensor_file_find(expected, key);
    assert_true(want == NULL || tensor_elements(want) == count);
    assert_same(weight, want, count, key);
    snprintf(key, sizeof key, "%s|%s|bias", file, rows[row].name);
    const struct tensor *want_bias = tensor_file_find(expected, key);
    assert_same(bias, want_bias, (size_t)rows[row].out, key);
    assert_int_equal(lora_touches(lora, row), want != NULL);
    return (want != NULL) + (want_bias != NULL);
}

static void every_family_adds_what_pytorch_says(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        size_t unused;
    } files[] = {
        { "kohya.safetensors", 3 },      { "plain.pt", 0 },
        { "ldm_names.safetensors", 0 },  { "alpha0.safetensors", 0 },
        { "mid.safetensors", 0 },        { "loha.safetensors", 0 },
        { "lokr.safetensors", 0 },       { "full.safetensors", 1 },
        { "ia3.safetensors", 0 },        { "processor.safetensors", 0 },
        { "no_prefix.safetensors", 0 },  { "linear_layer.safetensors", 0 },
        { "lora_dot.safetensors", 0 },   { "peft.safetensors", 0 },
        { "peft_model.safetensors", 0 },
    };
    struct tensor_file *expected;
    size_t checked = 0;
    assert_int_equal(tensor_file_open(VECTORS "expected.safetensors", &expected), STATUS_OK);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct lora *lora = open_vector(files[i].file);
        for (size_t row = 0; row < ROWS; row++)
            checked += check_row(lora, files[i].file, row, expected);
        if (lora_unused_count(lora) != files[i].unused)
            fail_msg("%s: %zu unused keys, the first is %s", files[i].file, lora_unused_count(lora),
                     lora_unused_at(lora, 0)->key);
        lora_close(lora);
    }
    assert_int_equal(checked, tensor_file_count(expected)); /* every recorded delta was reached */
    tensor_file_close(expected);
}

static void alpha_zero_adds_nothing_from_1_5_on(void **state)
{
    (void)state;
    struct lora *lora = open_vector("alpha0.safetensors");
    struct lora_use later = use;
    struct lora_delta delta;
    later.compat = (struct compat){ 1, 5, 0, 0 };
    assert_int_equal(lora_delta(lora, 0, &later, NULL, &delta), STATUS_OK);
    assert_true(delta.scale == 0);
    lora_delta_free(&delta);
    lora_close(lora);
}

static void plain_loras_stay_factors(void **state)
{
    (void)state;
    struct lora *lora = open_vector("kohya.safetensors");
    struct lora_delta delta;
    assert_int_equal(lora_delta(lora, 3, &use, NULL, &delta), STATUS_OK);
    assert_true(delta.rank == 2 && delta.up != NULL && delta.down != NULL && delta.full == NULL);
    assert_true(delta.scale == -0.625F);
    lora_delta_free(&delta);
    lora_close(lora);
}

static void a_weight_of_zero_leaves_modules_alone(void **state)
{
    (void)state;
    struct lora *lora = open_vector("kohya.safetensors");
    struct lora_use none = use;
    struct lora_delta delta;
    none.te = 0;
    assert_true(lora_has_text(lora));
    assert_int_equal(lora_delta(lora, 8, &none, NULL, &delta), STATUS_OK);
    assert_true(delta.up == NULL && delta.full == NULL && delta.scale == 0);
    float weight[100] = { [7] = -0.0F };
    lora_delta_add(&delta, &rows[8], weight, NULL);
    assert_true(signbit(weight[7])); /* not even a zero was added */
    assert_int_equal(lora_delta(lora, 0, &none, NULL, &delta), STATUS_OK);
    assert_non_null(delta.up);
    lora_delta_free(&delta);
    lora_close(lora);
}

static void unused_keys_are_listed_with_their_reason(void **state)
{
    (void)state;
    struct lora *lora = open_vector("kohya.safetensors");
    size_t absent = 0, unknown = 0;
    for (size_t i = 0; i < lora_unused_count(lora); i++) {
        const struct lora_unused *unused = lora_unused_at(lora, i);
        absent += strcmp(unused->why, "no such module in this model") == 0;
        unknown += strcmp(unused->why, "unknown key") == 0;
    }
    assert_true(absent == 1 && unknown == 2);
    assert_null(lora_unused_at(lora, lora_unused_count(lora)));
    assert_int_equal(lora_module_count(lora), 9);
    lora_close(lora);
}

/* ---- the whole model --------------------------------------------------------------------- */

static void the_embedded_lora_fits_the_embedded_model_alone(void **state)
{
    (void)state;
    static const char path[] = TEST_SOURCE_DIR "/weights/mini/flat2.safetensors";
    const struct sd1_sizes real = modules_sd1_sizes();
    struct lora *lora;
    struct modules *modules;
    struct checkpoint *checkpoint;
    FILE *there = fopen(path, "rb");
    if (there == NULL)
        skip();
    fclose(there);
    assert_int_equal(checkpoint_open(TEST_SOURCE_DIR "/weights/mini/AOM3.safetensors", &checkpoint),
                     STATUS_OK);
    assert_int_equal(modules_create(checkpoint_sizes(checkpoint), &modules), STATUS_OK);
    assert_int_equal(checkpoint_check(checkpoint, modules->rows, modules->encoder_first),
                     STATUS_OK);
    assert_int_equal(lora_open(path, modules->rows, modules->count, &lora), STATUS_OK);
    assert_int_equal(lora_unused_count(lora), 0);
    assert_int_equal(lora_module_count(lora), 192);
    lora_close(lora);
    modules_destroy(modules);
    checkpoint_close(checkpoint);
    assert_int_equal(modules_create(&real, &modules), STATUS_OK);
    assert_int_equal(lora_open(path, modules->rows, modules->count, &lora), STATUS_BAD_SHAPE);
    assert_null(lora);
    modules_destroy(modules);
}

/* Every LoRA of kohya's trainer has these: 12 modules in each of 16 transformers, 6 in each layer
 * of the text encoder. */
static void all_modules_of_a_real_lora_are_found(void **state)
{
    (void)state;
    static const char *const tails[] = {
        "proj_in",
        "proj_out",
        "transformer_blocks_0_attn1_to_q",
        "transformer_blocks_0_attn1_to_k",
        "transformer_blocks_0_attn1_to_v",
        "transformer_blocks_0_attn1_to_out_0",
        "transformer_blocks_0_attn2_to_q",
        "transformer_blocks_0_attn2_to_k",
        "transformer_blocks_0_attn2_to_v",
        "transformer_blocks_0_attn2_to_out_0",
        "transformer_blocks_0_ff_net_0_proj",
        "transformer_blocks_0_ff_net_2",
    };
    static const char *const blocks[] = {
        "down_blocks_0_attentions_0", "down_blocks_0_attentions_1", "down_blocks_1_attentions_0",
        "down_blocks_1_attentions_1", "down_blocks_2_attentions_0", "down_blocks_2_attentions_1",
        "mid_block_attentions_0",     "up_blocks_1_attentions_0",   "up_blocks_1_attentions_1",
        "up_blocks_1_attentions_2",   "up_blocks_2_attentions_0",   "up_blocks_2_attentions_1",
        "up_blocks_2_attentions_2",   "up_blocks_3_attentions_0",   "up_blocks_3_attentions_1",
        "up_blocks_3_attentions_2",
    };
    static const char *const resnets[] = {
        "down_blocks_3_resnets_1_conv2",
        "mid_block_resnets_1_conv1",
        "up_blocks_0_resnets_2_conv_shortcut",
        "up_blocks_3_resnets_0_time_emb_proj",
        "down_blocks_2_downsamplers_0_conv",
        "up_blocks_0_upsamplers_0_conv",
        "up_blocks_2_upsamplers_0_conv",
        "conv_in",
        "conv_out",
        "time_embedding_linear_2",
    };
    struct modules *modules;
    const struct sd1_sizes sizes = fixture_sizes();
    assert_int_equal(modules_create(&sizes, &modules), STATUS_OK);
    char *folder = fixture_folder(), *path = fixture_path(folder, "a.safetensors"), name[256];
    struct fixture *file = fixture_create();
    for (size_t b = 0; b < 16; b++)
        for (size_t t = 0; t < 12; t++) {
            snprintf(name, sizeof name, "lora_unet_%s_%s.diff_b", blocks[b], tails[t]);
            fixture_add(file, name, DTYPE_F32, 1, (size_t[]){ 1 }, NULL);
        }
    for (size_t i = 0; i < sizeof resnets / sizeof resnets[0]; i++) {
        snprintf(name, sizeof name, "lora_unet_%s.alpha", resnets[i]);
        fixture_add(file, name, DTYPE_F32, 0, NULL, NULL);
    }
    fixture_write(file, folder, "a.safetensors");
    struct lora *lora;
    /* Wrong sizes, right names: the first that does not fit is named, so no name was unknown ... */
    assert_int_equal(lora_open(path, modules->rows, modules->count, &lora), STATUS_BAD_SHAPE);
    /* ... and with alphas alone every module is known and has no weights. */
    fixture_destroy(file);
    file = fixture_create();
    for (size_t b = 0; b < 16; b++)
        for (size_t t = 0; t < 12; t++) {
            snprintf(name, sizeof name, "lora_unet_%s_%s.alpha", blocks[b], tails[t]);
            fixture_add(file, name, DTYPE_F32, 0, NULL, NULL);
        }
    for (size_t i = 0; i < sizeof resnets / sizeof resnets[0]; i++) {
        snprintf(name, sizeof name, "lora_unet_%s.alpha", resnets[i]);
        fixture_add(file, name, DTYPE_F32, 0, NULL, NULL);
    }
    fixture_write(file, folder, "a.safetensors");
    assert_int_equal(lora_open(path, modules->rows, modules->count, &lora), STATUS_OK);
    assert_int_equal(lora_unused_count(lora), 192 + sizeof resnets / sizeof resnets[0]);
    for (size_t i = 0; i < lora_unused_count(lora); i++)
        assert_string_equal(lora_unused_at(lora, i)->why,
                            "the module has no weights that are understood");
    lora_close(lora);
    fixture_destroy(file);
    free(path);
    fixture_folder_remove(folder);
    modules_destroy(modules);
}

/* ---- refusals ---------------------------------------------------------------------------- */

struct piece {
    const char *part;
    int rank;
    size_t shape[4];
};

static status open_pieces(const char *module, const struct piece *pieces, size_t count,
                          const float *values, struct lora **out)
{
    char *folder = fixture_folder(), *path = fixture_path(folder, "b.safetensors"), name[256];
    struct fixture *file = fixture_create();
    for (size_t i = 0; i < count && pieces[i].part != NULL; i++) {
        snprintf(name, sizeof name, "%s.%s", module, pieces[i].part);
        fixture_add(file, name, DTYPE_F32, pieces[i].rank, pieces[i].shape, values);
    }
    fixture_write(file, folder, "b.safetensors");
    const status result = lora_open(path, rows, ROWS, out);
    fixture_destroy(file);
    fixture_folder_remove(folder);
    free(path);
    return result;
}

static void tensors_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const struct {
        status want;
        struct piece pieces[5];
    } bad[] = {
        { STATUS_BAD_FILE, { { "lora_up.weight", 2, { 12, 4 } } } },
        { STATUS_BAD_FILE,
          { { "lora_up.weight", 2, { 12, 4 } }, { "lora_down.weight", 2, { 3, 12 } } } },
        { STATUS_BAD_SHAPE,
          { { "lora_up.weight", 2, { 12, 4 } }, { "lora_down.weight", 2, { 4, 16 } } } },
        { STATUS_BAD_SHAPE,
          { { "lora_up.weight", 2, { 16, 4 } }, { "lora_down.weight", 2, { 4, 12 } } } },
        { STATUS_BAD_FILE,
          { { "lora_up.weight", 2, { 12, 0 } }, { "lora_down.weight", 2, { 0, 12 } } } },
        { STATUS_BAD_FILE,
          { { "lora_up.weight", 2, { 12, 2 } },
            { "lora_down.weight", 2, { 2, 12 } },
            { "alpha", 1, { 2 } } } },
        { STATUS_BAD_FILE,
          { { "lora_up.weight", 2, { 12, 2 } },
            { "lora_mid.weight", 4, { 2, 3, 1, 1 } },
            { "lora_down.weight", 2, { 2, 12 } } } },
        { STATUS_BAD_FILE, { { "hada_w1_a", 2, { 12, 2 } }, { "hada_w1_b", 2, { 2, 12 } } } },
        { STATUS_BAD_FILE,
          { { "hada_w1_a", 2, { 12, 2 } },
            { "hada_w1_b", 2, { 3, 12 } },
            { "hada_w2_a", 2, { 12, 2 } },
            { "hada_w2_b", 2, { 2, 12 } } } },
        { STATUS_BAD_FILE, { { "lokr_w1", 2, { 3, 3 } } } },
        { STATUS_BAD_SHAPE, { { "lokr_w1", 2, { 5, 3 } }, { "lokr_w2", 2, { 4, 4 } } } },
        { STATUS_BAD_SHAPE, { { "lokr_w1", 2, { 3, 3 } }, { "lokr_w2", 2, { 4, 5 } } } },
        { STATUS_BAD_FILE,
          { { "lokr_w1_a", 2, { 3, 2 } },
            { "lokr_w1_b", 2, { 4, 3 } },
            { "lokr_w2", 2, { 4, 4 } } } },
        { STATUS_BAD_SHAPE, { { "lokr_w1", 0, { 0 } }, { "lokr_w2", 2, { 4, 4 } } } },
        { STATUS_BAD_SHAPE, { { "diff", 2, { 12, 13 } } } },
        { STATUS_BAD_SHAPE, { { "w_norm", 1, { 12 } } } },
        { STATUS_BAD_FILE, { { "weight", 1, { 12 } } } },
        { STATUS_BAD_SHAPE, { { "weight", 1, { 13 } }, { "on_input", 0, { 0 } } } },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct lora *lora;
        const status got =
            open_pieces("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
                        bad[i].pieces, 5, NULL, &lora);
        if (got != bad[i].want)
            fail_msg("number %zu (%s): %s, %s is wanted", i, bad[i].pieces[0].part,
                     status_name(got), status_name(bad[i].want));
        assert_null(lora);
    }
}

static void values_that_are_not_finite_are_refused(void **state)
{
    (void)state;
    struct lora *lora;
    struct lora_delta delta;
    static const char module[] =
        "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q";
    const struct piece pieces[] = { { "lora_up.weight", 2, { 12, 1 } },
                                    { "lora_down.weight", 2, { 1, 12 } } };
    const struct piece alpha[] = { { "alpha", 0, { 0 } } };
    float values[12] = { [11] = NAN };
    assert_int_equal(open_pieces(module, pieces, 2, values, &lora), STATUS_OK);
    assert_int_equal(lora_delta(lora, 0, &use, NULL, &delta), STATUS_NOT_FINITE);
    assert_true(delta.up == NULL && delta.down == NULL);
    assert_non_null(strstr(status_text(), "to_q"));
    lora_close(lora);
    values[0] = INFINITY;
    assert_int_equal(open_pieces(module, alpha, 1, values, &lora), STATUS_NOT_FINITE);
}

static void other_files_are_no_loras(void **state)
{
    (void)state;
    struct lora *lora;
    const struct piece one[] = { { "b", 2, { 2, 4 } } };
    assert_int_equal(open_pieces("a", one, 1, NULL, &lora), STATUS_WRONG_KIND);
    assert_non_null(strstr(status_text(), "is a Textual Inversion, a LoRA is wanted"));
    assert_int_equal(lora_open("/nowhere/a.safetensors", rows, ROWS, &lora), STATUS_IO);
    assert_null(lora);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_adds_what_pytorch_says),
        cmocka_unit_test(alpha_zero_adds_nothing_from_1_5_on),
        cmocka_unit_test(plain_loras_stay_factors),
        cmocka_unit_test(a_weight_of_zero_leaves_modules_alone),
        cmocka_unit_test(unused_keys_are_listed_with_their_reason),
        cmocka_unit_test(the_embedded_lora_fits_the_embedded_model_alone),
        cmocka_unit_test(all_modules_of_a_real_lora_are_found),
        cmocka_unit_test(tensors_that_do_not_fit_are_refused),
        cmocka_unit_test(values_that_are_not_finite_are_refused),
        cmocka_unit_test(other_files_are_no_loras),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
