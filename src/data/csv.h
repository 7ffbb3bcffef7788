/* CSV files as data sets. With `target` each row is an item: the other columns are its features, the target a class or
 * a value. Without it one column is a time series: item i is `lookback` values [lookback, 1], its targets the
 * `forecast` values after them, all cut from one row (dataset.starts); with `group` no window crosses from one group to
 * another. */
#ifndef FLOSIM_DATA_CSV_H
#define FLOSIM_DATA_CSV_H

#include "data/csv_table.h"
#include "data/dataset.h"
#include "data/transform_args.h"
#include "util/params.h"

enum csv_normalise { CSV_AS_IS, CSV_MIN_MAX, CSV_STANDARD };

struct csv_args {
    char *column, *target, *group;
    int64_t lookback, forecast;
    int header, separator, normalise, task; /* task 0: classes, 1: values */
    struct string_list class_names;
};

extern const char *const csv_header_names[], *const csv_separator_names[], *const csv_normalise_names[],
                                                                               *const csv_task_names[];
enum { CSV_MAX_WINDOW = 65536 };

// clang-format off
#define CSV_ROWS(base)                                                                                                 \
    {.name = "column", .type = PARAM_STRING, .offset = base + offsetof(struct csv_args, column),                       \
     .help = "The series: a column's name, or its number from 1; default: the first one that holds numbers."},         \
    {.name = "lookback", .type = PARAM_INT, .offset = base + offsetof(struct csv_args, lookback), .fallback = "5",     \
     .min = 1, .max = CSV_MAX_WINDOW, .help = "Values of the series that an item holds."},                             \
    {.name = "forecast", .alias = "pred_forward", .type = PARAM_INT,                                                   \
     .offset = base + offsetof(struct csv_args, forecast), .fallback = "2", .min = 1, .max = CSV_MAX_WINDOW,           \
     .help = "Values after them that are to be predicted."},                                                           \
    {.name = "target", .type = PARAM_STRING, .offset = base + offsetof(struct csv_args, target),                       \
     .help = "Not a series: each row is an item, this column what is to be predicted."},                               \
    {.name = "task", .type = PARAM_CHOICE, .offset = base + offsetof(struct csv_args, task), .fallback = "class",      \
     .choices = csv_task_names, .help = "Whether `target` is a class (number or name) or a value."},                   \
    {.name = "class_names", .type = PARAM_STRINGS, .offset = base + offsetof(struct csv_args, class_names),            \
     .help = "Names of class 0, 1, ...; default: those of the training data in order, or whole numbers as they are."}, \
    {.name = "group", .type = PARAM_STRING, .offset = base + offsetof(struct csv_args, group),                         \
     .help = "The column that says which client a row belongs to."},                                                   \
    {.name = "normalise", .type = PARAM_CHOICE, .offset = base + offsetof(struct csv_args, normalise),                 \
     .fallback = "none", .choices = csv_normalise_names,                                                               \
     .help = "Scale each column by what the training part holds: to 0..1, or to mean 0 and deviation 1."},             \
    {.name = "header", .type = PARAM_CHOICE, .offset = base + offsetof(struct csv_args, header), .fallback = "auto",   \
     .choices = csv_header_names, .help = "Does the first line name the columns? auto: where it holds no number."},    \
    {.name = "separator", .type = PARAM_CHOICE, .offset = base + offsetof(struct csv_args, separator),                 \
     .fallback = "comma", .choices = csv_separator_names, .help = "What stands between fields."}
// clang-format on

/* Which rows are for what. */
struct csv_split {
    double held_out; /* part that goes to validation: of a series the end, of rows some, evenly spread */
    double measured; /* of the training part, the first rows, which normalisation may look at */
};

/* Read `train` and, unless NULL, `validation`, which is scaled as the training part. `transform` (may be NULL) is used
 * for a series that is not normalised, for its targets too. On an error both are empty. */
int csv_load(const struct csv_args *args, const struct transform_args *transform, const char *train,
             const char *validation, const struct csv_split *split, struct dataset *out, struct dataset *out_validation,
             struct diags *diags);

/* ---- the two kinds; private to csv*.c. Each fills a data set from rows and keeps in `state` what the validation set
 * must share. ---- */

struct csv_scale { /* of one column: (value - offset) / range */
    double offset, range;
};

/* Scale of n values v[0], v[stride] ...; a constant column has range 1. */
struct csv_scale csv_measure(enum csv_normalise how, const float *v, size_t n, size_t stride);

struct csv_state {
    bool known;               /* measured already */
    struct csv_scale *scales; /* [num_columns], of features in order */
    size_t num_scales;
    struct string_list names; /* of classes */
    struct transform transform;
};

void csv_state_fini(struct csv_state *state);

/* Take the part [from, to) of the table. */
struct csv_part {
    double from, to, measured;
};
int csv_series(const struct csv_args *args, const struct transform_args *transform, const struct csv_table *table,
               const struct csv_part *part, struct csv_state *state, struct dataset *out, struct diags *diags);
int csv_rows(const struct csv_args *args, const struct csv_table *table, const struct csv_part *part,
             struct csv_state *state, struct dataset *out, struct diags *diags);

/* Groups of all rows by the order in which they first occur; new array, NULL where args->group is. */
int csv_groups(const struct csv_args *args, const struct csv_table *table, int32_t **out, struct diags *diags);

#endif
