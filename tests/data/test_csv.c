#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "data/csv.h"
#include "data/folder.h"
#include "tests/data/support.h"

static char *folder;

static void write_text(const char *name, const char *text)
{
    write_file(path_in(folder, name), text, strlen(text));
}

static void begin(void)
{
    folder = scratch_new();
}

static void end(void)
{
    scratch_free(folder);
}

TestSuite(csv, .init = begin, .fini = end);

static struct diags *load(const char *file, const char *rest, struct data_pair *out, int *status)
{
    const struct source_ops *ops = data_source_find("csv");
    struct diags *diags = diags_new();
    char yaml[1024];

    snprintf(yaml, sizeof yaml, "{train: %s/%s%s%s}", folder, file, *rest ? ", " : "", rest);
    void *args = args_from(ops->params, yaml);
    *status = ops->load(args, 1, out, diags);
    args_free(ops->params, args);
    return diags;
}

static struct data_pair load_ok(const char *file, const char *rest)
{
    struct data_pair pair;
    int status;
    struct diags *diags = load(file, rest, &pair, &status);
    char *text = diags_text(diags);

    cr_assert_eq(status, OK, "%s", text);
    free(text);
    diags_free(diags);
    return pair;
}

static void expect_refusal(const char *file, const char *rest, const char *message)
{
    struct data_pair pair;
    int status;
    struct diags *diags = load(file, rest, &pair, &status);

    cr_assert_neq(status, OK, "%s", message);
    expect_finding(diags, message);
    cr_assert(!pair.train.memory && !pair.validation.memory);
    diags_free(diags);
}

static void gather(const struct dataset *d, uint32_t item, float *x, float *values)
{
    struct data_view view = {d, NULL, d->num_items};

    data_gather(&view, &item, 0, 1, x, NULL, values);
}

static const char ten[] = "day,load\r\nmon,0\r\ntue,1\r\nwed,2\r\nthu,3\r\nfri,4\r\nsat,5\r\nsun,6\r\nmon,7\r\n\r\n"
                          "tue,8\r\nwed,9\r\n";

Test(csv, a_series_is_cut_into_windows)
{
    float x[3], values[2];

    write_text("a.csv", ten);
    struct data_pair pair = load_ok("a.csv", "lookback: 3, forecast: 2, validation_fraction: 0");
    struct dataset *d = &pair.train;
    cr_assert(d->num_items == 6 && d->num_dims == 2 && d->dims[0] == 3 && d->dims[1] == 1);
    cr_assert(d->num_targets == 2 && d->values && !d->labels && !dataset_has_classes(d));
    for (uint32_t i = 0; i < 6; i++) {
        gather(d, i, x, values);
        for (uint32_t t = 0; t < 3; t++)
            cr_assert_eq(x[t], (float)(i + t));
        cr_assert(values[0] == (float)(i + 3) && values[1] == (float)(i + 4));
    }
    data_pair_fini(&pair);
}

/* Ten values, the last 40 % held out: 0..5 are measured, 6..9 exceed 1. */
Test(csv, normalisation_knows_the_training_part_alone)
{
    float x[1], value[1];

    write_text("a.csv", ten);
    struct data_pair pair =
        load_ok("a.csv", "column: load, lookback: 1, forecast: 1, validation_fraction: 0.4, normalise: min-max");
    cr_assert(pair.train.num_items == 5 && pair.validation.num_items == 3);
    gather(&pair.train, 4, x, value);
    cr_assert_float_eq((double)x[0], 0.8, 1e-6);
    cr_assert_float_eq((double)value[0], 1.0, 1e-6);
    gather(&pair.validation, 2, x, value);
    cr_assert_float_eq((double)x[0], 1.6, 1e-6);
    cr_assert_float_eq((double)value[0], 1.8, 1e-6);
    data_pair_fini(&pair);
    pair = load_ok("a.csv", "column: 2, lookback: 1, forecast: 1, validation_fraction: 0.4, normalise: standard");
    gather(&pair.validation, 0, x, value); /* 6; mean 2.5, deviation sqrt(35/12) */
    cr_assert_float_eq((double)x[0], 3.5 / 1.707825, 1e-5);
    data_pair_fini(&pair);
}

Test(csv, windows_stay_within_a_group)
{
    float x[2], value[1];

    write_text("a.csv", "site;v\na;1\nb;10\na;2\nb;20\na;3\nb;30\nc;7\n");
    struct data_pair pair = load_ok("a.csv", "separator: semicolon, group: site, column: v, lookback: 2, forecast: 1, "
                                             "validation_fraction: 0");
    cr_assert(pair.train.num_items == 2 && pair.train.groups[0] == 0 && pair.train.groups[1] == 1);
    gather(&pair.train, 1, x, value);
    cr_assert(x[0] == 10 && x[1] == 20 && value[0] == 30);
    data_pair_fini(&pair);
}

Test(csv, rows_are_items_of_a_class_by_name_or_number)
{
    write_text("n.csv", "w,h,kind\n1,2,\"no, cat\"\n3,4,dog\n5,6,\"no, cat\"\n");
    struct data_pair pair = load_ok("n.csv", "target: kind, validation_fraction: 0");
    struct dataset *d = &pair.train;
    cr_assert(d->num_items == 3 && d->dims[0] == 2 && d->num_classes == 2 && dataset_has_classes(d));
    cr_assert(d->labels[0] == 1 && d->labels[1] == 0 && d->labels[2] == 1);
    cr_assert(((const float *)d->x)[3] == 4.0f);
    data_pair_fini(&pair);
    pair = load_ok("n.csv", "target: kind, class_names: [\"no, cat\", dog, cow], validation_fraction: 0");
    cr_assert(pair.train.labels[0] == 0 && pair.train.labels[1] == 1 && pair.train.num_classes == 3);
    data_pair_fini(&pair);
    expect_refusal("n.csv", "target: kind, class_names: [dog]", "n.csv:2:5: `no, cat` is no class");
    write_text("i.csv", "1,2,4\n3,4,0\n");
    pair = load_ok("i.csv", "target: 3, validation_fraction: 0, normalise: min-max");
    cr_assert(pair.train.num_classes == 5 && pair.train.labels[0] == 4);
    cr_assert(((const float *)pair.train.x)[0] == 0.0f && ((const float *)pair.train.x)[2] == 1.0f);
    data_pair_fini(&pair);
}

Test(csv, rows_predict_values_and_are_held_out_evenly)
{
    write_text("a.csv", "1,0.5\n2,1\n3,1.5\n4,2\n5,2.5\n6,3\n");
    struct data_pair pair = load_ok("a.csv", "target: 2, task: value, validation_fraction: 0.5");
    cr_assert(pair.train.num_items == 3 && pair.validation.num_items == 3 && !pair.train.labels);
    cr_assert(pair.train.values[1] == 1.5f && pair.validation.values[0] == 1.0f && pair.validation.values[2] == 3.0f);
    data_pair_fini(&pair);
}

Test(csv, damage_is_refused_with_its_place)
{
    write_text("a.csv", "a,b\n1,2\n3,\n5,x\n");
    expect_refusal("a.csv", "column: b, lookback: 1, forecast: 1", "a.csv:3:3: `` where column 2 needs a number");
    expect_refusal("a.csv", "column: b, lookback: 1, forecast: 1", "a.csv:4:3: `x` where column 2 needs a number");
    expect_refusal("a.csv", "column: c", "no column `c`: there are 2");
    expect_refusal("a.csv", "column: 3", "no column `3`");
    expect_refusal("a.csv", "column: a, lookback: 3, forecast: 1", "no series is long enough");
    write_text("a.csv", "a,b\n1,2\n3\n");
    expect_refusal("a.csv", "column: b", "a.csv:3:1: 1 fields where the first line has 2");
    write_text("a.csv", "a,b\n1,\"2\n3,4\n");
    expect_refusal("a.csv", "column: b", "a.csv:2:3: the quotes that begin here do not end");
    write_text("a.csv", "a,b\n1,\"2\"3\n");
    expect_refusal("a.csv", "column: b", "a.csv:2:6: a separator");
    write_text("a.csv", "a,b\n\"1\n\",2\n\"3\n\",x\n");
    expect_refusal("a.csv", "column: b", "a.csv:5:3: `x` where column 2 needs a number");
    write_text("a.csv", "a,b\n1,\"\n2\"3\n");
    expect_refusal("a.csv", "column: b", "a.csv:3:3: a separator");
    write_text("a.csv", "");
    expect_refusal("a.csv", "", "no row of data");
    write_text("a.csv", "a,b\n");
    expect_refusal("a.csv", "", "no row of data");
    write_text("a.csv", "1,nan\n2,inf\n");
    expect_refusal("a.csv", "target: 1, task: value", "a.csv:1:3: `nan`");
    write_text("a.csv", "1\n2\n");
    expect_refusal("a.csv", "target: 1", "no column beside the target");
    expect_refusal("nothing.csv", "", "nothing.csv");
}

/* What a partition writes, a worker reads. */
Test(csv, windows_survive_a_data_folder)
{
    const uint32_t index[] = {4, 1};
    struct data_folder again;
    struct diags *diags = diags_new();
    float x[2][3], values[2][2];

    write_text("a.csv", ten);
    struct data_pair pair = load_ok("a.csv", "lookback: 3, forecast: 2, validation_fraction: 0, normalise: standard");
    struct data_view view = {&pair.train, index, 2};
    cr_assert_eq(data_folder_write(path_in(folder, "part"), true, "t", &view, NULL), OK);
    cr_assert_eq(data_folder_load(path_in(folder, "part"), true, NULL, &again, diags), OK);
    cr_assert(again.dataset.num_items == 2 && again.dataset.num_targets == 2 && !again.dataset.labels);
    for (uint32_t i = 0; i < 2; i++) {
        gather(&pair.train, index[i], x[0], values[0]);
        gather(&again.dataset, i, x[1], values[1]);
        cr_assert(!memcmp(x[0], x[1], sizeof x[0]) && !memcmp(values[0], values[1], sizeof values[0]));
    }
    data_folder_fini(&again);
    data_pair_fini(&pair);
    diags_free(diags);
}

/* A worker's own file: what it validates on, the last part, is not measured. */
Test(csv, a_folder_measures_its_training_part)
{
    struct data_folder out;
    struct diags *diags = diags_new();

    write_text("a.csv", ten);
    write_text("train_dataset_config.yaml",
               "dataset_details: {data_filename: a.csv, dataset_id: t}\nlocal_validation_fraction: 0.5\n"
               "csv: {column: load, lookback: 2, pred_forward: 1, normalise: min-max}\n");
    cr_assert_eq(data_folder_load(folder, true, NULL, &out, diags), OK);
    cr_assert(out.dataset.num_items == 8 && out.dataset.transform.std[0] == 4.0f);
    data_folder_fini(&out);
    diags_free(diags);
}
