/* The fuzz target on damaged copies of good files: a small, repeatable fuzz run for every build. */
#include <stdint.h>

#include "fixture.h"
#include "util/rng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const seeds[] = {"flotilla/server_config.yaml", "flotilla/client_config.yaml",
                                    "flotilla/training_config.yaml", "flotilla/models/LeNet5/config.yaml"};

static const char *const morsels[] = {
    "\n",     ": ", "- ", "{",   "}",   "[",     "]",  "\"",   "'",     "\\u2028", "\x85", "\xff", "&a ",         "*a",
    "!!str ", "? ", "#",  "|\n", ">\n", "---\n", "\t", "None", "1e999", "0x10",    "50ms", "<x>",  "\xe2\x80\xa8"};
enum { NUM_SEEDS = sizeof seeds / sizeof *seeds, NUM_MORSELS = sizeof morsels / sizeof *morsels };

/* Replace, remove or insert something at a random place; text has room for it. */
static size_t mutate(char *text, size_t size, struct rng *rng)
{
    size_t at = (size_t)rng_below(rng, size);
    const char *morsel = morsels[rng_below(rng, NUM_MORSELS)];
    size_t length = strlen(morsel), cut = (size_t)rng_below(rng, 20);

    if (cut > size - at)
        cut = size - at;
    switch (rng_below(rng, 3)) {
    case 0:
        text[at] = (char)rng_below(rng, 256);
        return size;
    case 1:
        memmove(text + at, text + at + cut, size - at - cut);
        return size - cut ? size - cut : 1;
    default:
        memmove(text + at + length, text + at, size - at);
        memcpy(text + at, morsel, length);
        return size + length;
    }
}

Test(mutations, damaged_files_are_read_or_refused)
{
    for (size_t s = 0; s < NUM_SEEDS; s++) {
        char *path = data_path(seeds[s]);
        struct blob *blob;
        cr_assert_eq(fs_read(path, 1 << 16, &blob, NULL), OK);
        char *text = malloc(blob_size(blob) + 256);
        cr_assert_not_null(text);
        for (uint64_t i = 0; i < 300; i++) {
            size_t size = blob_size(blob);
            struct rng rng;
            rng_init(&rng, i, "mutation", seeds[s], 0);
            memcpy(text, blob_bytes(blob), size);
            for (uint64_t k = rng_below(&rng, 8) + 1; k > 0; k--)
                size = mutate(text, size, &rng);
            LLVMFuzzerTestOneInput((const uint8_t *)text, size); /* aborts where a property does not hold */
        }
        free(text);
        blob_unref(blob);
        free(path);
    }
}

Test(mutations, texts_that_json_and_yaml_read_differently)
{
    static const char *const texts[] = {
        "a: \"\\L\\P\\N\\x7f\\x80\\uFEFF\\uFFFE\\0x\"",
        "a: \"\\L\\P\\N\\x7f\\x80\\uFEFF\\uFFFE\"",
        "\"\\\"\\\\\\/\": ' '",
        "a: '\\u0041'",
        "- \"\"\n- ''\n-\n- ~",
        "{}",
        "[]",
        "\"None\"",
        "-.5",
        "+1",
        "1.",
        "0.10",
        "00",
        "1e5",
        ".",
        "-",
        "1_000",
        "1:30",
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        LLVMFuzzerTestOneInput((const uint8_t *)texts[i], strlen(texts[i]));
}
