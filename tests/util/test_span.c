#include <criterion/criterion.h>

#include "util/span.h"

static int released;

static void release(void *context)
{
    released += *(int *)context;
}

Test(span, a_blob_goes_with_its_last_reference)
{
    int weight = 3;
    char data[4] = "abc";
    struct blob *blob = blob_adopt(data, 4, release, &weight);

    cr_assert_not_null(blob);
    cr_expect_eq(blob_ref(blob), blob);
    blob_unref(blob);
    cr_expect_eq(released, 0);
    cr_expect_eq(blob_span(blob).data, data);
    cr_expect_eq(blob_size(blob), 4);
    blob_unref(blob);
    cr_expect_eq(released, 3);
}

Test(span, nothing_is_absent_and_empty_is_not)
{
    struct blob *empty = blob_new(0);

    cr_assert_not_null(empty);
    cr_expect_not_null(blob_span(empty).data);
    cr_expect_eq(blob_size(empty), 0);
    cr_expect_null(blob_span(NULL).data);
    cr_expect_eq(blob_size(NULL), 0);
    cr_expect_null(blob_ref(NULL));
    blob_unref(NULL);
    blob_unref(empty);
}

Test(span, a_new_blob_can_be_filled)
{
    struct blob *blob = blob_new(1 << 20);
    unsigned char *bytes;

    cr_assert_not_null(blob);
    bytes = blob_bytes(blob);
    bytes[0] = 1;
    bytes[(1 << 20) - 1] = 2;
    cr_expect_eq(((const unsigned char *)blob_span(blob).data)[(1 << 20) - 1], 2);
    blob_unref(blob);
}
