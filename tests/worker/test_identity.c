#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/worker/scratch.h"
#include "util/fs.h"
#include "worker/identity.h"

static char dir[SCRATCH_PATH];

static struct identity *open_identity(const char *client_id)
{
    struct error error = ERROR_INIT;
    struct identity *identity;

    cr_assert_eq(identity_new(&identity, dir, client_id, &error), OK, "%s", error.message);
    return identity;
}

Test(identity, keeps_its_id_across_starts)
{
    scratch_make(dir);
    struct identity *identity = open_identity(NULL);
    char id[CLIENT_ID_MAX];

    strcpy(id, identity_id(identity));
    cr_assert_eq(strlen(id), 36);
    identity_free(identity);
    identity = open_identity(NULL);
    cr_assert_str_eq(identity_id(identity), id);
    identity_free(identity);
    scratch_remove(dir);
}

Test(identity, keeps_benchmarks_across_starts)
{
    const struct bench_advert first = {"LeNet5", "0xabc", 5, 0.25}, second = {"LeNet5", "0xdef", 20, 1.5},
                              odd = {"a: \"b\" #c", "0x1", 1, 1e-3};
    struct bench_advert *figures;
    size_t n;

    scratch_make(dir);
    struct identity *identity = open_identity("client-1");
    cr_assert_eq(identity_record_benchmark(identity, &first, NULL), OK);
    cr_assert_eq(identity_record_benchmark(identity, &odd, NULL), OK);
    cr_assert_eq(identity_record_benchmark(identity, &second, NULL), OK);
    identity_free(identity);
    identity = open_identity("client-1");
    cr_assert_eq(identity_benchmarks(identity, &figures, &n, NULL), OK);
    cr_assert_eq(n, 2);
    cr_assert_str_eq(figures[0].model_id, "LeNet5");
    cr_assert_str_eq(figures[0].model_hash, "0xdef");
    cr_assert_eq(figures[0].num_mini_batches, 20);
    cr_assert_float_eq(figures[0].time_taken_s, 1.5, 1e-9);
    cr_assert_str_eq(figures[1].model_id, odd.model_id);
    free(figures);
    identity_free(identity);
    scratch_remove(dir);
}

Test(identity, refuses_a_folder_in_use)
{
    struct error error = ERROR_INIT;
    struct identity *second;

    scratch_make(dir);
    struct identity *first = open_identity(NULL);
    cr_assert_eq(identity_new(&second, dir, NULL, &error), ERR_SETUP);
    cr_assert_not_null(strstr(error.message, "another worker"), "%s", error.message);
    identity_free(first);
    identity_free(open_identity(NULL));
    scratch_remove(dir);
}

static void expect_damaged(const char *text, const char *what)
{
    struct error error = ERROR_INIT;
    struct identity *identity;
    char path[SCRATCH_PATH];

    scratch_write(scratch_path(path, dir, "client_info.yaml"), text);
    int status = identity_new(&identity, dir, NULL, &error);
    cr_assert_eq(status, ERR_INVALID, "status %d for: %s", status, text);
    cr_assert_not_null(strstr(error.message, what), "%s", error.message);
}

Test(identity, says_where_its_file_is_damaged)
{
    scratch_make(dir);
    expect_damaged("client_id: \"\"\n", "client_id");
    expect_damaged("client_id: a\nbenchmark_info: {m: {num_mini_batches: x}}\n", "client_info.yaml:2:");
    expect_damaged("client_id: [a\n", "client_info.yaml:");
    expect_damaged("client_id: a\nbenchmark_info: {../m: {num_mini_batches: 1, time_taken_s: 1, model_hash: x}}\n",
                   "plain name");
    scratch_remove(dir);
}

Test(identity, a_lent_id_wins_over_the_file)
{
    scratch_make(dir);
    identity_free(open_identity(NULL));
    struct identity *identity = open_identity("client-7");
    cr_assert_str_eq(identity_id(identity), "client-7");
    identity_free(identity);
    scratch_remove(dir);
}

Test(identity, says_that_a_folder_cannot_be_written)
{
    struct error error = ERROR_INIT;
    struct identity *identity;

    cr_assert_eq(identity_new(&identity, "/proc/nothing/here", NULL, &error) == OK, 0);
    cr_assert_neq(error.message[0], '\0');
}
