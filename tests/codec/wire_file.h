/* A file of tests/wire as a blob, for the tests of one program. */
#ifndef FLOSIM_TESTS_CODEC_WIRE_FILE_H
#define FLOSIM_TESTS_CODEC_WIRE_FILE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/span.h"

static inline struct blob *wire_file(const char *name)
{
    const char *srcdir = getenv("srcdir");
    struct blob *blob;
    char path[512];
    FILE *file;
    long size;

    snprintf(path, sizeof path, "%s/tests/wire/%s", srcdir ? srcdir : ".", name);
    file = fopen(path, "rb");
    cr_assert_not_null(file, "cannot open %s", path);
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    rewind(file);
    cr_assert_not_null(blob = blob_new((size_t)size));
    cr_assert_eq(fread(blob_bytes(blob), 1, (size_t)size, file), (size_t)size);
    fclose(file);
    return blob;
}

#endif
