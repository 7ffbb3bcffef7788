/* CSV files: a time series, or rows of features with a class or a value. */
#include "data/csv.h"
#include "data/source.h"

struct args {
    char *train, *validation;
    double validation_fraction;
    struct csv_args csv;
};

// clang-format off
static const struct param rows[] = {
    {.name = "train", .type = PARAM_STRING, .offset = offsetof(struct args, train), .flags = PARAM_REQUIRED | PARAM_FILE,
     .help = "CSV file, .gz or plain."},
    {.name = "validation", .type = PARAM_STRING, .flags = PARAM_FILE, .offset = offsetof(struct args, validation),
     .help = "The same for validation; default: a part of the training file."},
    {.name = "validation_fraction", .type = PARAM_FRACTION, .offset = offsetof(struct args, validation_fraction),
     .fallback = "0.1", .min = 0, .max = 0.9,
     .help = "Without a validation file: the part held out for validation: the end of a series, evenly spread rows."},
    CSV_ROWS(offsetof(struct args, csv)),
};
// clang-format on

static const struct param_table table = {
    .name = "source csv",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static int load(const void *opaque, uint64_t seed, struct data_pair *out, struct diags *diags)
{
    const struct args *args = opaque;
    const struct csv_split split = {.held_out = args->validation_fraction, .measured = 1.0};

    (void)seed;
    int status =
        csv_load(&args->csv, NULL, args->train, args->validation, &split, &out->train, &out->validation, diags);
    if (!status && out->validation.num_items > 0 && out->validation.num_classes > out->train.num_classes) {
        diag_error(diags, (struct diag_place){args->validation ? args->validation : args->train, 0, 0},
                   "the validation rows have class %d, but the training rows only classes up to %d",
                   out->validation.num_classes - 1, out->train.num_classes - 1);
        data_pair_fini(out);
        return ERR_INVALID;
    }
    if (!status && out->validation.num_items > 0)
        out->validation.num_classes = out->train.num_classes;
    return status;
}

const struct source_ops source_csv = {
    .name = "csv",
    .help = "CSV: one column as a time series, or rows of features with a class or a value.",
    .params = &table,
    .load = load,
};
