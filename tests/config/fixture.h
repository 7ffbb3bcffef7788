/* Loading files of this folder in tests. */
#ifndef FLOSIM_TESTS_CONFIG_FIXTURE_H
#define FLOSIM_TESTS_CONFIG_FIXTURE_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/check.h"
#include "util/fs.h"

/* The path of a file of tests/config; the caller frees. */
static inline char *data_path(const char *name)
{
    const char *srcdir = getenv("srcdir");
    char *folder = fs_join(srcdir ? srcdir : ".", "tests/config");
    char *path = folder ? fs_join(folder, name) : NULL;

    cr_assert_not_null(path);
    free(folder);
    return path;
}

static inline void expect_diags(const struct diags *diags, const char *expected)
{
    char *found = diags_text(diags);

    cr_assert_not_null(found);
    cr_expect_str_eq(found, expected, "found:\n%s\nexpected:\n%s", found, expected);
    free(found);
}

/* Go into the file's folder, so that messages begin with its bare name. */
static inline int load_from(const struct param_table *table, const char *name, void *out, const char *expected)
{
    char *path = data_path(name), *slash = strrchr(path, '/');
    struct diags *diags = diags_new();

    *slash = '\0';
    cr_assert_eq(chdir(path), 0, "%s", path);
    int status = config_load(table, slash + 1, NULL, YAML_EXPAND_ENV, out, diags);
    expect_diags(diags, expected);
    diags_free(diags);
    free(path);
    return status;
}

/* `warnings` is all that may be said. Changes the working folder: once a test, unless srcdir is absolute. */
static inline void load_good(const struct param_table *table, const char *name, void *out, const char *warnings)
{
    cr_assert_eq(load_from(table, name, out, warnings), OK);
}

static inline void load_bad(const struct param_table *table, const char *name, void *out, const char *errors)
{
    cr_assert_eq(load_from(table, name, out, errors), ERR_INVALID);
}

#endif
