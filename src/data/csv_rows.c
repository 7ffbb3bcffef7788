/* Each row of a CSV file as an item. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/csv.h"
#include "data/labels.h"

struct columns {
    size_t *features; /* [n] */
    size_t n, target;
};

static int choose_columns(const struct csv_args *args, const struct csv_table *table, struct columns *out,
                          struct diags *diags)
{
    size_t group = args->group ? csv_column(table, args->group, diags) : SIZE_MAX;

    out->target = csv_column(table, args->target, diags);
    out->features = malloc((table->num_columns + 1) * sizeof *out->features);
    for (size_t c = 0; c < table->num_columns && out->features; c++)
        if (c != out->target && c != group)
            out->features[out->n++] = c;
    if (out->target == SIZE_MAX || (args->group && group == SIZE_MAX))
        return ERR_INVALID;
    if (out->n == 0) {
        diag_error(diags, (struct diag_place){table->path, 1, 1}, "no column beside the target");
        return ERR_INVALID;
    }
    return OK;
}

/* Held-out rows stand evenly among the others, for files are often sorted. The training part is [0, to). */
static bool is_taken(const struct csv_part *part, size_t row)
{
    double held_out = part->from > 0 ? 1.0 - part->from : 1.0 - part->to;
    bool out = floor((double)(row + 1) * held_out) > floor((double)row * held_out);

    return part->from > 0 ? out : !out;
}

static size_t count_rows(const struct csv_table *table, const struct csv_part *part)
{
    size_t n = 0;

    for (size_t r = 0; r < table->num_rows; r++)
        n += is_taken(part, r);
    return n;
}

/* ---- classes ---- */

static bool is_class_number(const struct csv_field *field, int32_t *out)
{
    double number;
    bool whole = csv_is_number(field, &number) && number >= 0 && number < DATA_MAX_CLASSES && floor(number) == number;

    *out = whole ? (int32_t)number : -1;
    return whole;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int32_t find_name(const struct string_list *names, struct span text)
{
    for (size_t i = 0; i < names->n; i++)
        if (strlen(names->items[i]) == text.size && memcmp(names->items[i], text.data, text.size) == 0)
            return (int32_t)i;
    return -1;
}

static int add_name(struct string_list *names, struct span text)
{
    char **grown = realloc(names->items, (names->n + 1) * sizeof *grown);

    if (!grown)
        return ERR_MEMORY;
    names->items = grown;
    names->items[names->n] = strndup(text.data ? text.data : "", text.size);
    return names->items[names->n] ? (names->n++, OK) : ERR_MEMORY;
}

/* Where any target of the training file (its held-out rows too, which may have a class of their own) is no whole
 * number, all are names; sorted, so that the order of rows does not matter. */
static int learn_names(const struct csv_args *args, const struct csv_table *table, size_t column,
                       struct string_list *names)
{
    bool numbers = args->class_names.n == 0;
    int status = OK;
    int32_t number;

    for (size_t i = 0; i < args->class_names.n && !status; i++)
        status = add_name(names, span_of(args->class_names.items[i], strlen(args->class_names.items[i])));
    for (size_t r = 0; r < table->num_rows && numbers; r++)
        numbers = is_class_number(csv_field(table, r, column), &number);
    if (numbers || args->class_names.n)
        return status;
    for (size_t r = 0; r < table->num_rows && !status; r++) {
        struct span text = csv_field(table, r, column)->text;
        if (text.size > 0 && find_name(names, text) < 0)
            status = names->n < DATA_MAX_CLASSES ? add_name(names, text) : ERR_TOO_LARGE;
    }
    if (names->n > 0)
        qsort(names->items, names->n, sizeof *names->items, compare_names);
    return status;
}

static int read_label(const struct csv_table *table, size_t row, size_t column, const struct csv_state *state,
                      int32_t *out, struct diags *diags)
{
    const struct csv_field *field = csv_field(table, row, column);

    if (state->names.n > 0)
        *out = find_name(&state->names, field->text);
    else
        is_class_number(field, out);
    if (*out >= 0)
        return OK;
    diag_error(diags, (struct diag_place){table->path, field->line, field->column},
               "`%.*s` is no class of the training data: a whole number from 0, or one of its names",
               (int)(field->text.size < 40 ? field->text.size : 40), (const char *)field->text.data);
    return ERR_INVALID;
}

/* ---- filling ---- */

static int fill_rows(const struct csv_args *args, const struct csv_table *table, const struct columns *columns,
                     const struct csv_part *part, const struct csv_state *state, const int32_t *groups,
                     struct dataset_fill *fill, struct diags *diags)
{
    float *x = fill->x;
    int status = OK;

    for (size_t r = 0, item = 0; r < table->num_rows; r++) {
        int failed = OK;
        if (!is_taken(part, r))
            continue;
        for (size_t f = 0; f < columns->n && !failed; f++)
            failed = csv_number(table, r, columns->features[f], x++, diags);
        if (!failed && args->task)
            failed = csv_number(table, r, columns->target, &fill->values[item], diags);
        else if (!failed)
            failed = read_label(table, r, columns->target, state, &fill->labels[item], diags);
        if (groups)
            fill->groups[item] = groups[r];
        item++;
        status = status ? status : failed;
    }
    return status;
}

static int normalise(const struct csv_args *args, const struct columns *columns, const struct csv_part *part,
                     struct csv_state *state, const struct dataset *out, float *x, struct error *err)
{
    size_t n = (size_t)((double)out->num_items * part->measured);

    if (!state->known) {
        state->scales = calloc(columns->n, sizeof *state->scales);
        if (!state->scales)
            return FAIL(err, ERR_MEMORY, "out of memory for %zu columns", columns->n);
        for (size_t f = 0; f < columns->n; f++)
            state->scales[f] = csv_measure((enum csv_normalise)args->normalise, x + f, n, columns->n);
        state->num_scales = columns->n;
    }
    if (state->num_scales != columns->n)
        return FAIL(err, ERR_INVALID, "%zu features, but the training file has %zu: the files do not belong together",
                    columns->n, state->num_scales);
    for (size_t i = 0; i < out->num_items; i++)
        for (size_t f = 0; f < columns->n; f++, x++)
            *x = (float)(((double)*x - state->scales[f].offset) / state->scales[f].range);
    return OK;
}

static void count_classes(const struct csv_state *state, struct dataset *out)
{
    out->num_classes = (int32_t)state->names.n;
    for (size_t i = 0; i < out->num_items && state->names.n == 0; i++)
        if (out->labels[i] >= out->num_classes)
            out->num_classes = out->labels[i] + 1;
}

static int build(const struct csv_args *args, const struct csv_table *table, const struct columns *columns,
                 const struct csv_part *part, struct csv_state *state, const int32_t *groups, struct dataset *out,
                 struct diags *diags)
{
    struct dataset_need need = {.values = args->task, .groups = groups};
    struct dataset_fill fill;
    struct error err = ERROR_INIT;

    strcpy(out->name, "csv");
    out->type = DATA_F32;
    out->num_items = count_rows(table, part);
    out->num_dims = 1;
    out->dims[0] = (int64_t)columns->n;
    out->transform = transform_plain(1.0f, 0.0f, 1.0f, 0);
    int status = dataset_alloc_for(out, &need, &fill, &err);
    if (status) {
        diag_error(diags, (struct diag_place){table->path, 0, 0}, "%s", err.message);
        return status;
    }
    status = fill_rows(args, table, columns, part, state, groups, &fill, diags);
    if (!status && (status = normalise(args, columns, part, state, out, fill.x, &err)))
        diag_error(diags, (struct diag_place){table->path, 1, 1}, "%s", err.message);
    if (!status && !args->task)
        count_classes(state, out);
    dataset_seal(out);
    return status;
}

int csv_rows(const struct csv_args *args, const struct csv_table *table, const struct csv_part *part,
             struct csv_state *state, struct dataset *out, struct diags *diags)
{
    struct columns columns = {0};
    int32_t *groups = NULL;
    int status = choose_columns(args, table, &columns, diags);

    memset(out, 0, sizeof *out);
    if (!status)
        status = csv_groups(args, table, &groups, diags);
    if (!status && !args->task && !state->known && (status = learn_names(args, table, columns.target, &state->names)))
        diag_error(diags, (struct diag_place){table->path, 0, 0}, "out of memory, or more than %d classes",
                   DATA_MAX_CLASSES);
    if (!status)
        status = build(args, table, &columns, part, state, groups, out, diags);
    state->known = true;
    free(columns.features);
    free(groups);
    return status;
}
