/* One column of a CSV file as a time series. */
#include <stdlib.h>
#include <string.h>

#include "data/csv.h"

struct series {
    float *values;   /* [n] in the order of groups */
    uint32_t *order; /* [n] rows */
    int32_t *groups; /* [n] by row, or NULL */
    size_t n;
};

/* A run of one group. */
struct run {
    size_t begin, end;
};

static bool next_run(const struct series *s, struct run *run)
{
    run->begin = run->end;
    if (run->begin >= s->n)
        return false;
    for (run->end++; run->end < s->n; run->end++)
        if (s->groups && s->groups[s->order[run->end]] != s->groups[s->order[run->begin]])
            break;
    return true;
}

static struct run part_of(const struct run *run, double from, double to)
{
    double n = (double)(run->end - run->begin);

    return (struct run){run->begin + (size_t)(n * from), run->begin + (size_t)(n * to)};
}

static size_t windows_of(const struct run *run, const struct csv_args *args)
{
    size_t n = run->end - run->begin, needed = (size_t)(args->lookback + args->forecast);

    return n < needed ? 0 : n - needed + 1;
}

static size_t choose_column(const struct csv_args *args, const struct csv_table *table, struct diags *diags)
{
    double number;

    if (args->column)
        return csv_column(table, args->column, diags);
    for (size_t c = 0; c < table->num_columns; c++)
        if (csv_is_number(csv_field(table, 0, c), &number))
            return c;
    diag_error(diags, (struct diag_place){table->path, csv_field(table, 0, 0)->line, 1},
               "no field of the first row is a number; name the series with `column`");
    return SIZE_MAX;
}

/* Rows of a group come together, in their order: a counting sort, groups are numbered as they occur. */
static int sort_rows(struct series *s)
{
    size_t groups = 0;

    for (size_t r = 0; r < s->n && s->groups; r++)
        groups = (size_t)s->groups[r] >= groups ? (size_t)s->groups[r] + 1 : groups;
    uint32_t *at = calloc(groups + 2, sizeof *at);
    if (!at)
        return ERR_MEMORY;
    for (size_t r = 0; r < s->n; r++)
        at[s->groups ? s->groups[r] + 1 : 1]++;
    for (size_t g = 1; g <= groups; g++)
        at[g] += at[g - 1];
    for (size_t r = 0; r < s->n; r++)
        s->order[at[s->groups ? s->groups[r] : 0]++] = (uint32_t)r;
    free(at);
    return OK;
}

static int read_values(struct series *s, const struct csv_table *table, size_t column, struct diags *diags)
{
    int status = OK;

    for (size_t i = 0; i < s->n; i++) {
        int failed = csv_number(table, s->order[i], column, &s->values[i], diags);
        status = status ? status : failed;
    }
    return status;
}

static int read_series(const struct csv_args *args, const struct csv_table *table, struct series *s,
                       struct diags *diags)
{
    size_t column = choose_column(args, table, diags);

    if (column == SIZE_MAX)
        return ERR_INVALID;
    s->n = table->num_rows;
    s->values = malloc(s->n * sizeof *s->values);
    s->order = malloc(s->n * sizeof *s->order);
    int status = csv_groups(args, table, &s->groups, diags);
    if (!status && (!s->values || !s->order || sort_rows(s))) {
        diag_error(diags, (struct diag_place){table->path, 0, 0}, "out of memory");
        status = ERR_MEMORY;
    }
    return status ? status : read_values(s, table, column, diags);
}

/* From the training part of every group alone. */
static int measure(const struct csv_args *args, const struct transform_args *fixed, const struct series *s,
                   const struct csv_part *part, struct transform *out, struct error *err)
{
    struct dataset shape = {.type = DATA_F32};
    struct run run = {0, 0};
    float *seen = malloc((s->n + 1) * sizeof *seen);
    size_t n = 0;
    int status = seen ? transform_set(&shape, fixed, err) : FAIL(err, ERR_MEMORY, "out of memory");

    while (!status && next_run(s, &run)) {
        struct run kept = part_of(&run, part->from, part->to * part->measured);
        memcpy(seen + n, s->values + kept.begin, (kept.end - kept.begin) * sizeof *seen);
        n += kept.end - kept.begin;
    }
    *out = shape.transform;
    if (!status && args->normalise != CSV_AS_IS) {
        struct csv_scale scale = csv_measure((enum csv_normalise)args->normalise, seen, n, 1);
        *out = transform_plain(1.0f, (float)scale.offset, (float)scale.range, 0);
    }
    free(seen);
    return status;
}

static void fill_windows(const struct csv_args *args, const struct series *s, const struct csv_part *part,
                         struct dataset *out, struct dataset_fill *fill)
{
    const struct transform *t = &out->transform;
    struct run run = {0, 0};
    float *x = fill->x;
    uint32_t at = 0;
    size_t item = 0;

    while (next_run(s, &run)) {
        struct run kept = part_of(&run, part->from, part->to);
        size_t windows = windows_of(&kept, args);
        for (size_t w = 0; w < windows; w++, item++) {
            fill->starts[item] = at + (uint32_t)w;
            if (fill->groups)
                fill->groups[item] = s->groups[s->order[kept.begin]];
        }
        for (size_t i = kept.begin; i < kept.end && windows; i++, at++) {
            x[at] = s->values[i];
            fill->values[at] = (s->values[i] * t->scale - t->mean[0]) / t->std[0];
        }
    }
}

/* x stays as it came and is transformed when it is gathered; targets are stored transformed. */
static int cut(const struct csv_args *args, const struct series *s, const struct csv_part *part, struct dataset *out,
               struct error *err)
{
    struct dataset_need need = {.values = true, .num_targets = (size_t)args->forecast, .groups = s->groups};
    struct dataset_fill fill;
    struct run run = {0, 0};

    while (next_run(s, &run)) {
        struct run kept = part_of(&run, part->from, part->to);
        size_t windows = windows_of(&kept, args);
        out->num_items += windows;
        need.row += windows ? kept.end - kept.begin : 0;
    }
    if (out->num_items == 0)
        return FAIL(
            err, ERR_INVALID,
            "no series is long enough for lookback %lld and forecast %lld (with the part that is held out); take "
            "less",
            (long long)args->lookback, (long long)args->forecast);
    strcpy(out->name, "csv");
    out->type = DATA_F32;
    out->num_dims = 2;
    out->dims[0] = args->lookback;
    out->dims[1] = 1;
    int status = dataset_alloc_for(out, &need, &fill, err);
    if (status)
        return status;
    fill_windows(args, s, part, out, &fill);
    out->values = fill.values + args->lookback;
    dataset_seal(out);
    return OK;
}

int csv_series(const struct csv_args *args, const struct transform_args *transform, const struct csv_table *table,
               const struct csv_part *part, struct csv_state *state, struct dataset *out, struct diags *diags)
{
    struct series s = {0};
    struct error err = ERROR_INIT;
    int status = read_series(args, table, &s, diags);

    memset(out, 0, sizeof *out);
    if (!status) {
        if (!state->known)
            status = measure(args, transform, &s, part, &state->transform, &err);
        state->known = true;
        out->transform = state->transform;
        if (!status)
            status = cut(args, &s, part, out, &err);
        if (status)
            diag_error(diags, (struct diag_place){table->path, 0, 0}, "%s", err.message);
    }
    free(s.values);
    free(s.order);
    free(s.groups);
    return status;
}
