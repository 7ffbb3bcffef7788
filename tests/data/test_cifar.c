#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "data/cifar.h"
#include "data/folder.h"
#include "tests/data/support.h"
#include "util/fs.h"

enum { PIXELS = 3072 };

/* n records of `head` label bytes: item i has the labels i % 10 (and i % 100), pixel p of it is i + p. */
static unsigned char *records(size_t n, size_t head, size_t *size)
{
    unsigned char *bytes = malloc(n * (head + PIXELS)), *to = bytes;

    cr_assert_not_null(bytes);
    for (size_t i = 0; i < n; i++) {
        *to++ = (unsigned char)(i % 10);
        if (head == 2)
            *to++ = (unsigned char)(90 + i % 10);
        for (size_t p = 0; p < PIXELS; p++)
            *to++ = (unsigned char)(i + p);
    }
    *size = n * (head + PIXELS);
    return bytes;
}

static void write_records(const char *path, size_t n, size_t head)
{
    size_t size;
    unsigned char *bytes = records(n, head, &size);

    write_file(path, bytes, size);
    free(bytes);
}

static struct diags *load(const char *source, const char *yaml, struct data_pair *out, int *status)
{
    const struct source_ops *ops = data_source_find(source);
    struct diags *diags = diags_new();

    cr_assert_not_null(ops);
    void *args = args_from(ops->params, yaml);
    *status = ops->load(args, 1, out, diags);
    args_free(ops->params, args);
    return diags;
}

Test(cifar, ten_reads_all_batches_in_order_with_a_deviation_for_each_channel)
{
    char *folder = scratch_new(), yaml[512];
    struct data_pair pair;
    int status;
    float x[PIXELS];
    int32_t label;

    write_records(path_in(folder, "a.bin"), 12, 1);
    write_records(path_in(folder, "b.bin"), 3, 1);
    write_records(path_in(folder, "t.bin"), 2, 1);
    snprintf(yaml, sizeof yaml, "{path: %s, train: [a.bin, b.bin], validation: [t.bin]}", folder);
    struct diags *diags = load("cifar10", yaml, &pair, &status);
    cr_assert_eq(status, OK);
    cr_assert(pair.train.num_items == 15 && pair.validation.num_items == 2 && pair.train.num_classes == 10);
    cr_assert(pair.train.labels[11] == 1 && pair.train.labels[12] == 0 && pair.train.labels[14] == 2);
    struct data_view view = {&pair.train, NULL, 15};
    data_gather(&view, NULL, 13, 1, x, &label, NULL);
    cr_assert_eq(label, 1);
    const float mean[] = {0.4914f, 0.4822f, 0.4465f}, std[] = {0.2470f, 0.2435f, 0.2616f};
    for (size_t p = 0; p < PIXELS; p++) {
        float raw = (float)((1 + p) % 256) / 255.0f;
        cr_assert_float_eq((double)x[p], (double)((raw - mean[p / 1024]) / std[p / 1024]), 1e-5);
    }
    data_pair_fini(&pair);
    diags_free(diags);
    scratch_free(folder);
}

Test(cifar, hundred_has_fine_and_coarse_labels)
{
    char *folder = scratch_new(), yaml[512];
    struct data_pair pair;
    int status;

    write_records(path_in(folder, "train.bin"), 12, 2);
    write_records(path_in(folder, "test.bin"), 2, 2);
    for (int coarse = 0; coarse < 2; coarse++) {
        snprintf(yaml, sizeof yaml, "{path: %s, labels: %s}", folder, coarse ? "coarse" : "fine");
        struct diags *diags = load("cifar100", yaml, &pair, &status);
        cr_assert_eq(status, OK);
        cr_assert(pair.train.num_items == 12 && pair.train.num_classes == (coarse ? 20 : 100));
        cr_assert_eq(pair.train.labels[11], coarse ? 1 : 91);
        cr_assert_eq(((const uint8_t *)pair.train.x)[PIXELS * 11], 11);
        data_pair_fini(&pair);
        diags_free(diags);
    }
    scratch_free(folder);
}

static void expect_refusal(enum cifar_kind kind, const void *bytes, size_t size, const char *message)
{
    char *folder = scratch_new();
    const char *path = path_in(folder, "batch.bin");
    struct dataset out = {0};
    struct diags *diags = diags_new();

    write_file(path, bytes, size);
    cr_assert_neq(cifar_load(kind, &path, 1, "copy it again", &out, diags), OK, "%s", message);
    expect_finding(diags, path);
    expect_finding(diags, message);
    expect_finding(diags, "copy it again");
    cr_assert_null(out.memory);
    diags_free(diags);
    scratch_free(folder);
}

Test(cifar, damage_is_refused_with_its_place)
{
    size_t size;
    unsigned char *bytes = records(3, 1, &size);

    expect_refusal(CIFAR_10, bytes, 0, "empty");
    expect_refusal(CIFAR_10, bytes, size - 1, "byte 6146: 3072 bytes where a record of 3073 bytes is expected");
    expect_refusal(CIFAR_10, bytes, 5, "byte 0: 5 bytes where a record");
    bytes[3073] = 10;
    expect_refusal(CIFAR_10, bytes, size, "byte 3073: label 10 is not between 0 and 9: this is not a CIFAR-10 batch");
    free(bytes);
    bytes = records(2, 2, &size);
    bytes[3074] = 20;
    expect_refusal(CIFAR_100_FINE, bytes, size, "byte 3074: label 20 is not between 0 and 19");
    bytes[3074] = 19;
    bytes[3075] = 100;
    expect_refusal(CIFAR_100_COARSE, bytes, size, "byte 3075: label 100 is not between 0 and 99");
    free(bytes);
}

Test(cifar, gz_is_read_and_a_cut_one_refused)
{
    char *folder = scratch_new();
    const char *path = path_in(folder, "batch.bin.gz");
    size_t size;
    unsigned char *bytes = records(3, 1, &size);
    struct dataset out = {0};
    struct diags *diags = diags_new();
    struct blob *packed;

    write_gz(path, bytes, size);
    cr_assert_eq(cifar_load(CIFAR_10, &path, 1, "x", &out, diags), OK);
    cr_assert(out.num_items == 3 && ((const uint8_t *)out.x)[PIXELS * 3 - 1] == bytes[size - 1]);
    dataset_fini(&out);
    cr_assert_eq(fs_read(path, 1 << 20, &packed, NULL), OK);
    write_file(path, blob_bytes(packed), blob_size(packed) - 9);
    cr_assert_neq(cifar_load(CIFAR_10, &path, 1, "x", &out, diags), OK);
    expect_finding(diags, "cut short");
    blob_unref(packed);
    diags_free(diags);
    free(bytes);
    scratch_free(folder);
}

Test(cifar, a_data_file_tells_ten_from_hundred_by_its_size)
{
    char *folder = scratch_new();
    struct dataset out;
    struct diags *diags = diags_new();
    size_t size;

    write_records(path_in(folder, "data_batch_1.bin"), 4, 1);
    write_records(path_in(folder, "train.bin"), 4, 2);
    cr_assert_eq(data_file_load(path_in(folder, "data_batch_1.bin"), &out, diags), OK);
    cr_assert(out.num_classes == 10 && out.num_items == 4 && out.transform.num_channels == 1);
    dataset_fini(&out);
    cr_assert_eq(data_file_load(path_in(folder, "train.bin"), &out, diags), OK);
    cr_assert(out.num_classes == 100 && out.labels[3] == 93);
    dataset_fini(&out);
    unsigned char *bytes = records(4, 2, &size);
    write_gz(path_in(folder, "test.bin.gz"), bytes, size);
    cr_assert_eq(data_file_load(path_in(folder, "test.bin.gz"), &out, diags), OK);
    cr_assert(out.num_classes == 100 && out.num_items == 4 && out.labels[3] == 93);
    dataset_fini(&out);
    write_gz(path_in(folder, "short.bin.gz"), bytes, size - 1);
    cr_assert_neq(data_file_load(path_in(folder, "short.bin.gz"), &out, diags), OK);
    expect_finding(diags, "short.bin.gz");
    free(bytes);
    write_file(path_in(folder, "other.bin"), "abc", 3);
    cr_assert_neq(data_file_load(path_in(folder, "other.bin"), &out, diags), OK);
    expect_finding(diags, "not a whole number of CIFAR-10 records");
    diags_free(diags);
    scratch_free(folder);
}
