#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "util/uuid.h"

static void expect_uuid4(const char *text)
{
    cr_assert_eq(strlen(text), 36);
    for (int i = 0; i < 36; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23)
            cr_expect_eq(text[i], '-');
        else
            cr_expect(isxdigit((unsigned char)text[i]) && !isupper((unsigned char)text[i]));
    }
    cr_expect_eq(text[14], '4');
    cr_expect_not_null(strchr("89ab", text[19]));
}

Test(uuid, random_ones_are_version_4_and_differ)
{
    char a[UUID_TEXT], b[UUID_TEXT];

    for (int i = 0; i < 100; i++) {
        cr_assert_eq(uuid_random(a, NULL), OK);
        cr_assert_eq(uuid_random(b, NULL), OK);
        expect_uuid4(a);
        cr_expect_str_neq(a, b);
    }
}

Test(uuid, derived_ones_repeat)
{
    char a[UUID_TEXT], b[UUID_TEXT], c[UUID_TEXT];
    struct rng rng;

    rng_init(&rng, 42, "client", "7", 0);
    uuid_from_rng(a, &rng);
    uuid_from_rng(b, &rng);
    rng_init(&rng, 42, "client", "7", 0);
    uuid_from_rng(c, &rng);
    expect_uuid4(a);
    expect_uuid4(b);
    cr_expect_str_eq(a, c);
    cr_expect_str_neq(a, b);
}

Test(uuid, bytes_come_low_first_from_the_generator)
{
    struct rng rng;
    char text[UUID_TEXT], first[9];

    rng_init(&rng, 1, "x", "", 0);
    struct rng copy = rng;
    uint64_t word = rng_u64(&copy);
    uuid_from_rng(text, &rng);
    snprintf(first, sizeof first, "%02x%02x%02x%02x", (unsigned)(word & 255), (unsigned)(word >> 8 & 255),
             (unsigned)(word >> 16 & 255), (unsigned)(word >> 24 & 255));
    cr_expect_arr_eq(text, first, 8);
}
