#include "data/csv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/string_index.h"

const char *const csv_header_names[] = {"auto", "yes", "no", NULL};
const char *const csv_separator_names[] = {"comma", "semicolon", "tab", NULL};
const char *const csv_normalise_names[] = {"none", "min-max", "standard", NULL};
const char *const csv_task_names[] = {"class", "value", NULL};

struct csv_scale csv_measure(enum csv_normalise how, const float *v, size_t n, size_t stride)
{
    double least = INFINITY, most = -INFINITY, sum = 0.0, squares = 0.0;

    for (size_t i = 0; i < n; i++) {
        double value = (double)v[i * stride];
        least = value < least ? value : least;
        most = value > most ? value : most;
        sum += value;
    }
    for (size_t i = 0; i < n; i++) {
        double from_mean = (double)v[i * stride] - sum / (double)n;
        squares += from_mean * from_mean;
    }
    if (how == CSV_AS_IS || n == 0)
        return (struct csv_scale){0.0, 1.0};
    double offset = how == CSV_MIN_MAX ? least : sum / (double)n;
    double range = how == CSV_MIN_MAX ? most - least : sqrt(squares / (double)n);
    return (struct csv_scale){offset, range > 1e-12 ? range : 1.0};
}

int csv_groups(const struct csv_args *args, const struct csv_table *table, int32_t **out, struct diags *diags)
{
    struct string_index index = {0};
    size_t column;
    uint32_t number;
    int status = OK;

    *out = NULL;
    if (!args->group)
        return OK;
    if ((column = csv_column(table, args->group, diags)) == SIZE_MAX)
        return ERR_INVALID;
    *out = calloc(table->num_rows + 1, sizeof **out);
    for (size_t r = 0; r < table->num_rows && *out && !status; r++) {
        status = string_index_add(&index, csv_field(table, r, column)->text, &number, NULL);
        (*out)[r] = (int32_t)number;
    }
    string_index_fini(&index);
    if (!*out || status) {
        diag_error(diags, (struct diag_place){table->path, 0, 0}, "out of memory");
        return ERR_MEMORY;
    }
    return OK;
}

static int fill(const struct csv_args *args, const struct transform_args *transform, const struct csv_table *table,
                const struct csv_part *part, struct csv_state *state, struct dataset *out, struct diags *diags)
{
    return args->target ? csv_rows(args, table, part, state, out, diags)
                        : csv_series(args, transform, table, part, state, out, diags);
}

void csv_state_fini(struct csv_state *state)
{
    free(state->scales);
    for (size_t i = 0; i < state->names.n; i++)
        free(state->names.items[i]);
    free(state->names.items);
}

static int load_table(const struct csv_args *args, const char *path, struct csv_table *out, struct diags *diags)
{
    enum csv_header header = (enum csv_header)args->header;

    return csv_table_load(out, path, ",;\t"[args->separator], header, diags);
}

int csv_load(const struct csv_args *args, const struct transform_args *transform, const char *train,
             const char *validation, const struct csv_split *split, struct dataset *out, struct dataset *out_validation,
             struct diags *diags)
{
    double kept = validation ? 1.0 : 1.0 - split->held_out;
    const struct csv_part first = {0.0, kept, split->measured}, rest = {validation ? 0.0 : kept, 1.0, 0.0};
    struct csv_table table = {0}, other = {0};
    struct csv_state state = {0};
    int status = load_table(args, train, &table, diags);
    int second = validation ? load_table(args, validation, &other, diags) : OK;

    memset(out, 0, sizeof *out);
    memset(out_validation, 0, sizeof *out_validation);
    status = status ? status : second;
    if (!status)
        status = fill(args, transform, &table, &first, &state, out, diags);
    if (!status && (validation || split->held_out > 0))
        status = fill(args, transform, validation ? &other : &table, &rest, &state, out_validation, diags);
    if (status) {
        dataset_fini(out);
        dataset_fini(out_validation);
    }
    csv_state_fini(&state);
    csv_table_fini(&table);
    csv_table_fini(&other);
    return status;
}
