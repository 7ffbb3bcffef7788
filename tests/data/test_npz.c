#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "data/folder.h"
#include "data/npz.h"
#include "tests/data/support.h"

/* A growing image. */
struct image {
    unsigned char bytes[8192];
    size_t size;
};

static void put(struct image *image, const void *bytes, size_t size)
{
    cr_assert_leq(image->size + size, sizeof image->bytes);
    memcpy(image->bytes + image->size, bytes, size);
    image->size += size;
}

static void put_number(struct image *image, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        put(image, &(unsigned char){(unsigned char)(i < 4 ? value >> 8 * i : 0)}, 1);
}

/* As numpy.save writes it. */
static struct image npy(const char *descr, const char *order, const char *shape, const void *values, size_t size)
{
    struct image image = {0};
    char header[128];

    snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }", descr, order, shape);
    size_t padded = (10 + strlen(header) + 1 + 63) / 64 * 64 - 10;
    put(&image, "\x93NUMPY\1\0", 8);
    put_number(&image, (uint32_t)padded, 2);
    put(&image, header, strlen(header));
    while (image.size < 10 + padded - 1)
        put(&image, " ", 1);
    put(&image, "\n", 1);
    put(&image, values, size);
    return image;
}

static size_t deflate_raw(const struct image *in, unsigned char *out, size_t room)
{
    z_stream z = {.next_in = (z_const Bytef *)(uintptr_t)in->bytes, .avail_in = (uInt)in->size};

    cr_assert_eq(deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_out = out;
    z.avail_out = (uInt)room;
    cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return room - z.avail_out;
}

/* As numpy.savez and savez_compressed write it: members in order, a directory, its end. */
static struct image npz(const char *const *names, const struct image *members, size_t n, bool packed)
{
    struct image zip = {0}, directory = {0};
    unsigned char buffer[8192];

    for (size_t i = 0; i < n; i++) {
        uint32_t local = (uint32_t)zip.size, crc = (uint32_t)crc32(0, members[i].bytes, (uInt)members[i].size);
        size_t size = packed ? deflate_raw(&members[i], buffer, sizeof buffer) : members[i].size;
        for (int in_directory = 0; in_directory < 2; in_directory++) {
            struct image *to = in_directory ? &directory : &zip;
            put(to, in_directory ? "PK\1\2\24\0" : "PK\3\4", in_directory ? 6 : 4);
            put_number(to, 20, 2);
            put_number(to, 0, 2);
            put_number(to, packed ? 8 : 0, 2);
            put_number(to, 0, 4);
            put_number(to, crc, 4);
            put_number(to, (uint32_t)size, 4);
            put_number(to, (uint32_t)members[i].size, 4);
            put_number(to, (uint32_t)strlen(names[i]), 2);
            put_number(to, 0, 2);
            if (in_directory) {
                put_number(to, 0, 10 - 4 + 4);
                put_number(to, local, 4);
            }
            put(to, names[i], strlen(names[i]));
        }
        put(&zip, packed ? buffer : members[i].bytes, size);
    }
    uint32_t at = (uint32_t)zip.size;
    put(&zip, directory.bytes, directory.size);
    put(&zip, "PK\5\6\0\0\0\0", 8);
    put_number(&zip, (uint32_t)n, 2);
    put_number(&zip, (uint32_t)n, 2);
    put_number(&zip, (uint32_t)directory.size, 4);
    put_number(&zip, at, 4);
    put_number(&zip, 0, 2);
    return zip;
}

static const char *const names[] = {"x.npy", "y.npy", "group.npy"};
static const float four[] = {1.0f, -2.0f, 3.5f, 0.25f};
static const int64_t labels[] = {3, 1};

static struct image sample(bool packed)
{
    const struct image members[] = {npy("<f4", "False", "(2, 2)", four, sizeof four),
                                    npy("<i8", "False", "(2,)", labels, sizeof labels),
                                    npy("|u1", "False", "(2,)", "\7\5", 2)};

    return npz(names, members, 3, packed);
}

/* In a block of the exact size, so that AddressSanitizer sees any read past its end. */
static int decode(const struct image *image, struct dataset *out, struct error *err)
{
    void *copy = malloc(image->size + 1);

    memcpy(copy, image->bytes, image->size);
    *out = (struct dataset){0};
    int status = npz_decode(span_of(copy, image->size), out, err);
    free(copy);
    return status;
}

Test(npz, reads_stored_and_deflated_members)
{
    for (int packed = 0; packed < 2; packed++) {
        struct image image = sample(packed);
        struct dataset d;
        struct error err = ERROR_INIT;
        cr_assert_eq(decode(&image, &d, &err), OK, "%s", err.message);
        cr_assert(d.type == DATA_F32 && d.num_items == 2 && d.num_dims == 1 && d.dims[0] == 2);
        cr_assert_eq(memcmp(d.x, four, sizeof four), 0);
        cr_assert(d.labels[0] == 3 && d.labels[1] == 1 && d.num_classes == 4);
        cr_assert(d.groups[0] == 7 && d.groups[1] == 5);
        dataset_fini(&d);
    }
}

static struct dataset decode_x(const char *descr, const void *values, size_t size)
{
    const struct image members[] = {npy(descr, "False", "(1, 2)", values, size),
                                    npy("<f8", "False", "(1, 2)", (double[]){0.5, -4.0}, 16)};
    struct image image = npz(names, members, 2, false);
    struct dataset d;
    struct error err = ERROR_INIT;

    cr_assert_eq(decode(&image, &d, &err), OK, "%s", err.message);
    cr_assert(!d.labels && d.num_targets == 2 && d.values[0] == 0.5f && d.values[1] == -4.0f && d.num_classes == 0);
    return d;
}

Test(npz, reads_every_type)
{
    struct dataset d = decode_x("|u1", "\1\377", 2);
    cr_assert(d.type == DATA_U8 && ((const uint8_t *)d.x)[1] == 255);
    dataset_fini(&d);
    d = decode_x("<f2", "\0\x3c\x01\x80", 4); /* 1, and the smallest number below 0 */
    cr_assert(((const float *)d.x)[0] == 1.0f && ((const float *)d.x)[1] == -ldexpf(1, -24));
    dataset_fini(&d);
    d = decode_x("<f8", (double[]){0.1, 2}, 16);
    cr_assert(((const float *)d.x)[0] == 0.1f && d.type == DATA_F32);
    dataset_fini(&d);
    d = decode_x("<i4", (int32_t[]){4, 6}, 8);
    cr_assert(d.type == DATA_I32 && ((const int32_t *)d.x)[1] == 6 && d.vocabulary == 7);
    dataset_fini(&d);
    d = decode_x("<i8", (int64_t[]){4, 6}, 16);
    cr_assert(d.type == DATA_I32 && ((const int32_t *)d.x)[0] == 4);
    dataset_fini(&d);
}

static void expect_refusal(struct image x, struct image y, const char *message)
{
    struct image image = npz(names, (struct image[]){x, y}, 2, false);
    struct dataset d;
    struct error err = ERROR_INIT;

    cr_assert_neq(decode(&image, &d, &err), OK, "%s", message);
    cr_assert(strstr(err.message, message), "`%s` is not in `%s`", message, err.message);
    cr_assert(strstr(err.message, "byte ") || strstr(err.message, "shape") || strstr(err.message, "dimension"), "%s",
              err.message);
    cr_assert_null(d.memory);
}

Test(npz, what_cannot_be_read_is_refused_with_advice)
{
    struct image y = npy("<i8", "False", "(2,)", labels, 16), x = npy("<f4", "False", "(2, 2)", four, 16);

    expect_refusal(npy("<f4", "True", "(2, 2)", four, 16), y, "save numpy.ascontiguousarray(array) instead");
    expect_refusal(npy(">f4", "False", "(2, 2)", four, 16), y, "the array's type '>f4' is not read; u1");
    expect_refusal(npy(">f4", "False", "(2, 2)", four, 16), y, "convert it with .astype");
    expect_refusal(npy("|O8", "False", "(2, 1)", four, 16), y, "is not read");
    expect_refusal(npy("<f4", "False", "(2, 3)", four, 16), y, "promises 6 values of 4 bytes, but 16 bytes follow");
    expect_refusal(npy("<f4", "False", "(9999999999, 9999999999)", four, 16), y, "shape is damaged");
    expect_refusal(npy("<f4", "False", "(2, -2)", four, 16), y, "shape is damaged");
    expect_refusal(npy("<f4", "False", "(0, 4)", four, 0), y, "there is no data");
    expect_refusal(x, npy("<i8", "False", "(1, 2)", labels, 16), "must have the shape [2]");
    expect_refusal(x, npy("<i8", "False", "(2,)", (int64_t[]){0, -1}, 16), "label -1 of item 1");
    expect_refusal(npy("<f4", "False", "(2, 2)", (float[]){1, 2, NAN, 3}, 16), y, "is not a finite number");
    expect_refusal(npy("<i4", "False", "(2, 2)", (int32_t[]){1, 2, -3, 3}, 16), y, "convert features to floats");
}

Test(npz, no_cut_and_no_changed_byte_does_harm)
{
    struct image whole = sample(true);
    struct dataset d;

    for (size_t size = 0; size < whole.size; size++) {
        struct image cut = whole;
        cut.size = size;
        cr_assert_neq(decode(&cut, &d, NULL), OK, "%zu bytes accepted", size);
    }
    for (size_t i = 0; i < whole.size; i++) {
        struct image bad = whole;
        bad.bytes[i] ^= 0x41;
        if (decode(&bad, &d, NULL) == OK)
            dataset_fini(&d);
    }
}

Test(npz, a_changed_value_fails_the_check_sum)
{
    struct image image = sample(false);
    struct dataset d;
    struct error err = ERROR_INIT;

    image.bytes[30 + 5 + 128] ^= 1; /* the first value of x */
    cr_assert_eq(decode(&image, &d, &err), ERR_CORRUPT);
    cr_assert(strstr(err.message, "member x.npy") && strstr(err.message, "check sum"), "%s", err.message);
}

Test(npz, files_of_both_kinds_are_data_files)
{
    char *scratch = scratch_new();
    struct image x = npy("<f4", "False", "(2, 2)", four, 16), y = npy("<i8", "False", "(2,)", labels, 16);
    struct image both = sample(true);
    struct dataset d;
    struct diags *diags = diags_new();

    write_file(path_in(scratch, "train_x.npy"), x.bytes, x.size);
    write_file(path_in(scratch, "train_y.npy"), y.bytes, y.size);
    write_file(path_in(scratch, "a.npz"), both.bytes, both.size);
    cr_assert_eq(data_file_load(path_in(scratch, "train_x.npy"), &d, diags), OK);
    cr_assert(d.num_items == 2 && d.labels[0] == 3);
    dataset_fini(&d);
    cr_assert_eq(data_file_load(path_in(scratch, "a.npz"), &d, diags), OK);
    dataset_fini(&d);
    write_file(path_in(scratch, "other.npy"), x.bytes, x.size);
    cr_assert_neq(data_file_load(path_in(scratch, "other.npy"), &d, diags), OK);
    expect_finding(diags, "ends in x.npy");
    diags_free(diags);
    scratch_free(scratch);
}
