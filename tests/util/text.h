/* Helpers of the tests that compare whole diagnostics: what was found, as one text. */
#ifndef FLOSIM_TESTS_UTIL_TEXT_H
#define FLOSIM_TESTS_UTIL_TEXT_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "util/diag.h"

/* Everything in `diags` must be exactly `expected`. */
static inline void expect_diags(const struct diags *diags, const char *expected)
{
    char *found = diags_text(diags);

    cr_assert_not_null(found);
    cr_expect_str_eq(found, expected, "found:\n%s\nexpected:\n%s", found, expected);
    free(found);
}

#endif
