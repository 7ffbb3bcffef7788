#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "tests/worker/scratch.h"
#include "util/fs.h"
#include "worker/model_cache.h"

static char dir[SCRATCH_PATH];
static struct model_cache *cache;

static void open_cache(void)
{
    struct error error = ERROR_INIT;

    cr_assert_eq(model_cache_new(&cache, dir, &error), OK, "%s", error.message);
}

static void setup(void)
{
    scratch_make(dir);
    open_cache();
}

static void teardown(void)
{
    model_cache_free(cache);
    scratch_remove(dir);
}

TestSuite(model_cache, .init = setup, .fini = teardown);

static struct upload *begin(const char *model_id, const char *file_name)
{
    struct error error = ERROR_INIT;
    struct upload *upload;

    cr_assert_eq(model_cache_begin(cache, model_id, file_name, &upload, &error), OK, "%s", error.message);
    return upload;
}

static void send(const char *model_id, const char *file_name, const char *text)
{
    struct upload *upload = begin(model_id, file_name);
    size_t half = strlen(text) / 2;

    cr_assert_eq(upload_write(upload, span_of(text, half), NULL), OK);
    cr_assert_eq(upload_write(upload, span_of(text + half, strlen(text) - half), NULL), OK);
    cr_assert_eq(upload_end(upload, true, NULL), OK);
}

static size_t count_entries(const char *name)
{
    char path[SCRATCH_PATH];
    DIR *folder = opendir(scratch_path(path, dir, name));
    size_t n = 0;

    cr_assert_not_null(folder, "%s", path);
    for (struct dirent *entry; (entry = readdir(folder));)
        n += fs_is_component(entry->d_name);
    closedir(folder);
    return n;
}

Test(model_cache, keeps_whole_files_and_their_hash)
{
    char hash[MODEL_HASH_TEXT], expected[MODEL_HASH_TEXT];
    char *folder = model_cache_folder(cache, "LeNet5"), path[SCRATCH_PATH];

    send("LeNet5", "model.yaml", "input: [1, 32, 32]\n");
    send("LeNet5", "config.yaml", "model_details: {}\n");
    char *text = scratch_read(scratch_path(path, folder, "model.yaml"));
    cr_assert_str_eq(text, "input: [1, 32, 32]\n");
    cr_assert_eq(model_cache_hash(cache, "LeNet5", hash, NULL), OK);
    cr_assert_eq(model_hash(folder, expected, NULL), OK);
    cr_assert_str_eq(hash, expected);
    cr_assert_eq(count_entries("uploads"), 0);
    free(text);
    free(folder);
}

Test(model_cache, an_upload_that_breaks_off_leaves_nothing)
{
    struct upload *upload = begin("LeNet5", "model.yaml");
    char hash[MODEL_HASH_TEXT];

    cr_assert_eq(upload_write(upload, span_of("abc", 3), NULL), OK);
    cr_assert_eq(upload_end(upload, false, NULL), OK);
    cr_assert_eq(count_entries("model_cache"), 0);
    cr_assert_eq(count_entries("uploads"), 0);
    cr_assert_eq(model_cache_hash(cache, "LeNet5", hash, NULL), ERR_NOT_FOUND);
}

Test(model_cache, the_last_upload_to_end_counts)
{
    struct upload *a = begin("m", "f"), *b = begin("m", "f"), *c = begin("m", "g");
    char *folder = model_cache_folder(cache, "m"), path[SCRATCH_PATH];

    upload_write(a, span_of("a", 1), NULL);
    upload_write(b, span_of("b", 1), NULL);
    upload_write(c, span_of("c", 1), NULL);
    cr_assert_eq(upload_end(b, true, NULL), OK);
    cr_assert_eq(upload_end(c, true, NULL), OK);
    cr_assert_eq(upload_end(a, true, NULL), OK);
    char *text = scratch_read(scratch_path(path, folder, "f"));
    cr_assert_str_eq(text, "a");
    cr_assert_eq(count_entries("model_cache/m"), 2);
    free(text);
    free(folder);
}

Test(model_cache, no_name_leaves_the_cache)
{
    static const char *const bad[] = {"", ".", "..", "a/b", "/etc", "../x", "a\nb", NULL};
    struct upload *upload;
    char long_name[300];

    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    for (size_t i = 0; bad[i]; i++) {
        cr_assert_eq(model_cache_begin(cache, bad[i], "f", &upload, NULL), ERR_INVALID, "model '%s'", bad[i]);
        cr_assert_eq(model_cache_begin(cache, "m", bad[i], &upload, NULL), ERR_INVALID, "file '%s'", bad[i]);
    }
    cr_assert_eq(model_cache_begin(cache, long_name, "f", &upload, NULL), ERR_INVALID);
    cr_assert_eq(model_cache_begin(cache, "m", NULL, &upload, NULL), ERR_INVALID);
    cr_assert_eq(count_entries("model_cache"), 0);
}

Test(model_cache, refuses_a_file_past_its_bound)
{
    size_t size = MODEL_CACHE_MAX_FILE_BYTES;
    char *zeros = calloc(size, 1);
    struct upload *upload = begin("m", "f");
    struct error error = ERROR_INIT;

    cr_assert_eq(upload_write(upload, span_of("x", 1), NULL), OK);
    cr_assert_eq(upload_write(upload, span_of(zeros, size), &error), ERR_TOO_LARGE);
    cr_assert_not_null(strstr(error.message, "m/f"), "%s", error.message);
    cr_assert_eq(upload_end(upload, false, NULL), OK);
    free(zeros);
}

Test(model_cache, finds_its_models_again)
{
    char path[SCRATCH_PATH], before[MODEL_HASH_TEXT], after[MODEL_HASH_TEXT];
    struct model_advert *models;
    size_t n;

    send("b", "f", "1");
    send("a", "f", "2");
    cr_assert_eq(model_cache_hash(cache, "b", before, NULL), OK);
    struct upload *left_open = begin("c", "f"); /* as if the worker were killed now */
    (void)left_open;
    struct model_cache *killed = cache;
    open_cache();
    cr_assert_eq(model_cache_list(cache, &models, &n, NULL), OK);
    cr_assert_eq(n, 2);
    cr_assert_str_eq(models[0].id, "a");
    cr_assert_str_eq(models[1].id, "b");
    cr_assert_eq(model_cache_hash(cache, "b", after, NULL), OK);
    cr_assert_str_eq(before, after);
    cr_assert_eq(count_entries("uploads"), 0);
    cr_assert_eq(model_cache_clear(cache, NULL), OK);
    cr_assert_not(fs_exists(scratch_path(path, dir, "model_cache")));
    free(models);
    cr_assert_eq(upload_end(left_open, false, NULL), OK);
    model_cache_free(killed);
}
