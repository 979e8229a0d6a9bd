/* tests/test_checkpoint.c - checkpoints and VAE files of every naming, sizes from shapes, what is
 * refused and how it is called; inversions. */
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
#include "weights/embedding.h"
#include "weights/kind.h"

#define TEXT "cond_stage_model.transformer.text_model."
#define UNET "model.diffusion_model."
#define VAE "first_stage_model."

static char *folder;
static struct modules *modules;
static struct fixture *file; /* a whole checkpoint; each test changes and then rebuilds it */

static int begin(void **state)
{
    (void)state;
    const struct sd1_sizes sizes = fixture_sizes();
    folder = fixture_folder();
    assert_int_equal(modules_create(&sizes, &modules), STATUS_OK);
    return 0;
}

static int end(void **state)
{
    (void)state;
    modules_destroy(modules);
    fixture_folder_remove(folder);
    return 0;
}

static int fresh(void **state)
{
    (void)state;
    file = fixture_create();
    fixture_rows(file, "", modules->rows, modules->count);
    return 0;
}

static int stale(void **state)
{
    (void)state;
    fixture_destroy(file);
    return 0;
}

static status open_it(struct checkpoint **out)
{
    char *path = fixture_path(folder, "x.safetensors");
    fixture_write(file, folder, "x.safetensors");
    const status result = checkpoint_open(path, out);
    free(path);
    return result;
}

static status open_vae(struct checkpoint **out)
{
    char *path = fixture_path(folder, "x.vae.safetensors");
    fixture_write(file, folder, "x.vae.safetensors");
    const status result = checkpoint_open_vae(path, out);
    free(path);
    return result;
}

static void assert_says(const char *part)
{
    if (strstr(status_text(), part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", status_text(), part);
}

/* ---- names and sizes --------------------------------------------------------------------- */

static void sizes_come_from_shapes(void **state)
{
    (void)state;
    struct checkpoint *checkpoint;
    const struct sd1_sizes want = fixture_sizes();
    assert_int_equal(open_it(&checkpoint), STATUS_OK);
    assert_memory_equal(checkpoint_sizes(checkpoint), &want, sizeof want);
    assert_int_equal(checkpoint_check(checkpoint, modules->rows, modules->count), STATUS_OK);
    assert_int_equal(checkpoint_extra(checkpoint, modules->rows, modules->count, NULL, NULL), 0);
    assert_null(checkpoint_not_finite(checkpoint, modules->rows, modules->count));
    assert_true(checkpoint_has_vae(checkpoint));
    checkpoint_close(checkpoint);
}

/* Every row's tensors hold the values that were written under `prefix` and the row's name. */
static void assert_values(const struct checkpoint *checkpoint, const char *before,
                          const char *after)
{
    for (size_t i = 0; i < modules->count; i++) {
        const struct module_row *row = &modules->rows[i];
        struct module_tensors tensors;
        char name[256];
        const int begins = strncmp(row->name, after, strlen(after)) == 0;
        snprintf(name, sizeof name, "%s%s.weight", begins ? before : "",
                 row->name + (begins ? strlen(after) : 0));
        assert_int_equal(checkpoint_module(checkpoint, row, &tensors), STATUS_OK);
        const double got = dtype_value(tensors.weight->data, tensors.weight->dtype, 5);
        assert_true(got == (double)fixture_value(name, 5));
        assert_int_equal(tensors.bias != NULL, row->has_bias);
    }
}

static void names_without_text_model_are_taken(void **state)
{
    (void)state;
    struct checkpoint *checkpoint;
    fixture_destroy(file);
    file = fixture_create();
    for (size_t i = 0; i < modules->count; i++) {
        struct module_row row = modules->rows[i];
        char name[256];
        if (strncmp(row.name, TEXT, strlen(TEXT)) == 0) {
            snprintf(name, sizeof name, "cond_stage_model.transformer.%s", row.name + strlen(TEXT));
            row.name = name;
        }
        fixture_rows(file, "", &row, 1);
    }
    assert_int_equal(open_it(&checkpoint), STATUS_OK);
    assert_int_equal(checkpoint_check(checkpoint, modules->rows, modules->count), STATUS_OK);
    assert_values(checkpoint, "cond_stage_model.transformer.", TEXT);
    checkpoint_close(checkpoint);
}

static void a_state_dict_is_entered(void **state)
{
    (void)state;
    struct checkpoint *checkpoint;
    const size_t one[] = { 3 };
    fixture_destroy(file);
    file = fixture_create();
    fixture_rows(file, "state_dict/", modules->rows, modules->count);
    fixture_add(file, "optimizer_states/0/exp_avg", DTYPE_F32, 1, one, NULL);
    fixture_add(file, "state_dict/model_ema.decay", DTYPE_F32, 0, one, NULL);
    fixture_add(file, "state_dict/model_ema.diffusion_modelout2bias", DTYPE_F32, 1, one, NULL);
    fixture_add(file, "state_dict/betas", DTYPE_F32, 1, one, NULL);
    assert_int_equal(open_it(&checkpoint), STATUS_OK);
    assert_values(checkpoint, "state_dict/", "");
    assert_int_equal(checkpoint_extra(checkpoint, modules->rows, modules->count, NULL, NULL), 0);
    checkpoint_close(checkpoint);
}

static void matrices_may_be_convolutions_and_the_other_way_round(void **state)
{
    (void)state;
    struct checkpoint *checkpoint;
    const size_t flat[] = { 32, 32 }, deep[] = { 32, 32, 1, 1 };
    fixture_add(file, UNET "input_blocks.1.1.proj_in.weight", DTYPE_F16, 2, flat, NULL);
    fixture_add(file, VAE "decoder.mid.attn_1.q.weight", DTYPE_F16, 2, flat, NULL);
    fixture_add(file, UNET "input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight", DTYPE_F16, 4,
                deep, NULL);
    assert_int_equal(open_it(&checkpoint), STATUS_OK);
    assert_int_equal(checkpoint_check(checkpoint, modules->rows, modules->count), STATUS_OK);
    checkpoint_close(checkpoint);
}

static void a_checkpoint_without_a_vae_opens(void **state)
{
    (void)state;
    struct checkpoint *checkpoint;
    fixture_destroy(file);
    file = fixture_create();
    for (size_t i = 0; i < modules->count; i++)
        if (modules->rows[i].part != MODULE_VAE)
            fixture_rows(file, "", &modules->rows[i], 1);
    assert_int_equal(open_it(&checkpoint), STATUS_OK);
    assert_false(checkpoint_has_vae(checkpoint));
    assert_int_equal(checkpoint_sizes(checkpoint)->decoder_width[0], 0);
    checkpoint_close(checkpoint);
}

static void vae_files_open_under_both_names(void **state)
{
    (void)state;
    const size_t one[] = { 1 };
    for (int plain = 0; plain < 2; plain++) {
        struct checkpoint *checkpoint;
        struct module_tensors tensors;
        fixture_destroy(file);
        file = fixture_create();
        for (size_t i = 0; i < modules->count; i++) {
            struct module_row row = modules->rows[i];
            row.name += plain && row.part == MODULE_VAE ? strlen(VAE) : 0;
            if (row.part == MODULE_VAE)
                fixture_rows(file, plain ? "state_dict/" : "", &row, 1);
        }
        fixture_add(file, plain ? "state_dict/loss.logvar" : "loss.logvar", DTYPE_F32, 1, one,
                    NULL);
        assert_int_equal(open_vae(&checkpoint), STATUS_OK);
        for (size_t i = 0; i < modules->count; i++)
            if (modules->rows[i].part == MODULE_VAE)
                assert_int_equal(checkpoint_module(checkpoint, &modules->rows[i], &tensors),
                                 STATUS_OK);
        assert_int_equal(checkpoint_sizes(checkpoint)->decoder_width[2], 64);
        assert_int_equal(checkpoint_extra(checkpoint, modules->rows, modules->count, NULL, NULL),
                         0);
        checkpoint_close(checkpoint);
        assert_int_equal(open_it(&checkpoint), STATUS_WRONG_KIND);
        assert_says("is a VAE");
    }
}

/* ---- refusals ---------------------------------------------------------------------------- */

static void remember(void *user, const char *name) { snprintf(user, 100, "%s", name); }

static void missing_wrong_and_extra_tensors_are_named(void **state)
{
    (void)state;
    struct checkpoint *checkpoint;
    char extra[100] = "";
    const size_t shape[] = { 7, 5 };
    fixture_drop(file, UNET "middle_block.1.proj_out.bias");
    fixture_add(file, UNET "out.0.weight", DTYPE_F16, 2, shape, NULL);
    fixture_add(file, UNET "something.else", DTYPE_F16, 2, shape, NULL);
    fixture_add(file, UNET "time_embed.2.weight", DTYPE_I64, 2, (size_t[]){ 48, 48 }, NULL);
    fixture_add(file, UNET "input_blocks.6.0.op.weight", DTYPE_F16, 2, (size_t[]){ 64, 64 },
                NULL); /* a 3x3 cannot stand as a matrix */
    assert_int_equal(open_it(&checkpoint), STATUS_OK);
    struct module_tensors tensors;
    assert_int_equal(
        checkpoint_module(checkpoint, modules_find(modules, UNET "input_blocks.6.0.op"), &tensors),
        STATUS_BAD_FILE);
    assert_says("is [64,64], [64,64,3,3] is wanted");
    assert_int_equal(checkpoint_module(checkpoint, modules_find(modules, UNET "out.0"), &tensors),
                     STATUS_BAD_FILE);
    assert_says(UNET "out.0.weight\" is [7,5], [32] is wanted");
    assert_int_equal(checkpoint_module(checkpoint,
                                       modules_find(modules, UNET "middle_block.1.proj_out"),
                                       &tensors),
                     STATUS_BAD_FILE);
    assert_says("proj_out.bias\" [32] is missing");
    assert_int_equal(
        checkpoint_module(checkpoint, modules_find(modules, UNET "time_embed.2"), &tensors),
        STATUS_BAD_FILE);
    assert_says("is of i64");
    assert_int_equal(checkpoint_check(checkpoint, modules->rows, modules->count), STATUS_BAD_FILE);
    assert_says("and 3 more");
    assert_int_equal(checkpoint_extra(checkpoint, modules->rows, modules->count, remember, extra),
                     1);
    assert_string_equal(extra, UNET "something.else");
    checkpoint_close(checkpoint);
}

static void a_value_that_is_not_finite_is_found(void **state)
{
    (void)state;
    struct checkpoint *checkpoint;
    float values[32] = { 0 };
    values[31] = NAN;
    fixture_add(file, UNET "out.0.bias", DTYPE_F16, 1, (size_t[]){ 32 }, values);
    assert_int_equal(open_it(&checkpoint), STATUS_OK);
    const struct tensor *bad = checkpoint_not_finite(checkpoint, modules->rows, modules->count);
    assert_non_null(bad);
    assert_string_equal(bad->name, UNET "out.0.bias");
    checkpoint_close(checkpoint);
}

static void sizes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int rank;
        size_t shape[4];
        const char *says;
    } bad[] = {
        { UNET "input_blocks.4.0.in_layers.2.weight", 4, { 48, 32, 3, 3 }, "a multiple of 32" },
        { UNET "input_blocks.4.0.in_layers.2.weight", 4, { 0, 32, 3, 3 }, "in_layers.2.weight" },
        { UNET "input_blocks.4.0.in_layers.2.weight", 1, { 64 }, "1 dimensions, 4 are wanted" },
        { UNET "input_blocks.0.0.weight", 4, { 32, 5, 3, 3 }, "input_blocks.0.0.weight" },
        { TEXT "embeddings.token_embedding.weight", 2, { 100, 8 }, "49408" },
        { TEXT "embeddings.position_embedding.weight", 2, { 76, 8 }, "77" },
        { UNET "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight",
          2,
          { 32, 9 },
          "context 9 wide" },
        { VAE "post_quant_conv.weight", 4, { 3, 4, 1, 1 }, "post_quant_conv" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct checkpoint *checkpoint;
        fresh(NULL);
        fixture_add(file, bad[i].name, DTYPE_F16, bad[i].rank, bad[i].shape, NULL);
        assert_int_equal(open_it(&checkpoint), STATUS_BAD_FILE);
        assert_null(checkpoint);
        assert_says(bad[i].says);
        fixture_destroy(file);
    }
    fresh(NULL);
    struct checkpoint *checkpoint;
    fixture_drop(file, UNET "out.2.weight");
    assert_int_equal(open_it(&checkpoint), STATUS_BAD_FILE);
    assert_says(UNET "out.2.weight\" is missing");
}

static void other_files_are_called_what_they_are(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t rank;
        size_t shape[4];
        const char *says;
        size_t whole; /* added to a whole checkpoint, or alone */
    } other[] = {
        { UNET "input_blocks.0.0.weight", 4, { 32, 9, 3, 3 }, "inpainting checkpoint (9", 1 },
        { UNET "input_blocks.0.0.weight", 4, { 32, 8, 3, 3 }, "pix2pix checkpoint (8", 1 },
        { "cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight",
          2,
          { 4, 4 },
          "Stable Diffusion 2",
          1 },
        { "conditioner.embedders.0.transformer.text_model.final_layer_norm.weight",
          1,
          { 4 },
          "Diffusion XL",
          1 },
        { UNET "input_blocks.0.0.weight", 4, { 32, 4, 3, 3 }, "bare UNet", 0 },
        { "input_blocks.0.0.weight", 4, { 32, 4, 3, 3 }, "bare UNet", 0 },
        { "time_embedding.linear_1.weight", 2, { 4, 4 }, "bare UNet", 0 },
        { "lora_unet_mid_block_attentions_0_proj_in.lora_up.weight", 2, { 4, 4 }, "is a LoRA", 0 },
        { "unet.mid_block.attentions.0.proj_in.lora_A.weight", 2, { 4, 4 }, "is a LoRA", 0 },
        { "emb_params", 2, { 4, 8 }, "is a Textual Inversion", 0 },
        { "string_to_param/*", 2, { 4, 8 }, "is a Textual Inversion", 0 },
        { "control_model.input_blocks.0.0.weight", 4, { 32, 4, 3, 3 }, "ControlNet", 0 },
        { "model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight",
          2,
          { 4, 4 },
          "Diffusion 3 or Flux",
          0 },
        { "text_model.embeddings.token_embedding.weight", 2, { 4, 4 }, "bare text encoder", 0 },
        { "clip_g", 2, { 4, 4 }, "Diffusion XL or 3", 0 },
        { "model.0.weight", 4, { 4, 4, 3, 3 }, "nothing that this program knows", 0 },
    };
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        struct checkpoint *checkpoint;
        if (other[i].whole)
            fresh(NULL);
        else
            file = fixture_create();
        if (strcmp(other[i].name, "clip_g") == 0)
            fixture_add(file, "clip_l", DTYPE_F16, 2, other[i].shape, NULL);
        fixture_add(file, other[i].name, DTYPE_F16, (int)other[i].rank, other[i].shape, NULL);
        assert_int_equal(open_it(&checkpoint), STATUS_WRONG_KIND);
        assert_null(checkpoint);
        assert_says(other[i].says);
        assert_says("a Stable Diffusion 1.x checkpoint is wanted");
        fixture_destroy(file);
    }
    struct checkpoint *checkpoint;
    file = fixture_create();
    assert_int_equal(open_it(&checkpoint), STATUS_WRONG_KIND);
    assert_says("holds no tensors");
}

/* ---- schedule and positions -------------------------------------------------------------- */

static void alphas_are_used_unless_they_cannot_be(void **state)
{
    (void)state;
    const size_t shape[] = { SD1_TIMESTEPS };
    float alphas[SD1_TIMESTEPS], got[SD1_TIMESTEPS];
    double product = 1;
    struct checkpoint *checkpoint;
    for (int i = 0; i < SD1_TIMESTEPS; i++) {
        const double root = sqrt(0.00085) + (sqrt(0.012) - sqrt(0.00085)) * i / 999;
        alphas[i] = (float)(product *= 1 - root * root);
    }
    static const struct {
        enum dtype dtype;
        enum alphas_found found;
    } kinds[] = { { DTYPE_F32, ALPHAS_FILE },
                  { DTYPE_F16, ALPHAS_FILE },
                  { DTYPE_BF16, ALPHAS_UNUSABLE } };
    assert_int_equal(open_it(&checkpoint), STATUS_OK);
    assert_int_equal(checkpoint_alphas(checkpoint, got), ALPHAS_ABSENT);
    checkpoint_close(checkpoint);
    for (size_t i = 0; i < 3; i++) {
        fixture_add(file, "alphas_cumprod", kinds[i].dtype, 1, shape, alphas);
        assert_int_equal(open_it(&checkpoint), STATUS_OK);
        assert_int_equal(checkpoint_alphas(checkpoint, got), kinds[i].found);
        for (int k = 0; i < 2 && k < SD1_TIMESTEPS; k++)
            assert_true(got[k] == (i == 0 ? alphas[k] : f16_to_f32(f16_from_f32(alphas[k]))));
        checkpoint_close(checkpoint);
    }
    alphas[500] = NAN;
    fixture_add(file, "alphas_cumprod", DTYPE_F32, 1, shape, alphas);
    assert_int_equal(open_it(&checkpoint), STATUS_OK);
    assert_int_equal(checkpoint_alphas(checkpoint, got), ALPHAS_UNUSABLE);
    checkpoint_close(checkpoint);
}

static void position_ids_are_truncated(void **state)
{
    (void)state;
    struct checkpoint *checkpoint;
    float at[77];
    int got[77], plain = -1;
    const size_t shape[] = { 1, 77 };
    assert_int_equal(open_it(&checkpoint), STATUS_OK);
    assert_int_equal(checkpoint_positions(checkpoint, got, &plain), STATUS_OK);
    assert_true(plain == 1 && got[76] == 76);
    checkpoint_close(checkpoint);

    for (int i = 0; i < 77; i++)
        at[i] = (float)i;
    at[41] = 40.996f;
    fixture_add(file, TEXT "embeddings.position_ids", DTYPE_F32, 2, shape, at);
    assert_int_equal(open_it(&checkpoint), STATUS_OK);
    assert_int_equal(checkpoint_positions(checkpoint, got, &plain), STATUS_OK);
    assert_true(plain == 0 && got[41] == 40 && got[42] == 42);
    checkpoint_close(checkpoint);

    const float outside[] = { 77, -1, NAN, INFINITY };
    for (int i = 0; i < 4; i++) {
        at[3] = outside[i];
        fixture_add(file, TEXT "embeddings.position_ids", DTYPE_F32, 2, shape, at);
        assert_int_equal(open_it(&checkpoint), STATUS_OK);
        assert_int_equal(checkpoint_positions(checkpoint, got, &plain), STATUS_BAD_FILE);
        checkpoint_close(checkpoint);
    }
}

/* ---- inversions -------------------------------------------------------------------------- */

static status read_inversion(const char *name, enum dtype dtype, int rank, const size_t *shape,
                             const float *values, struct embedding **out)
{
    struct fixture *one = fixture_create();
    char *path = fixture_path(folder, "e.safetensors");
    fixture_add(one, name, dtype, rank, shape, values);
    fixture_write(one, folder, "e.safetensors");
    const status result = embedding_open(path, out);
    free(path);
    fixture_destroy(one);
    return result;
}

static void inversions_of_every_layout_are_read(void **state)
{
    (void)state;
    struct embedding *embedding;
    static const char *const names[] = { "emb_params", "<my-token>", "string_to_param/*",
                                         "string_to_param/_parameters/*" };
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(
            read_inversion(names[i], DTYPE_F16, 2, (size_t[]){ 3, 8 }, NULL, &embedding),
            STATUS_OK);
        assert_true(embedding->vectors == 3 && embedding->width == 8);
        assert_true(embedding->data[17] == fixture_value(names[i], 17));
        embedding_free(embedding);
    }
    assert_int_equal(read_inversion("x", DTYPE_F32, 1, (size_t[]){ 8 }, NULL, &embedding),
                     STATUS_OK);
    assert_true(embedding->vectors == 1 && embedding->width == 8);
    embedding_free(embedding);
}

static void the_embedded_inversions_are_read(void **state)
{
    (void)state;
    struct embedding *embedding;
    static const char *const paths[] = { TEST_SOURCE_DIR "/weights/mini/EasyNegative.safetensors",
                                         TEST_SOURCE_DIR "/weights/mini/bad-hands-5.pt" };
    for (int i = 0; i < 2; i++) {
        FILE *there = fopen(paths[i], "rb");
        if (there == NULL)
            skip();
        fclose(there);
        assert_int_equal(embedding_open(paths[i], &embedding), STATUS_OK);
        assert_int_equal(embedding->vectors, i == 0 ? 8 : 2);
        embedding_free(embedding);
    }
}

static void bad_inversions_are_refused(void **state)
{
    (void)state;
    struct embedding *embedding;
    const float bad[] = { 1, NAN, 3, 4 };
    assert_int_equal(read_inversion("x", DTYPE_F32, 2, (size_t[]){ 1, 4 }, bad, &embedding),
                     STATUS_NOT_FINITE);
    assert_null(embedding);
    assert_int_equal(
        read_inversion("string_to_param/*", DTYPE_F32, 3, (size_t[]){ 1, 2, 2 }, NULL, &embedding),
        STATUS_BAD_FILE);
    assert_int_equal(
        read_inversion("string_to_param/*", DTYPE_F32, 2, (size_t[]){ 0, 8 }, NULL, &embedding),
        STATUS_BAD_FILE);
    assert_int_equal(
        read_inversion("string_to_param/*", DTYPE_F32, 2, (size_t[]){ 5000, 8 }, NULL, &embedding),
        STATUS_BAD_FILE);
    struct fixture *two = fixture_create();
    char *path = fixture_path(folder, "e.safetensors");
    fixture_add(two, "string_to_param/*", DTYPE_F32, 1, (size_t[]){ 8 }, NULL);
    fixture_add(two, "string_to_param/+", DTYPE_F32, 1, (size_t[]){ 8 }, NULL);
    fixture_write(two, folder, "e.safetensors");
    assert_int_equal(embedding_open(path, &embedding), STATUS_BAD_FILE);
    assert_says("holds 2 tensors");
    fixture_destroy(two);
    assert_int_equal(embedding_open("/nowhere/x.pt", &embedding), STATUS_IO);
    assert_int_equal(embedding_open("/", &embedding), STATUS_IO);
    fixture_write(file, folder, "e.safetensors");
    assert_int_equal(embedding_open(path, &embedding), STATUS_WRONG_KIND);
    free(path);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, fresh, stale)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(sizes_come_from_shapes),
        EACH(names_without_text_model_are_taken),
        EACH(a_state_dict_is_entered),
        EACH(matrices_may_be_convolutions_and_the_other_way_round),
        EACH(a_checkpoint_without_a_vae_opens),
        EACH(vae_files_open_under_both_names),
        EACH(missing_wrong_and_extra_tensors_are_named),
        EACH(a_value_that_is_not_finite_is_found),
        EACH(alphas_are_used_unless_they_cannot_be),
        EACH(position_ids_are_truncated),
        EACH(bad_inversions_are_refused),
        cmocka_unit_test_teardown(sizes_that_cannot_be_are_refused, stale),
        cmocka_unit_test_teardown(other_files_are_called_what_they_are, stale),
        cmocka_unit_test(inversions_of_every_layout_are_read),
        cmocka_unit_test(the_embedded_inversions_are_read),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
