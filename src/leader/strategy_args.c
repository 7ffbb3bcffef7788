#include "leader/strategy_args.h"

#include <stdlib.h>
#include <string.h>

/* The public types as ours. Booleans are read as bool and widened to the public int afterwards, so every row is read
 * into a struct of our own layout (`slots`) and then copied to where the public row wants it. */
union slot {
    bool boolean;
    int64_t integer;
    double real;
    char *text;
};

struct strategy_args {
    const struct flosim_params *params;
    struct param *rows;
    struct param_table table;
    union slot *slots; /* one per row */
    void *values;      /* the public struct */
};

static enum param_type type_of(enum flosim_param_type type)
{
    switch (type) {
    case FLOSIM_BOOL:
        return PARAM_BOOL;
    case FLOSIM_INT:
        return PARAM_INT;
    case FLOSIM_DOUBLE:
        return PARAM_DOUBLE;
    case FLOSIM_FRACTION:
        return PARAM_FRACTION;
    case FLOSIM_DURATION:
        return PARAM_DURATION;
    case FLOSIM_STRING:
        break;
    }
    return PARAM_STRING;
}

static struct param row_of(const struct flosim_param *row, size_t i)
{
    return (struct param){
        .name = row->name,
        .alias = row->alias,
        .type = type_of(row->type),
        .offset = i * sizeof(union slot),
        .fallback = row->fallback,
        .min = row->min,
        .max = row->max,
        .flags = (row->flags & FLOSIM_REQUIRED ? (unsigned)PARAM_REQUIRED : 0u) |
                 (row->flags & FLOSIM_OURS ? (unsigned)PARAM_OURS : 0u),
        .help = row->help,
    };
}

static struct strategy_args *new_args(const char *name, const struct flosim_params *params)
{
    static const struct flosim_params none = {NULL, 0, 0};
    struct strategy_args *self = calloc(1, sizeof *self);

    if (!self)
        return NULL;
    self->params = params ? params : &none;
    self->rows = calloc(self->params->num_rows + 1, sizeof *self->rows);
    self->slots = calloc(self->params->num_rows + 1, sizeof *self->slots);
    self->values = calloc(1, self->params->size + 1);
    if (!self->rows || !self->slots || !self->values) {
        strategy_args_free(self);
        return NULL;
    }
    for (size_t i = 0; i < self->params->num_rows; i++)
        self->rows[i] = row_of(&self->params->rows[i], i);
    self->table = (struct param_table){.name = name,
                                       .rows = self->rows,
                                       .num_rows = self->params->num_rows,
                                       .size = (self->params->num_rows + 1) * sizeof *self->slots};
    return self;
}

static void hand_over(struct strategy_args *self)
{
    for (size_t i = 0; i < self->params->num_rows; i++) {
        const struct flosim_param *row = &self->params->rows[i];
        void *to = (char *)self->values + row->offset;
        const union slot *slot = &self->slots[i];
        int boolean;

        switch (row->type) {
        case FLOSIM_BOOL:
            boolean = slot->boolean;
            memcpy(to, &boolean, sizeof boolean);
            break;
        case FLOSIM_INT:
            memcpy(to, &slot->integer, sizeof slot->integer);
            break;
        case FLOSIM_DOUBLE:
        case FLOSIM_FRACTION:
        case FLOSIM_DURATION:
            memcpy(to, &slot->real, sizeof slot->real);
            break;
        case FLOSIM_STRING:
            memcpy(to, &slot->text, sizeof slot->text);
            break;
        }
    }
}

/* params_read knows no place for a key that is absent from an absent mapping. */
static void report_missing(const struct strategy_args *self, struct diag_place where, struct diags *diags)
{
    for (size_t i = 0; i < self->params->num_rows; i++)
        if (self->params->rows[i].flags & FLOSIM_REQUIRED)
            diag_error(diags, where, "%s needs the argument `%s`: %s", self->table.name, self->params->rows[i].name,
                       self->params->rows[i].help);
}

int strategy_args_read(const char *name, const struct flosim_params *params, struct yaml_node node,
                       struct diag_place where, struct strategy_args **out, struct diags *diags)
{
    struct strategy_args *self = new_args(name, params);
    size_t errors = diags_errors(diags);

    *out = NULL;
    if (!self) {
        diag_error(diags, where, "no memory for the arguments of %s", name);
        return ERR_MEMORY;
    }
    if (yaml_kind(node) == YAML_NONE || yaml_is_null(node)) {
        params_defaults(&self->table, self->slots);
        report_missing(self, where, diags);
    } else {
        params_read(&self->table, node, self->slots, diags);
    }
    if (diags_errors(diags) > errors) {
        strategy_args_free(self);
        return ERR_INVALID;
    }
    hand_over(self);
    *out = self;
    return OK;
}

void strategy_args_free(struct strategy_args *args)
{
    if (!args)
        return;
    if (args->slots && args->table.rows)
        params_free(&args->table, args->slots);
    free(args->rows);
    free(args->slots);
    free(args->values);
    free(args);
}

const void *strategy_args_values(const struct strategy_args *args)
{
    return args ? args->values : NULL;
}

int strategy_args_help(const char *name, const struct flosim_params *params, int indent, FILE *out)
{
    struct strategy_args *self = new_args(name, params);

    if (!self)
        return ERR_MEMORY;
    params_help(&self->table, indent, out);
    strategy_args_free(self);
    return OK;
}

int strategy_args_markdown(const char *name, const struct flosim_params *params, FILE *out)
{
    struct strategy_args *self = new_args(name, params);

    if (!self)
        return ERR_MEMORY;
    params_markdown(&self->table, out);
    strategy_args_free(self);
    return OK;
}

/* ---- rows from outside ---- */

static size_t size_of(enum flosim_param_type type)
{
    switch (type) {
    case FLOSIM_BOOL:
        return sizeof(int);
    case FLOSIM_INT:
        return sizeof(int64_t);
    case FLOSIM_DOUBLE:
    case FLOSIM_FRACTION:
    case FLOSIM_DURATION:
        return sizeof(double);
    case FLOSIM_STRING:
        return sizeof(char *);
    }
    return 0;
}

static int check_row(const struct flosim_params *params, size_t i, struct error *err)
{
    const struct flosim_param *row = &params->rows[i];
    size_t size = size_of(row->type);

    if (!row->name || !*row->name)
        return FAIL(err, ERR_INVALID, "argument %zu has no name", i + 1);
    for (size_t k = 0; k < i; k++)
        if (strcmp(params->rows[k].name, row->name) == 0)
            return FAIL(err, ERR_INVALID, "there are two arguments `%s`", row->name);
    if (!size)
        return FAIL(err, ERR_INVALID, "argument `%s` is of the unknown type %d", row->name, (int)row->type);
    if (row->offset > params->size || params->size - row->offset < size)
        return FAIL(err, ERR_INVALID, "argument `%s` lies outside of its struct of %zu bytes", row->name, params->size);
    if (!row->help)
        return FAIL(err, ERR_INVALID, "argument `%s` has no help", row->name);
    return OK;
}

/* The default is read as if it had been written in a session. */
static int check_fallback(const struct flosim_param *row, struct error *err)
{
    struct flosim_param plain = *row;
    struct flosim_params one = {&plain, 1, sizeof(union slot)};
    struct diags *diags = diags_new();
    struct yaml_doc *doc = NULL;
    struct strategy_args *args = NULL;
    char text[512];

    plain.offset = 0;
    plain.fallback = NULL;
    plain.flags = 0;
    snprintf(text, sizeof text, "{%s: %s}", row->name, row->fallback);
    if (diags && yaml_load_text(text, strlen(text), "default", 0, &doc, diags) == OK)
        strategy_args_read("default", &one, yaml_root(doc), (struct diag_place){0}, &args, diags);
    yaml_unref(doc);
    diags_free(diags);
    if (!args)
        return FAIL(err, ERR_INVALID, "the default `%.100s` of argument `%s` does not fit its type or range",
                    row->fallback, row->name);
    strategy_args_free(args);
    return OK;
}

int strategy_args_check(const struct flosim_params *params, struct error *err)
{
    int status = OK;

    if (params && params->num_rows > 0 && !params->rows)
        return FAIL(err, ERR_INVALID, "it has %zu arguments and no rows for them", params->num_rows);
    for (size_t i = 0; status == OK && params && i < params->num_rows; i++) {
        status = check_row(params, i, err);
        if (status == OK && params->rows[i].fallback)
            status = check_fallback(&params->rows[i], err);
    }
    return status;
}
