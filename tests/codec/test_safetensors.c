#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/safetensors.h"
#include "util/fs.h"

/* An image with the given header text and `data_size` zero bytes behind it, in a heap block of the exact size so that
 * AddressSanitizer sees any read past its end. */
static struct span image_of(const char *header, size_t data_size)
{
    uint64_t length = strlen(header);
    char *bytes = calloc(1, 8 + length + data_size);

    cr_assert_not_null(bytes);
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, length);
    return span_of(bytes, 8 + length + data_size);
}

struct bad_image {
    const char *header;
    size_t data_size;
    const char *complaint; /* part of the message */
};

#define F32 "\"dtype\":\"F32\","

static const struct bad_image bad_images[] = {
    {"", 0, "header"},
    {"{", 0, "header"},
    {"[]", 0, "not an object"},
    {"{\"a\":1}", 0, "not an object"},
    {"{\"a\":{}}", 0, "dtype is missing"},
    {"{\"a\":{\"dtype\":\"F31\"}}", 0, "dtype is unknown"},
    {"{\"a\":{" F32 "\"shape\":4}}", 0, "shape"},
    {"{\"a\":{" F32 "\"shape\":[1,1,1,1,1,1,1]}}", 0, "shape"},
    {"{\"a\":{" F32 "\"shape\":[-1]}}", 0, "shape[0]"},
    {"{\"a\":{" F32 "\"shape\":[1.5]}}", 0, "shape[0]"},
    {"{\"a\":{" F32 "\"shape\":[1],\"data_offsets\":[0]}}", 4, "two numbers"},
    {"{\"a\":{" F32 "\"shape\":[1],\"data_offsets\":[0,\"4\"]}}", 4, "two numbers"},
    {"{\"a\":{" F32 "\"shape\":[1],\"data_offsets\":[0,8]}}", 4, "outside"},
    {"{\"a\":{" F32 "\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "outside"},
    {"{\"a\":{" F32 "\"shape\":[1],\"data_offsets\":[-4,0]}}", 4, "outside"},
    {"{\"a\":{" F32 "\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "do not hold"},
    {"{\"a\":{" F32 "\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}", 0, "do not hold"},
    {"{\"a\":{" F32 "\"shape\":[9223372036854775808],\"data_offsets\":[0,0]}}", 0, "header"},
    {"{\"a\":{" F32 "\"shape\":[1],\"data_offsets\":[0,4]}}", 8, "4 bytes after"},
    {"{\"a\":{" F32 "\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "gap"},
    {"{\"a\":{" F32 "\"shape\":[1],\"data_offsets\":[0,4]},\"b\":{" F32 "\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
     "overlaps"},
    {"{\"a\":{" F32 "\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{" F32 "\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
     "duplicate"},
    {"{\"__metadata__\":[]}", 0, "__metadata__"},
    {"{\"__metadata__\":{\"n\":3}}", 0, "not a string"},
};

Test(safetensors, damage_is_named)
{
    for (size_t i = 0; i < sizeof bad_images / sizeof *bad_images; i++) {
        const struct bad_image *bad = &bad_images[i];
        struct span image = image_of(bad->header, bad->data_size);
        struct safetensors *file;
        struct error err = ERROR_INIT;

        cr_expect_eq(safetensors_parse(image, &file, &err), ERR_CORRUPT, "accepted: %s", bad->header);
        cr_expect_null(file);
        cr_expect(strstr(err.message, bad->complaint), "`%s` lacks `%s`", err.message, bad->complaint);
        free((void *)image.data);
    }
}

Test(safetensors, every_cut_of_a_file_is_refused)
{
    struct span image = image_of("{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}", 12);
    struct safetensors *file;

    for (size_t size = 0; size < image.size; size++) {
        void *part = malloc(size ? size : 1);

        memcpy(part, image.data, size);
        cr_assert_eq(safetensors_parse(span_of(part, size), &file, NULL), ERR_CORRUPT, "%zu bytes accepted", size);
        free(part);
    }
    cr_assert_eq(safetensors_parse(image, &file, NULL), OK);
    safetensors_free(file);
    free((void *)image.data);
}

Test(safetensors, a_flood_of_values_is_refused_before_it_is_parsed)
{
    size_t size = 8 << 20;
    char *header = malloc(size + 1);
    struct span image;
    struct safetensors *file;
    struct error err = ERROR_INIT;

    memset(header, ',', size);
    header[0] = '{';
    header[size] = '\0';
    image = image_of(header, 0);
    cr_assert_eq(safetensors_parse(image, &file, &err), ERR_CORRUPT);
    cr_assert(strstr(err.message, "too many values"), "%s", err.message);
    free((void *)image.data);
    free(header);
}

static struct layout mixed_layout(void)
{
    struct layout layout;

    layout_init(&layout);
    cr_assert_eq(layout_add(&layout, "w", TENSOR_PARAMETER, false, 2, (int64_t[]){3, 1}, NULL), OK);
    cr_assert_eq(layout_add(&layout, "mean", TENSOR_BUFFER, false, 1, (int64_t[]){2}, NULL), OK);
    cr_assert_eq(layout_add(&layout, "seen", TENSOR_BUFFER, true, 0, NULL, NULL), OK);
    cr_assert_eq(layout_add(&layout, "none", TENSOR_BUFFER, false, 1, (int64_t[]){0}, NULL), OK);
    return layout;
}

Test(safetensors, what_is_encoded_is_decoded)
{
    struct layout layout = mixed_layout();
    const float weights[6] = {1, -2.5F, 1e-42F, 7, 8, 16777216};
    float back[6] = {0};
    struct blob *image, *again;
    struct safetensors *file;
    json_t *metadata = json_pack("{s:s}", "format", "pt");

    cr_assert_eq(safetensors_encode(&layout, weights, metadata, &image, NULL), OK);
    cr_assert_eq(safetensors_encode(&layout, weights, metadata, &again, NULL), OK);
    cr_assert_eq(blob_size(image), blob_size(again));
    cr_assert_arr_eq(blob_bytes(image), blob_bytes(again), blob_size(image));

    cr_assert_eq(safetensors_parse(blob_span(image), &file, NULL), OK);
    cr_assert_str_eq(safetensors_metadata(file, "format"), "pt");
    cr_assert_null(safetensors_metadata(file, "other"));
    cr_assert_eq(safetensors_count(file), 4);
    cr_assert_str_eq(safetensors_find(file, "seen")->dtype, "I64");
    cr_assert_eq(*(const int64_t *)safetensors_find(file, "seen")->bytes.data, 16777216, "or not aligned");
    cr_assert_null(safetensors_find(file, "unseen"));
    safetensors_free(file);

    cr_assert_eq(safetensors_decode(&layout, blob_span(image), back, NULL), OK);
    cr_assert_arr_eq(back, weights, sizeof weights);
    blob_unref(image);
    blob_unref(again);
    json_decref(metadata);
    layout_fini(&layout);
}

Test(safetensors, a_count_that_is_no_number_is_refused)
{
    struct layout layout = mixed_layout();
    const float weights[6] = {1, 2, 3, 4, 5, (float)(0.0 / 0.0)};
    struct blob *image;
    struct error err = ERROR_INIT;

    cr_assert_eq(safetensors_encode(&layout, weights, NULL, &image, &err), ERR_INVALID);
    cr_assert_null(image);
    cr_assert(strstr(err.message, "seen"), "%s", err.message);
    layout_fini(&layout);
}

static void assert_decode_fails(struct layout *layout, struct blob *image, const char *complaint)
{
    float back[64];
    struct error err = ERROR_INIT;

    cr_assert_eq(safetensors_decode(layout, blob_span(image), back, &err), ERR_INVALID);
    cr_assert(strstr(err.message, complaint), "`%s` lacks `%s`", err.message, complaint);
}

Test(safetensors, another_models_weights_are_refused)
{
    struct layout ours = mixed_layout(), theirs = mixed_layout();
    const float weights[8] = {0};
    struct blob *image;

    cr_assert_eq(layout_add(&theirs, "more", TENSOR_BUFFER, false, 1, (int64_t[]){2}, NULL), OK);
    cr_assert_eq(safetensors_encode(&theirs, weights, NULL, &image, NULL), OK);
    assert_decode_fails(&ours, image, "more is not of this model");
    blob_unref(image);
    cr_assert_eq(safetensors_encode(&ours, weights, NULL, &image, NULL), OK);
    assert_decode_fails(&theirs, image, "more is missing");
    ours.tensors[0].dims[0] = 1;
    ours.tensors[0].dims[1] = 3;
    assert_decode_fails(&ours, image, "[1, 3]");
    ours.tensors[0].dims[0] = 3;
    ours.tensors[0].dims[1] = 1;
    ours.tensors[2].is_i64 = false;
    assert_decode_fails(&ours, image, "type F32 expected, I64 found");
    blob_unref(image);
    layout_fini(&ours);
    layout_fini(&theirs);
}

Test(safetensors, raw_tensors_go_to_a_file_and_back)
{
    char folder[] = "/tmp/test-safetensors-XXXXXX";
    char path[sizeof folder + 16];
    const unsigned char pixels[6] = {1, 2, 3, 4, 5, 6};
    const int64_t labels[2] = {7, 9};
    const struct safetensors_tensor tensors[2] = {
        {.name = "y", .dtype = "I64", .num_dims = 1, .dims = {2}, .bytes = {labels, sizeof labels}},
        {.name = "x", .dtype = "U8", .num_dims = 2, .dims = {2, 3}, .bytes = {pixels, sizeof pixels}},
    };
    struct blob *blob;
    struct safetensors *file;

    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/part", folder);
    cr_assert_eq(safetensors_write(path, tensors, 2, NULL, NULL), OK);
    cr_assert_eq(fs_read(path, 1 << 20, &blob, NULL), OK);
    cr_assert_eq(safetensors_parse(blob_span(blob), &file, NULL), OK);
    cr_assert_arr_eq(safetensors_find(file, "x")->bytes.data, pixels, sizeof pixels);
    cr_assert_arr_eq(safetensors_find(file, "y")->bytes.data, labels, sizeof labels);
    safetensors_free(file);
    blob_unref(blob);
    unlink(path);
    rmdir(folder);
}

/* Files that another implementation wrote. */
Test(safetensors, reads_the_reference_vectors)
{
    const char *srcdir = getenv("srcdir");
    char path[512];
    struct blob *blob;
    struct safetensors *file;

    snprintf(path, sizeof path, "%s/tests/vectors/layer_batchnorm_train.safetensors", srcdir ? srcdir : ".");
    cr_assert_eq(fs_read(path, 1 << 20, &blob, NULL), OK);
    cr_assert_eq(safetensors_parse(blob_span(blob), &file, NULL), OK);
    cr_assert_gt(safetensors_count(file), 3);
    cr_assert_not_null(safetensors_find(file, "gx"));
    safetensors_free(file);
    blob_unref(blob);
}
