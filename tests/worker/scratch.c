#include "tests/worker/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/worker/require.h"
#include "util/fs.h"

void scratch_make(char path[SCRATCH_PATH])
{
    strcpy(path, "/tmp/flosim-worker-XXXXXX");
    REQUIRE(mkdtemp(path), "failed");
}

void scratch_remove(const char *path)
{
    struct error error = ERROR_INIT;

    REQUIRE(fs_remove_tree(path, &error) == OK, "%s", error.message);
}

const char *scratch_path(char out[SCRATCH_PATH], const char *path, const char *a)
{
    int n = snprintf(out, SCRATCH_PATH, "%s/%s", path, a);

    REQUIRE(n > 0 && n < SCRATCH_PATH, "failed");
    return out;
}

void scratch_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    REQUIRE(file, "%s", path);
    REQUIRE(fputs(text, file) >= 0, "failed");
    REQUIRE(fclose(file) == 0, "failed");
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
