/* A short pass of the fuzz targets in every `make check`: each seed, every cut of it, every byte of it changed. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "tests/data/fuzz_data.h"
#include "tests/data/support.h"
#include "util/fs.h"

enum { MUTATED_MAX = 4096 };

static void mutate(void (*target)(const uint8_t *, size_t), const uint8_t *seed, size_t size)
{
    uint8_t *copy = malloc(size + 1);

    target(seed, size);
    for (size_t n = 0; n < size; n++) {
        uint8_t *cut = malloc(n + 1); /* of its own, so that AddressSanitizer sees a read past its end */
        memcpy(cut, seed, n);
        target(cut, n);
        free(cut);
        memcpy(copy, seed, size);
        copy[n] ^= (uint8_t)(1u << n % 8);
        target(copy, size);
        copy[n] = 0xff;
        target(copy, size);
    }
    free(copy);
}

static void pass(const char *name, void (*target)(const uint8_t *, size_t))
{
    const char *top = getenv("srcdir");
    char folder[512];
    struct dirent *entry;
    int seeds = 0;

    snprintf(folder, sizeof folder, "%s/tests/data/seeds/%s", top ? top : ".", name);
    DIR *dir = opendir(folder);
    cr_assert_not_null(dir, "%s", folder);
    while ((entry = readdir(dir))) {
        struct blob *seed;
        if (entry->d_name[0] == '.')
            continue;
        cr_assert_eq(fs_read(path_in(folder, entry->d_name), MUTATED_MAX, &seed, NULL), OK);
        mutate(target, blob_bytes(seed), blob_size(seed));
        blob_unref(seed);
        seeds++;
    }
    closedir(dir);
    cr_assert_geq(seeds, 2, "%s has seeds", folder);
}

Test(seeds, safetensors)
{
    pass("safetensors", fuzz_safetensors);
}

Test(seeds, idx)
{
    pass("idx", fuzz_idx);
}

Test(seeds, cifar)
{
    pass("cifar", fuzz_cifar);
}

Test(seeds, npz)
{
    pass("npz", fuzz_npz);
}

Test(seeds, csv)
{
    pass("csv", fuzz_csv);
}

Test(seeds, text)
{
    pass("text", fuzz_text);
}
