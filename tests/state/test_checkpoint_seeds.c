/* A short pass of the fuzz target in every `make check`: each seed, cuts of it, every byte of it changed. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/state/fuzz_checkpoint.h"
#include "util/fs.h"

static void mutate(const uint8_t *seed, size_t size)
{
    uint8_t *copy = malloc(size + 1);

    fuzz_checkpoint(seed, size);
    memcpy(copy, seed, size);
    for (size_t n = 0; n < size; n++) {
        uint8_t *cut = malloc(n + 1); /* of its own, so that AddressSanitizer sees a read past its end */

        memcpy(cut, seed, n);
        fuzz_checkpoint(cut, n);
        free(cut);
        copy[n] ^= (uint8_t)(1u << n % 8);
        fuzz_checkpoint(copy, size);
        copy[n] = seed[n];
    }
    free(copy);
}

Test(checkpoint_seeds, no_change_of_a_seed_harms)
{
    const char *top = getenv("srcdir");
    struct dirent *entry;
    char folder[512], path[800];
    int seeds = 0;
    DIR *dir;

    snprintf(folder, sizeof folder, "%s/tests/state/seeds", top ? top : ".");
    dir = opendir(folder);
    cr_assert_not_null(dir, "%s", folder);
    while ((entry = readdir(dir))) {
        struct blob *seed;

        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        cr_assert_eq(fs_read(path, 16384, &seed, NULL), OK, "%s", path);
        mutate(blob_bytes(seed), blob_size(seed));
        blob_unref(seed);
        seeds++;
    }
    closedir(dir);
    cr_assert_geq(seeds, 2, "%s has seeds", folder);
}
