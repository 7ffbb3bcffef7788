#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "codec/layout.h"

static void add(struct layout *layout, const char *name, enum tensor_role role, int num_dims, const int64_t *dims)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(layout_add(layout, name, role, false, num_dims, dims, &err), OK, "%s", err.message);
}

static void fill(struct layout *layout)
{
    layout_init(layout);
    add(layout, "conv1.weight", TENSOR_PARAMETER, 4, (int64_t[]){6, 1, 5, 5});
    add(layout, "conv1.bias", TENSOR_PARAMETER, 1, (int64_t[]){6});
    add(layout, "bn.running_mean", TENSOR_BUFFER, 1, (int64_t[]){6});
    add(layout, "bn.num_batches_tracked", TENSOR_BUFFER, 0, NULL);
}

Test(layout, tensors_lie_one_after_another)
{
    struct layout layout;

    fill(&layout);
    cr_assert_eq(layout.num_tensors, 4);
    cr_assert_eq(layout.num_parameters, 156);
    cr_assert_eq(layout.num_floats, 163);
    cr_assert_eq(layout_find(&layout, "conv1.bias")->offset, 150);
    cr_assert_eq(layout_find(&layout, "bn.num_batches_tracked")->count, 1);
    cr_assert_null(layout_find(&layout, "conv2.bias"));
    layout_fini(&layout);
}

Test(layout, bad_tensors_are_refused)
{
    struct layout layout;
    struct error err = ERROR_INIT;
    char longest[TENSOR_NAME_MAX + 1];

    fill(&layout);
    memset(longest, 'a', TENSOR_NAME_MAX);
    longest[TENSOR_NAME_MAX] = '\0';
    cr_assert_eq(layout_add(&layout, "conv1.bias", TENSOR_BUFFER, false, 0, NULL, &err), ERR_EXISTS);
    cr_assert_eq(layout_add(&layout, "", TENSOR_BUFFER, false, 0, NULL, &err), ERR_INVALID);
    cr_assert_eq(layout_add(&layout, longest, TENSOR_BUFFER, false, 0, NULL, &err), ERR_INVALID);
    cr_assert_eq(layout_add(&layout, "x", TENSOR_BUFFER, false, 1, (int64_t[]){-1}, &err), ERR_INVALID);
    cr_assert_eq(layout_add(&layout, "x", TENSOR_BUFFER, false, 2, (int64_t[]){INT64_MAX, 8}, &err), ERR_INVALID);
    cr_assert_eq(layout.num_floats, 163, "a refused tensor must leave no trace");
    layout_fini(&layout);
}

Test(layout, parameters_lie_before_buffers_whatever_the_order)
{
    struct layout layout;
    size_t seen = 0;

    fill(&layout);
    cr_assert_eq(layout_add(&layout, "x", TENSOR_PARAMETER, false, 1, (int64_t[]){5}, NULL), OK);
    cr_assert_eq(layout_find(&layout, "x")->offset, 156);
    cr_assert_eq(layout.num_parameters, 161);
    cr_assert_eq(layout.num_floats, 168);
    for (size_t i = 0; i < layout.num_tensors; i++) {
        const struct tensor_info *t = &layout.tensors[i];

        cr_assert_eq(t->offset >= layout.num_parameters, t->role == TENSOR_BUFFER, "%s", t->name);
        seen += t->count;
        for (size_t j = 0; j < i; j++)
            cr_assert(t->offset >= layout.tensors[j].offset + layout.tensors[j].count ||
                          layout.tensors[j].offset >= t->offset + t->count,
                      "%s and %s overlap", t->name, layout.tensors[j].name);
    }
    cr_assert_eq(seen, layout.num_floats);
    layout_fini(&layout);
}

Test(layout, copies_compare_equal_and_differences_are_named)
{
    struct layout a, b;
    struct error err = ERROR_INIT;

    fill(&a);
    cr_assert_eq(layout_copy(&a, &b, &err), OK);
    cr_assert_eq(layout_compare(&a, &b, &err), OK);

    b.tensors[0].dims[1] = 3;
    cr_assert_eq(layout_compare(&a, &b, &err), ERR_INVALID);
    cr_assert(strstr(err.message, "conv1.weight") && strstr(err.message, "[6, 1, 5, 5]") &&
                  strstr(err.message, "[6, 3, 5, 5]"),
              "%s", err.message);
    b.tensors[0].dims[1] = 1;
    b.num_tensors--;
    cr_assert_eq(layout_compare(&a, &b, &err), ERR_INVALID);
    cr_assert(strstr(err.message, "bn.num_batches_tracked is missing"), "%s", err.message);
    cr_assert_eq(layout_compare(&b, &a, &err), ERR_INVALID);
    b.num_tensors++;
    b.tensors[3].is_i64 = true;
    cr_assert_eq(layout_compare(&a, &b, &err), ERR_INVALID);
    layout_fini(&a);
    layout_fini(&b);
}

Test(layout, longest_shape_fits_its_text)
{
    char text[SHAPE_TEXT_MAX];
    int64_t dims[TENSOR_MAX_DIMS];

    for (int i = 0; i < TENSOR_MAX_DIMS; i++)
        dims[i] = INT64_MIN;
    shape_text(TENSOR_MAX_DIMS, dims, text);
    cr_assert_eq(text[strlen(text) - 1], ']');
}
