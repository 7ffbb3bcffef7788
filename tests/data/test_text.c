#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "data/folder.h"
#include "data/text.h"
#include "tests/data/support.h"
#include "util/fs.h"

static void write_text(const char *path, const char *text)
{
    write_file(path, text, strlen(text));
}

static struct diags *load(const char *yaml, struct data_pair *out, int *status)
{
    const struct source_ops *ops = data_source_find("text");
    struct diags *diags = diags_new();
    void *args = args_from(ops->params, yaml);

    *status = ops->load(args, 1, out, diags);
    args_free(ops->params, args);
    return diags;
}

static struct data_pair load_ok(const char *yaml)
{
    struct data_pair pair;
    int status;
    struct diags *diags = load(yaml, &pair, &status);
    char *text = diags_text(diags);

    cr_assert_eq(status, OK, "%s", text);
    free(text);
    diags_free(diags);
    return pair;
}

static void expect_refusal(const char *yaml, const char *message)
{
    struct data_pair pair;
    int status;
    struct diags *diags = load(yaml, &pair, &status);

    cr_assert_neq(status, OK, "%s", message);
    expect_finding(diags, message);
    cr_assert(!pair.train.memory && !pair.validation.memory);
    diags_free(diags);
}

static const char *yaml_of(const char *folder, const char *file, const char *rest)
{
    static char yaml[4][1024];
    static unsigned next;
    char *to = yaml[next++ % 4];

    snprintf(to, sizeof yaml[0], "{train: %s/%s, %s}", folder, file, rest);
    return to;
}

/* Item, and its labels, gathered in some order, through the file behind the mapping. */
static void gather(const struct dataset *d, uint32_t item, float *x, int32_t *labels)
{
    struct data_view view = {d, NULL, d->num_items};

    data_gather(&view, &item, 0, 1, x, labels, NULL);
}

Test(text, characters_are_numbered_by_code_and_windows_predict_the_next)
{
    char *folder = scratch_new();
    float x[3];
    int32_t label;

    write_text(path_in(folder, "a.txt"), "badc\xc3\xa9"
                                         "bad"); /* codes a b c d é: 1 2 3 4 5 */
    struct data_pair pair = load_ok(yaml_of(folder, "a.txt", "length: 3, step: 2, validation_fraction: 0"));
    struct dataset *d = &pair.train;
    cr_assert(d->num_items == 3 && d->type == DATA_I32 && d->vocabulary == 6 && d->num_classes == 6);
    cr_assert(d->num_dims == 1 && d->dims[0] == 3 && d->num_targets == 1 && !d->groups);
    cr_assert_eq(strncmp(d->tokens_text, "<unk>\na\nb\nc\nd\n\xc3\xa9\n", d->tokens_text_size), 0);
    const int32_t expected[3][4] = {{2, 1, 4, 3}, {4, 3, 5, 2}, {5, 2, 1, 4}};
    for (uint32_t i = 0; i < 3; i++) {
        gather(d, i, x, &label);
        for (int t = 0; t < 3; t++)
            cr_assert_eq(x[t], (float)expected[i][t]);
        cr_assert_eq(label, expected[i][3]);
    }
    cr_assert(!dataset_has_classes(d), "tokens are no classes to deal by");
    data_pair_fini(&pair);
    scratch_free(folder);
}

Test(text, words_by_frequency_predict_all_with_eos_and_unk)
{
    char *folder = scratch_new();
    float x[4];
    int32_t labels[4];

    write_text(path_in(folder, "a.txt"), "the cat\nthe  dog <unk>\n\n");
    struct data_pair pair = load_ok(yaml_of(folder, "a.txt",
                                            "unit: words, length: 4, predict: all, max_vocabulary: 4, "
                                            "validation_fraction: 0"));
    /* <eos> 3 times, the 2, cat (before dog by its bytes); dog is cut off */
    cr_assert_eq(strncmp(pair.train.tokens_text, "<unk>\n<eos>\nthe\ncat\n", pair.train.tokens_text_size), 0);
    cr_assert(pair.train.num_items == 1 && pair.train.num_targets == 4 && pair.train.vocabulary == 4);
    gather(&pair.train, 0, x, labels);
    const int32_t row[] = {2, 3, 1, 2, 0};
    for (int t = 0; t < 4; t++)
        cr_assert(x[t] == (float)row[t] && labels[t] == row[t + 1], "token %d", t);
    data_pair_fini(&pair);
    scratch_free(folder);
}

Test(text, windows_never_cross_clients)
{
    char *folder = scratch_new();

    write_text(path_in(folder, "a.tsv"), "ann\taaaa\nbob\tbbbbbbbb\nann\taaa\nshort\tz\n");
    struct data_pair pair = load_ok(yaml_of(folder, "a.tsv", "length: 3, step: 1, validation_fraction: 0"));
    struct dataset *d = &pair.train;
    float x[3];
    int32_t label, a = 2, b = 3, line = 1;
    size_t count[2] = {0, 0};
    for (uint32_t i = 0; i < d->num_items; i++) {
        int32_t own = d->groups[i] == 0 ? a : b;
        cr_assert_leq(d->groups[i], 1);
        count[d->groups[i]]++;
        gather(d, i, x, &label);
        for (int t = 0; t < 3; t++)
            cr_assert(x[t] == (float)own || x[t] == (float)line, "another client's token in item %u", i);
        cr_assert(label == own || label == line);
    }
    cr_assert(count[0] == 6 && count[1] == 6); /* aaaa\naaa\n and bbbbbbbb\n: 9 tokens each */
    data_pair_fini(&pair);
    scratch_free(folder);
}

Test(text, leafs_json_and_folders_name_the_clients)
{
    char *folder = scratch_new();

    write_text(path_in(folder, "a.json"),
               "{\"users\": [\"u\", \"v\"], \"num_samples\": [2, 1], \"user_data\": {\"u\": {\"x\": [\"abc\", "
               "\"bcd\"], \"y\": [\"d\", \"e\"]}, \"v\": {\"raw\": \"eeee\"}}}");
    struct data_pair pair = load_ok(yaml_of(folder, "a.json", "length: 3, validation_fraction: 0"));
    cr_assert(pair.train.num_items == 3 && pair.train.groups[0] == 0 && pair.train.groups[2] == 1);
    float x[3];
    int32_t label;
    gather(&pair.train, 1, x, &label);
    cr_assert(x[0] == 2 && x[2] == 4 && label == 5);
    data_pair_fini(&pair);
    cr_assert_eq(fs_make_dirs(path_in(folder, "clients"), NULL), OK);
    write_text(path_in(folder, "clients/one.txt"), "aaaa");
    write_text(path_in(folder, "clients/two.txt"), "bbbb");
    pair = load_ok(yaml_of(folder, "clients", "length: 3, validation_fraction: 0"));
    cr_assert(pair.train.num_items == 2 && pair.train.groups[0] != pair.train.groups[1]);
    data_pair_fini(&pair);
    scratch_free(folder);
}

/* A sample is never cut in two; the last ones of each user are held out. */
Test(text, leafs_samples_are_held_out_whole)
{
    char *folder = scratch_new();
    float x[2];
    int32_t label;

    write_text(path_in(folder, "a.json"),
               "{\"user_data\": {\"u\": {\"x\": [\"ab\", \"bc\", \"cd\", \"de\"], \"y\": [\"c\", \"d\", "
               "\"e\", \"f\"]}, \"v\": {\"x\": [\"fa\", \"fb\"], \"y\": [\"a\", \"b\"]}}}");
    struct data_pair pair = load_ok(yaml_of(folder, "a.json", "length: 2, validation_fraction: 0.5"));
    cr_assert(pair.train.num_items == 3 && pair.validation.num_items == 3);
    gather(&pair.train, 1, x, &label); /* bc -> d */
    cr_assert(x[0] == 2 && x[1] == 3 && label == 4 && pair.train.groups[1] == 0);
    gather(&pair.train, 2, x, &label); /* fa -> a */
    cr_assert(x[0] == 6 && x[1] == 1 && label == 1 && pair.train.groups[2] == 1);
    gather(&pair.validation, 0, x, &label); /* cd -> e */
    cr_assert(x[0] == 3 && x[1] == 4 && label == 5 && pair.validation.groups[2] == 1);
    data_pair_fini(&pair);
    scratch_free(folder);
}

Test(text, validation_is_the_last_part_with_the_same_numbers)
{
    char *folder = scratch_new();

    write_text(path_in(folder, "a.txt"), "abcabcabcabcabcabcab");
    struct data_pair pair = load_ok(yaml_of(folder, "a.txt",
                                            "unit: bytes, length: 2, step: 1, "
                                            "validation_fraction: 0.25"));
    cr_assert(pair.train.num_items == 13 && pair.validation.num_items == 3 && pair.validation.vocabulary == 256);
    cr_assert_eq(((const int32_t *)pair.validation.x)[0], 'a');
    data_pair_fini(&pair);
    scratch_free(folder);
}

Test(text, a_vocabulary_is_written_and_read_again)
{
    char *folder = scratch_new(), rest[600];
    const char *path = path_in(folder, "v.txt");

    write_text(path_in(folder, "a.txt"), "a\\b\nb");
    write_text(path_in(folder, "b.txt"), "bzb\n");
    snprintf(rest, sizeof rest, "length: 2, vocabulary: %s, validation_fraction: 0", path);
    struct data_pair pair = load_ok(yaml_of(folder, "a.txt", rest));
    data_pair_fini(&pair);
    struct blob *blob;
    cr_assert_eq(fs_read(path, 100, &blob, NULL), OK);
    cr_assert(blob_size(blob) == 16 && !memcmp(blob_bytes(blob), "<unk>\n\\n\n\\\\\na\nb\n", 16));
    blob_unref(blob);
    pair = load_ok(yaml_of(folder, "b.txt", rest));
    cr_assert(((const int32_t *)pair.train.x)[0] == 4 && ((const int32_t *)pair.train.x)[1] == 0);
    data_pair_fini(&pair);
    write_text(path, "a\nb\n");
    expect_refusal(yaml_of(folder, "b.txt", rest), "b.txt:1:2: `z` is not in the vocabulary");
    write_text(path, "a\n\nb\n");
    expect_refusal(yaml_of(folder, "b.txt", rest), "line 2: empty");
    write_text(path, "a\nb\na\n");
    expect_refusal(yaml_of(folder, "b.txt", rest), "line 3: the token of line 1 again");
    scratch_free(folder);
}

Test(text, damage_is_refused_with_its_place)
{
    char *folder = scratch_new();

    write_text(path_in(folder, "a.txt"), "abc\nde\xff"
                                         "fgh");
    expect_refusal(yaml_of(folder, "a.txt", "length: 2"), "a.txt:2:3: byte 0xff begins no UTF-8 character");
    write_text(path_in(folder, "cut.txt"), "abc\xc3");
    expect_refusal(yaml_of(folder, "cut.txt", "length: 2"), "cut.txt:1:4: byte 0xc3");
    write_text(path_in(folder, "empty.txt"), "");
    expect_refusal(yaml_of(folder, "empty.txt", "length: 2"), "no text is long enough for a window of 2 tokens");
    write_text(path_in(folder, "a.tsv"), "ann\tx\nno tab here\n");
    expect_refusal(yaml_of(folder, "a.tsv", "length: 2"), "a.tsv:2:1: no client before a tab");
    write_text(path_in(folder, "a.json"), "{\"users\": [");
    expect_refusal(yaml_of(folder, "a.json", "length: 2"), "not JSON");
    write_text(path_in(folder, "a.json"), "{\"users\": []}");
    expect_refusal(yaml_of(folder, "a.json", "length: 2"), "no `user_data` with users");
    write_text(path_in(folder, "a.json"), "{\"user_data\": {\"u\": {\"x\": [\"a\"], \"y\": []}}}");
    expect_refusal(yaml_of(folder, "a.json", "length: 2"), "lists of one length");
    expect_refusal(yaml_of(folder, "nothing.txt", "length: 2"), "nothing.txt");
    write_gz(path_in(folder, "z.txt.gz"), "hello hello hello", 17);
    struct blob *blob;
    cr_assert_eq(fs_read(path_in(folder, "z.txt.gz"), 1000, &blob, NULL), OK);
    write_file(path_in(folder, "z.txt.gz"), blob_bytes(blob), blob_size(blob) - 6);
    blob_unref(blob);
    expect_refusal(yaml_of(folder, "z.txt.gz", "length: 2"), "the gzip data breaks off here");
    scratch_free(folder);
}

/* What a partition writes, a worker reads: tokens, all targets, and what the tokens mean. */
Test(text, windows_survive_a_data_folder)
{
    char *folder = scratch_new();
    const uint32_t index[] = {3, 0};
    struct data_folder again;
    struct diags *diags = diags_new();
    float x[2][3];
    int32_t labels[2][3];

    write_text(path_in(folder, "a.txt"), "abcdefghij");
    struct data_pair pair = load_ok(yaml_of(folder, "a.txt",
                                            "length: 3, step: 1, predict: all, "
                                            "validation_fraction: 0"));
    struct data_view view = {&pair.train, index, 2};
    cr_assert_eq(data_folder_write(path_in(folder, "part"), true, "t", &view, NULL), OK);
    cr_assert_eq(data_folder_load(path_in(folder, "part"), true, NULL, &again, diags), OK);
    cr_assert(again.dataset.num_items == 2 && again.dataset.type == DATA_I32 && again.dataset.num_targets == 3);
    cr_assert(again.dataset.vocabulary == 11 && again.dataset.num_classes == 11 && !again.dataset.groups);
    cr_assert(again.dataset.tokens_text_size == pair.train.tokens_text_size &&
              !memcmp(again.dataset.tokens_text, pair.train.tokens_text, pair.train.tokens_text_size));
    for (uint32_t i = 0; i < 2; i++) {
        gather(&pair.train, index[i], x[0], labels[0]);
        gather(&again.dataset, i, x[1], labels[1]);
        cr_assert(!memcmp(x[0], x[1], sizeof x[0]) && !memcmp(labels[0], labels[1], sizeof labels[0]));
    }
    data_folder_fini(&again);
    data_pair_fini(&pair);
    diags_free(diags);
    scratch_free(folder);
}

Test(text, clients_survive_a_data_folder)
{
    char *folder = scratch_new();
    const uint32_t index[] = {0, 3, 1};
    struct data_folder again;
    struct diags *diags = diags_new();

    write_text(path_in(folder, "a.tsv"), "one\tabcdef\ntwo\tghijkl\n");
    struct data_pair pair = load_ok(yaml_of(folder, "a.tsv", "length: 2, validation_fraction: 0"));
    struct data_view view = {&pair.train, index, 3};
    cr_assert_eq(pair.train.groups[3], 1);
    cr_assert_eq(data_folder_write(path_in(folder, "part"), true, "t", &view, NULL), OK);
    cr_assert_eq(data_folder_load(path_in(folder, "part"), true, NULL, &again, diags), OK);
    cr_assert_not_null(again.dataset.groups);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(again.dataset.groups[i], pair.train.groups[index[i]]);
    data_folder_fini(&again);
    data_pair_fini(&pair);
    diags_free(diags);
    scratch_free(folder);
}

/* Windows follow each other where one begins where the other ends. */
Test(text, windows_follow_each_other_within_a_client)
{
    char *folder = scratch_new();
    const uint32_t index[] = {0, 1, 3, 2, 3};

    write_text(path_in(folder, "a.tsv"), "one\tabcd\ntwo\tghij\n");
    struct data_pair pair = load_ok(yaml_of(folder, "a.tsv", "length: 2, validation_fraction: 0"));
    cr_assert_eq(pair.train.num_items, 4);
    struct data_view all = {&pair.train, NULL, 4}, some = {&pair.train, index, 5};
    cr_assert(data_follows(&all, 1) && !data_follows(&all, 2) && data_follows(&all, 3));
    cr_assert(data_follows(&some, 1) && !data_follows(&some, 2) && !data_follows(&some, 3) && data_follows(&some, 4));
    data_pair_fini(&pair);
    pair = load_ok(yaml_of(folder, "a.tsv", "length: 2, step: 1, validation_fraction: 0"));
    all = (struct data_view){&pair.train, NULL, pair.train.num_items};
    cr_assert(!data_follows(&all, 1), "they overlap");
    data_pair_fini(&pair);
    scratch_free(folder);
}

Test(text, a_folder_of_plain_text_needs_its_vocabulary)
{
    char *folder = scratch_new();
    struct data_folder out;
    struct diags *diags = diags_new();

    write_text(path_in(folder, "a.txt"), "abcabc");
    write_text(path_in(folder, "train_dataset_config.yaml"),
               "dataset_details: {data_filename: a.txt, dataset_id: t}\ntext: {length: 2, vocabulary: v.txt}\n");
    cr_assert_neq(data_folder_load(folder, true, NULL, &out, diags), OK);
    expect_finding(diags, "needs its vocabulary beside it");
    diags_free(diags);
    diags = diags_new();
    write_text(path_in(folder, "v.txt"), "c\nb\na\n");
    cr_assert_eq(data_folder_load(folder, true, NULL, &out, diags), OK);
    cr_assert(out.dataset.num_items == 2 && ((const int32_t *)out.dataset.x)[0] == 2);
    data_folder_fini(&out);
    diags_free(diags);
    scratch_free(folder);
}

/* The sample of this repository, with LEAF's 80 characters. */
Test(text, the_sample_is_read_with_leafs_vocabulary)
{
    const char *top = getenv("srcdir");
    char yaml[1024];

    snprintf(yaml, sizeof yaml,
             "{train: %s/datasets/samples/shakespeare.tsv, vocabulary: %s/datasets/samples/shakespeare.vocabulary, "
             "step: 1}",
             top ? top : ".", top ? top : ".");
    struct data_pair pair = load_ok(yaml);
    cr_assert(pair.train.vocabulary == 80 && pair.train.dims[0] == 80 && pair.validation.num_items > 50);
    cr_assert(pair.train.num_items > 2000 && pair.train.groups[pair.train.num_items - 1] == 4);
    data_pair_fini(&pair);
}
