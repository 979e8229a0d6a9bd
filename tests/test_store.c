/* tests/test_store.c - folders, kinds, names, hashes, the catalog and manifests. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/weights_fixture.h"
#include "weights/catalog.h"
#include "weights/file_facts.h"
#include "weights/hash.h"
#include "weights/manifest.h"
#include "weights/store.h"

#define UNET "model.diffusion_model."

static char *folder; /* of the whole run */
static char *models; /* what the stores look through */
static struct store *store;

static void write_kind(const char *name, enum weights_kind kind, const char *note)
{
    struct fixture *file = fixture_create();
    const size_t conv[] = { 4, kind == WEIGHTS_INPAINTING ? 9 : 4, 1, 1 }, one[] = { 1, 8 };
    if (note != NULL)
        fixture_note(file, "ss_output_name", note);
    if (kind == WEIGHTS_CHECKPOINT || kind == WEIGHTS_INPAINTING) {
        fixture_add(file, UNET "input_blocks.0.0.weight", DTYPE_F16, 4, conv, NULL);
        fixture_add(file, "cond_stage_model.transformer.text_model.final_layer_norm.weight",
                    DTYPE_F16, 2, one, NULL);
    } else if (kind == WEIGHTS_VAE) {
        fixture_add(file, "decoder.conv_in.weight", DTYPE_F16, 4, conv, NULL);
        fixture_add(file, "decoder.norm_out.weight", DTYPE_F16, 2, one, NULL);
    } else {
        fixture_add(file, kind == WEIGHTS_LORA ? "lora_unet_x.lora_up.weight" : "emb_params",
                    DTYPE_F16, 2, one, NULL);
    }
    fixture_add(file, name, DTYPE_F16, 2, one, NULL); /* so that no two files are the same */
    if (kind == WEIGHTS_EMBEDDING)
        fixture_drop(file, name);
    fixture_write(file, models, name);
    fixture_destroy(file);
}

static void make_folder(const char *name)
{
    char *path = fixture_path(models, name);
    assert_int_equal(mkdir(path, 0777), 0);
    free(path);
}

static void make_link(const char *to, const char *name)
{
    char *path = fixture_path(models, name);
    assert_int_equal(symlink(to, path), 0);
    free(path);
}

static int begin(void **state)
{
    (void)state;
    folder = fixture_folder();
    models = fixture_path(folder, "models");
    assert_int_equal(mkdir(models, 0777), 0);
    make_folder("sub");
    make_folder("sub/deep");
    make_folder("empty");
    make_folder("twins");
    make_folder("lora");
    write_kind("AOM3.safetensors", WEIGHTS_CHECKPOINT, NULL);
    write_kind("sub/A,B: C.safetensors", WEIGHTS_CHECKPOINT, NULL);
    write_kind("sub/AOM3.vae.safetensors", WEIGHTS_VAE, NULL);
    write_kind("AOM3.vae.safetensors", WEIGHTS_VAE, NULL);
    write_kind("AOM3.vae.pt", WEIGHTS_VAE, NULL);
    write_kind("sub/deep/orangemix.vae.pt", WEIGHTS_VAE, NULL);
    write_kind("inpaint.ckpt", WEIGHTS_INPAINTING, NULL);
    write_kind("twin.safetensors", WEIGHTS_CHECKPOINT, NULL);
    write_kind("twins/twin.safetensors", WEIGHTS_CHECKPOINT, NULL);
    write_kind("flat2.safetensors", WEIGHTS_LORA, "flat colours");
    write_kind("lora/flat2.safetensors", WEIGHTS_LORA, NULL);
    write_kind("EasyNegative.safetensors", WEIGHTS_EMBEDDING, NULL);
    fixture_bytes(models, "broken.safetensors", "not one of ours", 15);
    fixture_bytes(models, "nothing.pt", "", 0);
    fixture_bytes(models, "readme.txt", "text", 4);
    fixture_bytes(models, ".hidden.pt", "text", 4);
    make_link("..", "sub/up");
    make_link("loop", "loop");
    make_link("../AOM3.safetensors", "sub/AOM3.safetensors");
    char *pipe = fixture_path(models, "pipe.pt");
    assert_int_equal(mkfifo(pipe, 0666), 0);
    free(pipe);

    assert_int_equal(store_create(NULL, &store), STATUS_OK);
    assert_int_equal(store_add(store, models), STATUS_OK);
    return 0;
}

static int end(void **state)
{
    (void)state;
    store_destroy(store);
    free(models);
    fixture_folder_remove(folder);
    return 0;
}

static void assert_says(const char *part)
{
    if (strstr(status_text(), part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", status_text(), part);
}

static const struct store_file *found(enum weights_kind kind, const char *name)
{
    const struct store_file *file;
    if (store_find(store, kind, name, &file) != STATUS_OK)
        fail_msg("%s", status_text());
    return file;
}

/* ---- folders ----------------------------------------------------------------------------- */

static void folders_are_searched_once_and_loops_end(void **state)
{
    (void)state;
    assert_int_equal(store_count(store), 15);
    assert_int_equal(store_add(store, models), STATUS_OK);
    char *sub = fixture_path(models, "sub/");
    assert_int_equal(store_add(store, sub), STATUS_OK);
    assert_int_equal(store_count(store), 15);
    free(sub);
    assert_int_equal(store_add(store, "/nowhere/at/all"), STATUS_IO);
    for (size_t i = 1; i < store_count(store); i++)
        assert_true(strcasecmp(store_at(store, i - 1)->path, store_at(store, i)->path) <= 0);
}

static void kinds_are_told_by_content(void **state)
{
    (void)state;
    size_t count[WEIGHTS_KIND_COUNT] = { 0 };
    for (size_t i = 0; i < store_count(store); i++)
        count[store_at(store, i)->kind]++;
    assert_int_equal(count[WEIGHTS_CHECKPOINT], 5); /* one of them by two paths */
    assert_int_equal(count[WEIGHTS_VAE], 4);
    assert_int_equal(count[WEIGHTS_INPAINTING], 1);
    assert_int_equal(count[WEIGHTS_LORA], 2);
    assert_int_equal(count[WEIGHTS_EMBEDDING], 1);
    assert_int_equal(count[WEIGHTS_OTHER], 2); /* the broken and the empty one */
    for (size_t i = 0; i < store_count(store); i++)
        assert_int_equal(store_at(store, i)->problem[0] != 0,
                         store_at(store, i)->kind == WEIGHTS_OTHER);
}

static void a_single_file_may_be_added(void **state)
{
    (void)state;
    struct store *one;
    char *path = fixture_path(models, "AOM3.safetensors");
    assert_int_equal(store_create(NULL, &one), STATUS_OK);
    assert_int_equal(store_add(one, path), STATUS_OK);
    assert_int_equal(store_count(one), 1);
    assert_string_equal(store_at(one, 0)->below, "AOM3");
    store_destroy(one);
    free(path);
}

static void kinds_are_kept_between_runs(void **state)
{
    (void)state;
    static const char damage[] = "a\tb\n\0\n\t\t\t\t\nlora \t1\t2\t3\tx\nlora";
    struct store *again;
    char *cache = fixture_path(folder, "cache/kinds-here");
    for (int run = 0; run < 3; run++) {
        assert_int_equal(store_create(cache, &again), STATUS_OK);
        assert_int_equal(store_add(again, models), STATUS_OK);
        for (size_t i = 0; i < store_count(store); i++) {
            assert_int_equal(store_at(again, i)->kind, store_at(store, i)->kind);
            assert_string_equal(store_at(again, i)->alias, store_at(store, i)->alias);
        }
        store_destroy(again);
        if (run == 1) /* damage costs time, nothing else */
            fixture_bytes(cache, "kinds", damage, sizeof damage - 1);
    }
    free(cache);
}

/* ---- names ------------------------------------------------------------------------------- */

static void names_are_found_in_every_form(void **state)
{
    (void)state;
    const struct store_file *vae = found(WEIGHTS_VAE, "orangemix.vae");
    assert_ptr_equal(found(WEIGHTS_VAE, "oramgemix.vae"), vae);
    assert_ptr_equal(found(WEIGHTS_VAE, "orangemix"), vae);
    assert_ptr_equal(found(WEIGHTS_VAE, "orangemix.vae.pt"), vae);
    assert_ptr_equal(found(WEIGHTS_VAE, "oramgemix.vae.pt"), vae);
    assert_ptr_equal(found(WEIGHTS_VAE, "OrangeMix.VAE"), vae);
    assert_ptr_equal(found(WEIGHTS_VAE, "sub/deep/orangemix.vae"), vae);
    assert_string_equal(found(WEIGHTS_CHECKPOINT, "aom3")->name, "AOM3");
    const struct store_file *odd = found(WEIGHTS_CHECKPOINT, "sub_AB C");
    assert_string_equal(odd->name, "A,B: C");
    char *name = store_model_name(odd);
    assert_string_equal(name, "sub_AB C");
    free(name);
    assert_string_equal(found(WEIGHTS_LORA, "flat colours")->name, "flat2");
    assert_string_equal(found(WEIGHTS_EMBEDDING, "EasyNegative")->name, "EasyNegative");
}

static void two_paths_to_one_file_are_no_doubt(void **state)
{
    (void)state;
    assert_string_equal(found(WEIGHTS_CHECKPOINT, "AOM3")->name, "AOM3");
    assert_int_equal(store_only(store, WEIGHTS_CHECKPOINT, "AOM3"), STATUS_OK);
}

static void ambiguous_names_are_listed_with_their_paths(void **state)
{
    (void)state;
    const struct store_file *file;
    assert_int_equal(store_find(store, WEIGHTS_CHECKPOINT, "twin", &file), STATUS_MISUSE);
    assert_null(file);
    assert_says("2 files are a checkpoint called \"twin\"");
    assert_says("models/twin.safetensors, ");
    assert_says("models/twins/twin.safetensors");
    assert_int_equal(store_only(store, WEIGHTS_LORA, "flat2"), STATUS_MISUSE);
    assert_says("models/lora/flat2.safetensors");
    assert_non_null(strstr(found(WEIGHTS_LORA, "flat2")->path, "lora/flat2")); /* the later path */
}

static void unknown_names_get_the_nearest(void **state)
{
    (void)state;
    const struct store_file *file;
    assert_int_equal(store_find(store, WEIGHTS_CHECKPOINT, "AOM4", &file), STATUS_NOT_FOUND);
    assert_says("no checkpoint called \"AOM4\"");
    assert_says("nearest: AOM3");
    assert_int_equal(store_find(store, WEIGHTS_LORA, "Flat2", &file), STATUS_NOT_FOUND);
    assert_says("nearest: flat2");
    assert_int_equal(store_find(store, WEIGHTS_VAE, "orangmix", &file), STATUS_NOT_FOUND);
    assert_says("nearest: orangemix.vae");
    assert_int_equal(store_find(store, WEIGHTS_CHECKPOINT, "inpaint", &file), STATUS_NOT_FOUND);
    assert_says("inpainting checkpoint (9");
    assert_int_equal(store_find(store, WEIGHTS_CHECKPOINT, "broken", &file), STATUS_NOT_FOUND);
    assert_says("broken.safetensors");
    assert_int_equal(store_find(store, WEIGHTS_LORA, "nothing", &file), STATUS_NOT_FOUND);
    assert_says("nothing.pt: the file is empty");
    assert_int_equal(store_find(store, WEIGHTS_LORA, "", &file), STATUS_NOT_FOUND);
    assert_int_equal(store_find(store, WEIGHTS_LORA, "\x1b[31m", &file), STATUS_NOT_FOUND);
    assert_null(strchr(status_text(), 0x1b));
    char longest[5000];
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = 0;
    assert_int_equal(store_find(store, WEIGHTS_VAE, longest, &file), STATUS_NOT_FOUND);
    memcpy(longest, "oramgemix", 9);
    assert_int_equal(store_find(store, WEIGHTS_VAE, longest, &file), STATUS_NOT_FOUND);
}

static void the_vae_beside_a_checkpoint_is_found(void **state)
{
    (void)state;
    const struct store_file *top = NULL, *sub = NULL;
    for (size_t i = 0; i < store_count(store); i++) {
        const struct store_file *file = store_at(store, i);
        if (file->kind == WEIGHTS_CHECKPOINT && strcmp(file->below, "AOM3") == 0)
            top = file;
        if (file->kind == WEIGHTS_CHECKPOINT && strcmp(file->below, "sub/AOM3") == 0)
            sub = file;
    }
    assert_true(top != NULL && sub != NULL);
    assert_non_null(strstr(store_vae_beside(store, top)->path, "models/AOM3.vae.pt"));
    assert_non_null(strstr(store_vae_beside(store, sub)->path, "sub/AOM3.vae.safetensors"));
    assert_null(store_vae_beside(store, found(WEIGHTS_CHECKPOINT, "sub_AB C")));
}

static void models_are_found_by_name_then_by_hash(void **state)
{
    (void)state;
    struct hash_cache *hashes;
    const struct store_file *file, *other = found(WEIGHTS_CHECKPOINT, "sub_AB C");
    char sha256[HASH_TEXT], digits[11], old[HASH_OLD_TEXT], *path;
    assert_int_equal(hash_cache_open(NULL, &hashes), STATUS_OK);
    assert_int_equal(hash_file(hashes, other->path, NULL, NULL, sha256), STATUS_OK);
    snprintf(digits, sizeof digits, "%.10s", sha256);
    assert_int_equal(store_find_model(store, hashes, "gone", digits, &file), STATUS_OK);
    assert_ptr_equal(file, other);
    assert_int_equal(store_find_model(store, hashes, NULL, digits, &file), STATUS_OK);
    assert_ptr_equal(file, other);
    assert_int_equal(store_find_model(store, hashes, "aom3", digits, &file), STATUS_OK);
    assert_string_equal(file->name, "AOM3"); /* the name counts; the caller compares the hash */
    assert_int_equal(store_find_model(store, hashes, "AOM4", "0123456789", &file),
                     STATUS_NOT_FOUND);
    assert_says("nearest: AOM3");
    assert_says("0123456789");

    path = fixture_path(models, "twins/twin.safetensors");
    assert_int_equal(hash_file(hashes, path, NULL, NULL, sha256), STATUS_OK);
    snprintf(digits, sizeof digits, "%.10s", sha256);
    assert_int_equal(store_find_model(store, hashes, "twin", NULL, &file), STATUS_MISUSE);
    assert_int_equal(store_find_model(store, hashes, "twin", digits, &file), STATUS_OK);
    assert_string_equal(file->path, path);
    assert_int_equal(hash_old(path, old), STATUS_OK); /* all files are short: of no bytes */
    assert_string_equal(old, "e3b0c442");
    assert_int_equal(store_find_model(store, hashes, NULL, NULL, &file), STATUS_OK);
    assert_int_equal(file->kind, WEIGHTS_CHECKPOINT);
    free(path);
    hash_cache_close(hashes);
}

/* ---- hashes ------------------------------------------------------------------------------ */

static void known_hashes_are_right(void **state)
{
    (void)state;
    struct hash_cache *hashes;
    char sha256[HASH_TEXT], *path = fixture_path(folder, "abc");
    char *cache = fixture_path(folder, "cache/new/deep");
    fixture_bytes(folder, "abc", "abc", 3);
    assert_int_equal(hash_cache_open(cache, &hashes), STATUS_OK);
    assert_false(hash_known(hashes, path, sha256));
    assert_int_equal(hash_file(hashes, path, NULL, NULL, sha256), STATUS_OK);
    assert_string_equal(sha256, /* FIPS 180-2, appendix B.1 */
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hash_cache_close(hashes);
    assert_int_equal(hash_cache_open(cache, &hashes), STATUS_OK);
    assert_true(hash_known(hashes, path, sha256));
    fixture_bytes(folder, "abc", "abcd", 4);
    assert_false(hash_known(hashes, path, sha256));
    assert_int_equal(hash_file(hashes, path, NULL, NULL, sha256), STATUS_OK);
    assert_memory_equal(sha256, "88d4266fd4e6338d", 16);
    hash_cache_close(hashes);

    assert_true(hash_matches("ba7816bf8f01cfea", "BA7816BF8F"));
    assert_false(hash_matches("ba7816bf8f01cfea", "ba7816b"));
    assert_false(hash_matches("ba7816bf8f01cfea", "ba7816bf8e"));
    assert_false(hash_matches("ba7816bf", "ba7816bf8f"));
    free(cache);
    free(path);
}

static int stop_second(void *user) { return ++*(int *)user > 1; }

static void hashing_can_be_cancelled_and_refuses_what_is_no_file(void **state)
{
    (void)state;
    struct hash_cache *hashes;
    int asked = 0;
    char sha256[HASH_TEXT], *path = fixture_path(folder, "large"),
                            *pipe = fixture_path(models, "pipe.pt");
    char *zeros = calloc(1, 9 << 20);
    fixture_bytes(folder, "large", zeros, 9 << 20);
    free(zeros);
    assert_int_equal(hash_cache_open("/proc/nowhere", &hashes), STATUS_OK); /* cannot be written */
    assert_int_equal(hash_file(hashes, path, stop_second, &asked, sha256), STATUS_CANCELLED);
    assert_true(asked == 2 && sha256[0] == 0);
    assert_false(hash_known(hashes, path, sha256));
    assert_int_equal(hash_file(hashes, pipe, NULL, NULL, sha256), STATUS_IO);
    assert_int_equal(hash_file(hashes, models, NULL, NULL, sha256), STATUS_IO);
    assert_int_equal(hash_file(hashes, "/nowhere", NULL, NULL, sha256), STATUS_IO);
    assert_int_equal(hash_file(hashes, path, NULL, NULL, sha256), STATUS_OK);
    assert_true(hash_known(hashes, path, sha256));
    hash_cache_close(hashes);
    free(path);
    free(pipe);
}

enum { WRITERS = 8, FILES_EACH = 6 };

static void hash_some(const char *cache, int writer)
{
    struct hash_cache *hashes;
    char name[64], sha256[HASH_TEXT];
    if (hash_cache_open(cache, &hashes) != STATUS_OK)
        return;
    for (int i = 0; i < FILES_EACH; i++) {
        snprintf(name, sizeof name, "shared-%d-%d", writer, i);
        char *path = fixture_path(folder, name);
        hash_file(hashes, path, NULL, NULL, sha256);
        free(path);
    }
    hash_cache_close(hashes);
}

static void processes_share_a_cache_without_losing_anything(void **state)
{
    (void)state;
    char *cache = fixture_path(folder, "cache/shared"), name[64], sha256[HASH_TEXT];
    pid_t children[WRITERS];
    for (int w = 0; w < WRITERS; w++)
        for (int i = 0; i < FILES_EACH; i++) {
            snprintf(name, sizeof name, "shared-%d-%d", w, i);
            fixture_bytes(folder, name, name, strlen(name));
        }
    for (int w = 0; w < WRITERS; w++) {
        children[w] = fork();
        if (children[w] == 0) {
            hash_some(cache, w);
            _exit(0);
        }
    }
    for (int w = 0; w < WRITERS; w++) {
        int status_of;
        assert_int_equal(waitpid(children[w], &status_of, 0), children[w]);
    }
    struct hash_cache *hashes;
    assert_int_equal(hash_cache_open(cache, &hashes), STATUS_OK);
    for (int w = 0; w < WRITERS; w++)
        for (int i = 0; i < FILES_EACH; i++) {
            snprintf(name, sizeof name, "shared-%d-%d", w, i);
            char *path = fixture_path(folder, name);
            assert_true(hash_known(hashes, path, sha256));
            free(path);
        }
    hash_cache_close(hashes);
    free(cache);
}

struct shared {
    struct hash_cache *hashes;
    const char *path;
};

static void *hash_again_and_again(void *user)
{
    const struct shared *shared = user;
    char sha256[HASH_TEXT];
    for (int i = 0; i < 50; i++)
        if (hash_file(shared->hashes, shared->path, NULL, NULL, sha256) != STATUS_OK)
            return (void *)shared;
    return NULL;
}

static void threads_share_a_cache(void **state)
{
    (void)state;
    char *cache = fixture_path(folder, "cache/threads"), *path = fixture_path(folder, "threads");
    struct shared shared = { .path = path };
    pthread_t threads[4];
    void *failed;
    fixture_bytes(folder, "threads", "abc", 3);
    assert_int_equal(hash_cache_open(cache, &shared.hashes), STATUS_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_again_and_again, &shared), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    hash_cache_close(shared.hashes);
    free(cache);
    free(path);
}

/* ---- catalog and manifest ---------------------------------------------------------------- */

static void the_catalog_has_the_six_files(void **state)
{
    (void)state;
    struct catalog *catalog;
    unsigned needed[5] = { 0 };
    assert_int_equal(catalog_open(TEST_SOURCE_DIR "/weights/catalog.json", &catalog), STATUS_OK);
    assert_int_equal(catalog_count(catalog), 6);
    for (size_t i = 0; i < catalog_count(catalog); i++) {
        const struct catalog_file *file = catalog_at(catalog, i);
        assert_int_not_equal(weights_kind_named(file->kind), WEIGHTS_OTHER);
        for (unsigned n = 1; n < 5; n++)
            needed[n] += file->cases >> n & 1;
    }
    assert_true(needed[1] == 1 && needed[2] == 2 && needed[3] == 3 && needed[4] == 5);
    assert_true(hash_matches(catalog_find(catalog, "sd-v1-4")->sha256, "fe4efff1e1"));
    assert_true(hash_matches(catalog_find(catalog, "AOM3.safetensors")->sha256, "d124fc18f0"));
    assert_true(catalog_find(catalog, "sd-v1-4")->bytes == UINT64_C(4265380512));
    assert_null(catalog_find(catalog, "AOM4"));
    catalog_close(catalog);
}

static void bad_catalogs_and_manifests_are_refused(void **state)
{
    (void)state;
#define HASH64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ENTRY(file, bytes, hash, cases)                                                            \
    "{\"files\":[{\"name\":\"a\",\"file\":\"" file "\",\"kind\":\"lora\",\"address\":\"x\","       \
    "\"bytes\":" bytes ",\"sha256\":\"" hash "\",\"cases\":" cases "}]}"
    static const char *const catalogs[] = {
        "",
        "[",
        "{}",
        "{\"files\":3}",
        "{\"files\":[3]}",
        "{\"files\":[{}]}",
        ENTRY("../a", "1", HASH64, "[]"),
        ENTRY(".a", "1", HASH64, "[]"),
        ENTRY("", "1", HASH64, "[]"),
        ENTRY("a", "-1", HASH64, "[]"),
        ENTRY("a", "1e300", HASH64, "[]"),
        ENTRY("a", "1", "xyz", "[]"),
        ENTRY("a", "1", HASH64, "[0]"),
        ENTRY("a", "1", HASH64, "[99]"),
        ENTRY("a", "1", HASH64, "4"),
    };
    static const char *const manifests[] = {
        "",
        "{}",
        "{\"size\":[8],\"files\":[]}",
        "{\"size\":[8,12],\"files\":[]}",
        "{\"size\":[8,1e9],\"files\":[]}",
        "{\"size\":[8,8]}",
        "{\"size\":[8,8],\"files\":[{}]}",
    };
    char *path = fixture_path(folder, "manifest.json");
    struct catalog *catalog;
    struct manifest *manifest;
    for (size_t i = 0; i < sizeof catalogs / sizeof catalogs[0]; i++) {
        fixture_bytes(folder, "manifest.json", catalogs[i], strlen(catalogs[i]));
        assert_int_equal(catalog_open(path, &catalog), STATUS_BAD_FILE);
        assert_null(catalog);
    }
    for (size_t i = 0; i < sizeof manifests / sizeof manifests[0]; i++) {
        fixture_bytes(folder, "manifest.json", manifests[i], strlen(manifests[i]));
        assert_int_equal(manifest_open(folder, &manifest), STATUS_BAD_FILE);
        assert_null(manifest);
    }
    const char good[] = ENTRY("a", "1", HASH64, "[1,4]");
    fixture_bytes(folder, "manifest.json", good, sizeof good - 1);
    assert_int_equal(catalog_open(path, &catalog), STATUS_OK);
    assert_int_equal(catalog_at(catalog, 0)->cases, 1u << 1 | 1u << 4);
    catalog_close(catalog);
    free(path);
    assert_int_equal(manifest_open(models, &manifest), STATUS_NOT_FOUND);
    assert_int_equal(catalog_open("/nowhere/catalog.json", &catalog), STATUS_NOT_FOUND);
}

static void a_manifest_says_what_stands_in_for_what(void **state)
{
    (void)state;
    static const char text[] =
        "{\"stand_in\":true,\"recipe\":\"r\",\"size\":[128,192],\"files\":[{\"name\":\"a.ckpt\","
        "\"kind\":\"checkpoint\",\"bytes\":5,\"sha256\":\"" HASH64
        "\",\"stands_in_for\":\"the real a\"}]}";
    struct manifest *manifest;
    fixture_bytes(folder, "manifest.json", text, sizeof text - 1);
    assert_int_equal(manifest_open(folder, &manifest), STATUS_OK);
    assert_true(manifest_stand_in(manifest));
    assert_true(manifest_width(manifest) == 128 && manifest_height(manifest) == 192);
    assert_string_equal(manifest_recipe(manifest), "r");
    assert_int_equal(manifest_count(manifest), 1);
    assert_string_equal(manifest_find(manifest, "/x/y/a.ckpt")->stands_in_for, "the real a");
    assert_null(manifest_find(manifest, "b.ckpt"));
    manifest_close(manifest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_are_searched_once_and_loops_end),
        cmocka_unit_test(kinds_are_told_by_content),
        cmocka_unit_test(a_single_file_may_be_added),
        cmocka_unit_test(kinds_are_kept_between_runs),
        cmocka_unit_test(names_are_found_in_every_form),
        cmocka_unit_test(two_paths_to_one_file_are_no_doubt),
        cmocka_unit_test(ambiguous_names_are_listed_with_their_paths),
        cmocka_unit_test(unknown_names_get_the_nearest),
        cmocka_unit_test(the_vae_beside_a_checkpoint_is_found),
        cmocka_unit_test(models_are_found_by_name_then_by_hash),
        cmocka_unit_test(known_hashes_are_right),
        cmocka_unit_test(hashing_can_be_cancelled_and_refuses_what_is_no_file),
        cmocka_unit_test(processes_share_a_cache_without_losing_anything),
        cmocka_unit_test(threads_share_a_cache),
        cmocka_unit_test(the_catalog_has_the_six_files),
        cmocka_unit_test(bad_catalogs_and_manifests_are_refused),
        cmocka_unit_test(a_manifest_says_what_stands_in_for_what),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
