#include <criterion/criterion.h>
#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/data/support.h"

/* The definition, pixel by pixel: pad the raw image with zeros, then transform. */
static float defined_value(const struct dataset *d, size_t item, int64_t channel, int64_t row, int64_t column)
{
    int64_t p = d->transform.padding, height = d->dims[1], width = d->dims[2];
    int64_t r = row - p, c = column - p;
    float raw = 0.0f;

    if (r >= 0 && r < height && c >= 0 && c < width) {
        size_t at = item * d->item_size + (size_t)((channel * height + r) * width + c);
        raw = d->type == DATA_U8 ? (float)((const uint8_t *)d->x)[at] : ((const float *)d->x)[at];
    }
    int of = d->transform.num_channels > 1 ? (int)channel : 0;
    return (raw * d->transform.scale - d->transform.mean[of]) / d->transform.std[of];
}

static void make_images(struct dataset *d, enum data_type type, int padding)
{
    struct dataset_fill fill;

    *d = (struct dataset){.num_items = 7, .num_dims = 3, .dims = {2, 5, 3}, .type = type, .num_classes = 7};
    d->transform = transform_plain(1.0f / 255.0f, 0.2860f, 0.3530f, padding);
    cr_assert_eq(dataset_alloc(d, false, &fill, NULL), OK);
    for (size_t i = 0; i < d->num_items * d->item_size; i++) {
        if (type == DATA_U8)
            ((uint8_t *)fill.x)[i] = (uint8_t)(i * 37);
        else
            ((float *)fill.x)[i] = (float)i * 0.5f - 20.0f;
    }
    for (size_t i = 0; i < d->num_items; i++)
        fill.labels[i] = (int32_t)i;
    dataset_seal(d);
}

static void check_against_definition(enum data_type type, int padding)
{
    const uint32_t index[] = {6, 0, 3, 3}, order[] = {9, 2, 0, 3, 1};
    struct dataset d;
    int64_t dims[DATA_MAX_DIMS];
    int32_t labels[4];

    make_images(&d, type, padding);
    struct data_view view = {&d, index, 4};
    cr_assert_eq(dataset_shape(&d, dims), 3);
    cr_assert(dims[0] == 2 && dims[1] == 5 + 2 * padding && dims[2] == 3 + 2 * padding);
    size_t size = (size_t)(dims[0] * dims[1] * dims[2]);
    float *x = malloc(4 * size * sizeof *x);
    data_gather(&view, order, 1, 4, x, labels, NULL);
    for (size_t i = 0; i < 4; i++) {
        size_t item = index[order[1 + i]];
        cr_assert_eq(labels[i], (int32_t)item);
        const float *found = x + i * size;
        for (int64_t c = 0; c < dims[0]; c++)
            for (int64_t h = 0; h < dims[1]; h++)
                for (int64_t w = 0; w < dims[2]; w++)
                    cr_assert_eq(*found++, defined_value(&d, item, c, h, w));
    }
    free(x);
    dataset_fini(&d);
}

Test(gather, equals_the_definition)
{
    for (int padding = 0; padding < 3; padding++) {
        check_against_definition(DATA_U8, padding);
        check_against_definition(DATA_F32, padding);
    }
}

Test(gather, without_order_takes_a_run_and_without_index_all_items)
{
    struct dataset d;
    float x[3 * 30];
    int32_t labels[3];

    make_images(&d, DATA_U8, 0);
    data_gather(&(struct data_view){&d, NULL, 7}, NULL, 4, 3, x, labels, NULL);
    for (int32_t i = 0; i < 3; i++)
        cr_assert_eq(labels[i], 4 + i);
    cr_assert_eq(x[30], defined_value(&d, 5, 0, 0, 0));
    dataset_fini(&d);
}

Test(gather, allocates_nothing)
{
    static float x[7 * 2 * 9 * 7];
    struct dataset d;
    int32_t labels[7];

    make_images(&d, DATA_U8, 2);
    struct mallinfo2 before = mallinfo2();
    data_gather(&(struct data_view){&d, NULL, 7}, NULL, 0, 7, x, labels, NULL);
    struct mallinfo2 after = mallinfo2();
    cr_assert_eq(before.uordblks, after.uordblks);
    dataset_fini(&d);
}

Test(dataset, is_one_copy_for_a_forked_child)
{
    struct dataset d = {.num_items = 1, .num_dims = 1, .dims = {4}, .type = DATA_F32, .num_classes = 2};
    struct dataset_fill fill;

    cr_assert_eq(dataset_alloc(&d, true, &fill, NULL), OK);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        fill.labels[0] = 1; /* seen by the parent only where the memory is one */
        _exit(0);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(d.labels[0], 1);
    cr_assert_eq((uintptr_t)d.x % 64, 0);
    cr_assert_eq((uintptr_t)d.groups % 64, 0);
    dataset_fini(&d);
    cr_assert_null(d.memory);
}

Test(dataset, refuses_sizes_that_overflow)
{
    struct dataset d = {.num_items = UINT32_MAX, .num_dims = 2, .dims = {INT64_MAX, INT64_MAX}, .type = DATA_F32};
    struct dataset_fill fill;
    struct error err = ERROR_INIT;

    cr_assert_eq(dataset_alloc(&d, false, &fill, &err), ERR_INVALID);
    d.dims[0] = 0;
    cr_assert_eq(dataset_alloc(&d, false, &fill, &err), ERR_INVALID);
    d.num_dims = 1;
    d.dims[0] = INT32_MAX;
    cr_assert_neq(dataset_alloc(&d, false, &fill, &err), OK); /* 36 exabytes */
    cr_assert_null(d.memory);
}

static int32_t label_mod_4(size_t i)
{
    return (int32_t)(i % 4);
}

Test(dataset, label_shares_are_fractions_of_the_view)
{
    const uint32_t index[] = {0, 4, 1, 3};
    struct dataset *d = labelled_new(8, 5, label_mod_4);
    double share[5];

    data_label_shares(&(struct data_view){d, index, 4}, share);
    cr_assert(share[0] == 0.5 && share[1] == 0.25 && share[2] == 0 && share[3] == 0.25 && share[4] == 0);
    labelled_free(d);
}
