#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "data/idx.h"
#include "tests/data/support.h"

static struct diags *load(const char *images, const char *labels, int32_t classes, struct dataset *out, int *status)
{
    struct diags *diags = diags_new();

    *out = (struct dataset){.num_classes = classes};
    *status = idx_load(images, labels, NULL, "copy it again", out, diags);
    return diags;
}

/* A damaged pair must give one finding that names the file, and leave nothing behind. */
static void expect_refusal(const char *images, const char *labels, const char *file, const char *message)
{
    struct dataset out;
    int status;
    struct diags *diags = load(images, labels, 10, &out, &status);

    cr_assert_neq(status, OK, "%s should be refused", message);
    cr_assert_eq(diags_errors(diags), 1);
    expect_finding(diags, file);
    expect_finding(diags, message);
    expect_finding(diags, "copy it again");
    cr_assert_null(out.memory);
    diags_free(diags);
}

struct pair {
    char *folder;
    unsigned char *images, *labels;
    size_t images_size, labels_size;
    const char *images_path, *labels_path;
};

static struct pair pair_new(void)
{
    struct pair p = {.folder = scratch_new()};

    p.images = idx_images(20, 6, 5, &p.images_size);
    p.labels = idx_labels(20, 10, &p.labels_size);
    p.images_path = path_in(p.folder, "a-images-idx3-ubyte");
    p.labels_path = path_in(p.folder, "a-labels-idx1-ubyte");
    write_file(p.images_path, p.images, p.images_size);
    write_file(p.labels_path, p.labels, p.labels_size);
    return p;
}

static void pair_free(struct pair *p)
{
    scratch_free(p->folder);
    free(p->images);
    free(p->labels);
}

static void check_content(const struct pair *p, const struct dataset *d)
{
    cr_assert_eq(d->num_items, 20);
    cr_assert_eq(d->num_classes, 10);
    cr_assert(d->num_dims == 3 && d->dims[0] == 1 && d->dims[1] == 6 && d->dims[2] == 5);
    cr_assert_eq(memcmp(d->x, p->images + 16, 600), 0);
    for (int32_t i = 0; i < 20; i++)
        cr_assert_eq(d->labels[i], i % 10);
}

Test(idx, reads_plain_and_gz_and_finds_the_labels_by_name)
{
    struct pair p = pair_new();
    struct dataset d;
    int status;
    struct diags *diags = load(p.images_path, NULL, 0, &d, &status);

    cr_assert_eq(status, OK);
    check_content(&p, &d);
    dataset_fini(&d);
    diags_free(diags);
    write_gz(path_in(p.folder, "z-images-idx3-ubyte.gz"), p.images, p.images_size);
    write_gz(path_in(p.folder, "z-labels-idx1-ubyte.gz"), p.labels, p.labels_size);
    diags = load(path_in(p.folder, "z-images-idx3-ubyte.gz"), NULL, 0, &d, &status);
    cr_assert_eq(status, OK);
    check_content(&p, &d);
    dataset_fini(&d);
    diags_free(diags);
    pair_free(&p);
}

Test(idx, reads_floats_and_wide_labels)
{
    const unsigned char images[] = {0, 0, 0x0d, 2, 0, 0, 0, 2, 0, 0, 0, 1, 0x3f, 0x80, 0, 0, 0xc0, 0x20, 0, 0};
    const unsigned char labels[] = {0, 0, 0x0c, 1, 0, 0, 0, 2, 0, 0, 0x01, 0x2c, 0, 0, 0, 0};
    struct dataset d = {0};
    struct error err = ERROR_INIT;
    int culprit;

    cr_assert_eq(idx_decode(span_of(images, sizeof images), span_of(labels, sizeof labels), NULL, &d, &culprit, &err),
                 OK, "%s", err.message);
    cr_assert(d.type == DATA_F32 && d.num_dims == 1 && d.dims[0] == 1 && d.num_items == 2);
    cr_assert(((const float *)d.x)[0] == 1.0f && ((const float *)d.x)[1] == -2.5f);
    cr_assert(d.labels[0] == 300 && d.labels[1] == 0 && d.num_classes == 301);
    dataset_fini(&d);
}

/* Write a spoiled copy of the images, plain, and expect a refusal. */
static void spoil_images(const struct pair *p, size_t at, unsigned char value, size_t size, const char *message)
{
    const char *path = path_in(p->folder, "bad-images-idx3-ubyte");
    unsigned char *copy = calloc(1, size + p->images_size);

    memcpy(copy, p->images, p->images_size);
    copy[at] = value;
    write_file(path, copy, size);
    free(copy);
    expect_refusal(path, p->labels_path, path, message);
}

Test(idx, damaged_images_are_refused_with_their_place)
{
    struct pair p = pair_new();

    spoil_images(&p, 0, 1, p.images_size, "byte 0: 01 00 where an IDX file has 00 00");
    spoil_images(&p, 2, 0x0b, p.images_size, "byte 2: IDX type 0x0b");
    spoil_images(&p, 3, 0, p.images_size, "byte 3: 0 dimensions");
    spoil_images(&p, 3, 200, p.images_size, "byte 3: 200 dimensions");
    spoil_images(&p, 3, 1, p.images_size, "byte 2: images are bytes or floats");
    spoil_images(&p, 4, 255, p.images_size, "byte 4: dimension 0 of 4278190100 values does not fit");
    spoil_images(&p, 11, 0, p.images_size, "byte 8: dimension 1 of 0 values");
    spoil_images(&p, 15, 6, p.images_size, "byte 12: dimension 2 of 6 values does not fit a file of 616 bytes");
    spoil_images(&p, 15, 4, p.images_size, "byte 496: the data should end here, but more follows");
    spoil_images(&p, 0, 0, 0, "byte 0: the file ends in the middle of the IDX magic number");
    spoil_images(&p, 0, 0, 5, "byte 5: the file ends in the middle of the IDX dimensions: 1 of 4");
    spoil_images(&p, 0, 0, 9, "byte 4: dimension 0 of 20 values does not fit a file of 9 bytes");
    spoil_images(&p, 0, 0, 615, "byte 615: the file ends in the middle of the images: 599 of 600");
    spoil_images(&p, 0, 0, p.images_size + 1, "byte 616: the data should end here");
    pair_free(&p);
}

Test(idx, damaged_labels_are_refused_with_their_place)
{
    struct pair p = pair_new();
    const char *path = path_in(p.folder, "bad-labels");

    p.labels[8 + 13] = 10;
    write_file(path, p.labels, p.labels_size);
    expect_refusal(p.images_path, path, path, "byte 21: label 10 of item 13 is not between 0 and 9");
    p.labels[8 + 13] = 3;
    p.labels[7] = 19;
    write_file(path, p.labels, p.labels_size - 1);
    expect_refusal(p.images_path, path, path, "byte 4: 19 labels, but the image file holds 20 images");
    expect_refusal(p.images_path, p.images_path, p.images_path, "byte 2: labels are whole numbers");
    pair_free(&p);
}

Test(idx, missing_files_are_reported_together)
{
    char *folder = scratch_new();
    struct dataset d;
    int status;
    struct diags *diags = load(path_in(folder, "no-images-idx3"), NULL, 10, &d, &status);

    cr_assert_eq(status, ERR_NOT_FOUND);
    cr_assert_eq(diags_errors(diags), 2);
    expect_finding(diags, "no-labels-idx1");
    diags_free(diags);
    diags = load(path_in(folder, "data.bin"), NULL, 10, &d, &status);
    cr_assert_neq(status, OK);
    expect_finding(diags, "cannot tell the label file");
    diags_free(diags);
    scratch_free(folder);
}

static unsigned char *read_back(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = malloc(1 << 16);

    cr_assert(file && bytes);
    *size = fread(bytes, 1, 1 << 16, file);
    fclose(file);
    return bytes;
}

Test(idx, damaged_gz_is_refused_with_its_place)
{
    struct pair p = pair_new();
    const char *path = path_in(p.folder, "d-images-idx3-ubyte.gz");
    size_t size;

    write_gz(path, p.images, p.images_size);
    unsigned char *gz = read_back(path, &size);
    for (size_t cut = 2; cut < size; cut += 7) {
        write_file(path, gz, cut);
        expect_refusal(path, p.labels_path, path, "the gzip data breaks off here");
    }
    write_file(path, gz, size - 1); /* all images are there, the checksum is not */
    expect_refusal(path, p.labels_path, path, "byte 616: the gzip data breaks off here");
    gz[size - 6] ^= 1; /* the CRC */
    write_file(path, gz, size);
    expect_refusal(path, p.labels_path, path, "the gzip data is damaged (incorrect data check");
    gz[size - 6] ^= 1;
    memcpy(gz + size, "garbage", 7);
    write_file(path, gz, size + 7);
    expect_refusal(path, p.labels_path, path, "7 bytes of something else follow the gzip data");
    free(gz);
    pair_free(&p);
}

Test(idx, gz_in_several_members_is_one_file)
{
    struct pair p = pair_new();
    const char *first = path_in(p.folder, "1.gz"), *second = path_in(p.folder, "2.gz");
    const char *whole = path_in(p.folder, "m-images-idx3-ubyte.gz");
    size_t a, b;

    write_gz(first, p.images, 100);
    write_gz(second, p.images + 100, p.images_size - 100);
    unsigned char *bytes = read_back(first, &a), *more = read_back(second, &b);
    memcpy(bytes + a, more, b);
    write_file(whole, bytes, a + b);
    struct dataset d;
    int status;
    struct diags *diags = load(whole, p.labels_path, 10, &d, &status);
    cr_assert_eq(status, OK);
    check_content(&p, &d);
    dataset_fini(&d);
    diags_free(diags);
    free(bytes);
    free(more);
    pair_free(&p);
}

/* 100 MB of zeros in 100 KB: the header says how much there may be, and no more is ever decompressed or allocated. */
Test(idx, a_decompression_bomb_is_refused)
{
    struct pair p = pair_new();
    const char *path = path_in(p.folder, "bomb-images-idx3-ubyte.gz");
    unsigned char *zeros = calloc(1, 1 << 20);
    gzFile file = gzopen(path, "wb9");

    cr_assert(zeros && file);
    cr_assert_eq(gzwrite(file, p.images, 16), 16);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(gzwrite(file, zeros, 1 << 20), 1 << 20);
    cr_assert_eq(gzclose(file), Z_OK);
    expect_refusal(path, p.labels_path, path, "byte 616: the data should end here, but more follows");
    memset(p.images + 4, 0x7f, 4); /* two thousand million images of 30 bytes in a file of 600 bytes */
    write_gz(path, p.images, p.images_size);
    expect_refusal(path, p.labels_path, path, "does not fit a file of");
    free(zeros);
    pair_free(&p);
}

/* EMNIST: column by column, and letters count from 1. */
Test(idx, turns_images_upright_and_counts_labels_from_an_offset)
{
    const unsigned char images[] = {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4};
    const unsigned char oblong[] = {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2};
    unsigned char labels[] = {0, 0, 8, 1, 0, 0, 0, 1, 26};
    const struct idx_args args = {.transpose = true, .label_offset = 1};
    struct dataset d = {0};
    struct error err = ERROR_INIT;
    int culprit;

    cr_assert_eq(idx_decode(span_of(images, sizeof images), span_of(labels, 9), &args, &d, &culprit, &err), OK);
    cr_assert(memcmp(d.x, (unsigned char[]){1, 3, 2, 4}, 4) == 0 && d.labels[0] == 25 && d.num_classes == 26);
    dataset_fini(&d);
    cr_assert_eq(idx_decode(span_of(oblong, sizeof oblong), span_of(labels, 9), &args, &d, &culprit, &err),
                 ERR_INVALID);
    cr_assert(strstr(err.message, "only square images"));
    labels[8] = 0;
    d = (struct dataset){0};
    cr_assert_eq(idx_decode(span_of(images, sizeof images), span_of(labels, 9), &args, &d, &culprit, &err),
                 ERR_INVALID);
    cr_assert(strstr(err.message, "byte 8: label -1"), "%s", err.message);
}
