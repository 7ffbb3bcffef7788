#include "tests/worker/scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/fs.h"

void scratch_make(char path[SCRATCH_PATH])
{
    strcpy(path, "/tmp/flosim-worker-XXXXXX");
    cr_assert_not_null(mkdtemp(path));
}

void scratch_remove(const char *path)
{
    struct error error = ERROR_INIT;

    cr_assert_eq(fs_remove_tree(path, &error), OK, "%s", error.message);
}

const char *scratch_path(char out[SCRATCH_PATH], const char *path, const char *a)
{
    int n = snprintf(out, SCRATCH_PATH, "%s/%s", path, a);

    cr_assert(n > 0 && n < SCRATCH_PATH);
    return out;
}

void scratch_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    cr_assert_not_null(file, "%s", path);
    cr_assert(fputs(text, file) >= 0);
    cr_assert_eq(fclose(file), 0);
}

char *scratch_read(const char *path)
{
    struct blob *blob = NULL;

    if (fs_read(path, 1 << 20, &blob, NULL))
        return strdup("");
    char *text = strndup(blob_bytes(blob), blob_size(blob));
    blob_unref(blob);
    return text;
}
