/* Expected values: FIPS 180-2's digest of "abc", the digest of nothing, and their sums in Python's integers. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/model_hash.h"

static char folder[64];

static void make_folder(void)
{
    strcpy(folder, "/tmp/flosim-model-hash-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static const char *inside(const char *name)
{
    static char path[256];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *content)
{
    FILE *file = fopen(inside(name), "wb");

    cr_assert_not_null(file);
    cr_assert_eq(fwrite(content, 1, strlen(content), file), strlen(content));
    cr_assert_eq(fclose(file), 0);
}

static void remove_folder(void)
{
    static const char *const names[] = {"a", "b", "link", "dangling"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(inside(names[i]));
    rmdir(inside("sub"));
    rmdir(folder);
}

static void expect_hash(const char *expected)
{
    struct error err = ERROR_INIT;
    char text[MODEL_HASH_TEXT];

    cr_assert_eq(model_hash(folder, text, &err), OK, "%s", err.message);
    cr_assert_str_eq(text, expected);
}

TestSuite(model_hash, .init = make_folder, .fini = remove_folder);

Test(model_hash, of_one_file_is_its_digest)
{
    write_file("a", "abc");
    expect_hash("0xba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

Test(model_hash, sum_may_pass_256_bits)
{
    write_file("a", "abc");
    write_file("b", "abc");
    expect_hash("0x174f02d7f1e039fd4828281bcbb5c44476006c3472c2ef5396821fec3e4002b5a");
}

Test(model_hash, empty_file_counts)
{
    write_file("b", "");
    write_file("a", "abc");
    expect_hash("0x19e28db0227fdebfedc3d35a6f71ddb47d7b1a387fab30de958a6987d6a52ce02");
}

Test(model_hash, has_no_leading_zeros)
{
    write_file("a", "286"); /* its digest begins with a zero byte */
    expect_hash("0x328ce57bbc14b33bd6695bc8eb32cdf2fb5f3a7d89ec14a42825e15d39df60");
}

Test(model_hash, skips_subfolders_and_follows_links)
{
    write_file("a", "abc");
    cr_assert_eq(mkdir(inside("sub"), 0700), 0);
    cr_assert_eq(symlink("nowhere", inside("dangling")), 0);
    cr_assert_eq(symlink("a", inside("link")), 0);
    expect_hash("0x174f02d7f1e039fd4828281bcbb5c44476006c3472c2ef5396821fec3e4002b5a");
}

Test(model_hash, of_an_empty_folder_is_zero)
{
    expect_hash("0x0");
}

Test(model_hash, says_which_folder_is_missing)
{
    struct error err = ERROR_INIT;
    char text[MODEL_HASH_TEXT];

    cr_assert_eq(model_hash("/nonexistent/model", text, &err), ERR_NOT_FOUND);
    cr_assert_not_null(strstr(err.message, "/nonexistent/model"));
}
