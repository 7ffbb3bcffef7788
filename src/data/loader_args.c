#include "data/loader_args.h"

#include <stdio.h>
#include <string.h>

#include "data/text.h"

/* An argument under Flotilla's name and under that of the row that it goes to. */
struct loader_row {
    const char *name, *row;
    size_t offset; /* of the int64_t; normalise has none */
};

enum { NORMALISE = 3 };

static const struct loader_row loader_rows[] = {
    {"lookback", "lookback", offsetof(struct loader_args, lookback)},
    {"pred_forward", "forecast", offsetof(struct loader_args, forecast)},
    {"seq_len", "length", offsetof(struct loader_args, length)},
    [NORMALISE] = {"normalize_data", "normalise", 0},
    {"batch_size", NULL, offsetof(struct loader_args, batch_size)},
};

enum { NUM_LOADER_ROWS = sizeof loader_rows / sizeof *loader_rows };

static const struct loader_row *find_row(const char *name)
{
    for (size_t i = 0; i < NUM_LOADER_ROWS; i++)
        if (!strcmp(name, loader_rows[i].name) || (loader_rows[i].row && !strcmp(name, loader_rows[i].row)))
            return &loader_rows[i];
    return NULL;
}

/* --- reading --- */

/* Flotilla's is true (min-max) or false; the names of csv.normalise do too. */
static bool read_normalise(const char *text, struct loader_args *out)
{
    bool on;

    out->has_normalise = true;
    if (param_parse_scalar(PARAM_BOOL, text, &on, NULL) == OK) {
        out->normalise = on ? CSV_MIN_MAX : CSV_AS_IS;
        return true;
    }
    for (int i = 0; csv_normalise_names[i]; i++)
        if (!strcmp(text, csv_normalise_names[i])) {
            out->normalise = (enum csv_normalise)i;
            return true;
        }
    return false;
}

static bool read_number(const char *text, int64_t *out)
{
    _Static_assert((int)CSV_MAX_WINDOW == (int)TEXT_MAX_LENGTH, "one limit for all numbers");

    return param_parse_scalar(PARAM_INT, text, out, NULL) == OK && *out >= 1 && *out <= CSV_MAX_WINDOW;
}

static int read_value(const struct loader_row *row, struct yaml_node value, const char *where, struct loader_args *out,
                      struct diags *diags)
{
    const char *text = yaml_text(value);

    if (yaml_is_null(value))
        return OK;
    if (row == &loader_rows[NORMALISE] ? text && read_normalise(text, out)
                                       : text && read_number(text, (int64_t *)((char *)out + row->offset)))
        return OK;
    if (diags)
        diag_error(diags, yaml_place(value), "`%s%s` must be %s", where, row->name,
                   row == &loader_rows[NORMALISE] ? "true, false, none, min-max or standard"
                                                  : "a number from 1 to 65536");
    return ERR_INVALID;
}

int loader_args_read(struct yaml_node args, const char *where, struct loader_args *out, struct diags *diags)
{
    size_t n = yaml_kind(args) == YAML_MAPPING ? yaml_size(args) : 0;
    int status = OK;

    *out = (struct loader_args){0};
    for (size_t i = 0; i < n; i++) {
        const struct loader_row *row = find_row(yaml_text(yaml_key(args, i)));
        if (!row && diags)
            diag_warning(diags, yaml_place(yaml_key(args, i)), "`%s%.80s` has no effect in flosim", where,
                         yaml_text(yaml_key(args, i)));
        else if (row && read_value(row, yaml_value(args, i), where, out, diags))
            status = ERR_INVALID;
    }
    return status;
}

/* JSON is YAML. */
int loader_args_parse(const char *json, size_t size, struct loader_args *out, struct error *err)
{
    struct diags *diags = diags_new();
    struct yaml_doc *doc = NULL;
    bool used = false;

    *out = (struct loader_args){0};
    if (!diags)
        return FAIL(err, ERR_MEMORY, "out of memory for model_config");
    int status = size ? yaml_load_text(json, size, "model_config", 0, &doc, diags) : OK;
    if (!status && doc) {
        const char *text = yaml_text(yaml_get(yaml_root(doc), "use_custom_dataloader"));
        used = text && param_parse_scalar(PARAM_BOOL, text, &used, NULL) == OK && used;
    }
    if (used)
        status = loader_args_read(yaml_get(yaml_root(doc), "custom_loader_args"), "custom_loader_args.", out, diags);
    if (status && diags_status(diags, err) == OK)
        FAIL(err, status, "model_config: %s", status_text(status));
    yaml_unref(doc);
    diags_free(diags);
    return status;
}

/* --- use --- */

bool loader_args_same(const struct loader_args *a, const struct loader_args *b)
{
    return a->lookback == b->lookback && a->forecast == b->forecast && a->length == b->length &&
           a->has_normalise == b->has_normalise && (!a->has_normalise || a->normalise == b->normalise);
}

bool loader_args_cut(const struct loader_args *args)
{
    return !loader_args_same(args, &(struct loader_args){0});
}

static const struct param *row_of(const struct param_table *table, const char *name, enum param_type type)
{
    for (size_t i = 0; table && i < table->num_rows; i++)
        if (table->rows[i].type == type && !strcmp(table->rows[i].name, name))
            return &table->rows[i];
    return NULL;
}

static bool apply_normalise(const struct loader_args *args, const struct param_table *table, void *values)
{
    const struct param *row = row_of(table, loader_rows[NORMALISE].row, PARAM_CHOICE);
    int choice = (int)args->normalise;

    if (row)
        memcpy((char *)values + row->offset, &choice, sizeof choice);
    return row != NULL;
}

static bool apply_number(const struct loader_row *loader, int64_t number, const struct param_table *table, void *values)
{
    const struct param *row = row_of(table, loader->row, PARAM_INT);

    if (row)
        memcpy((char *)values + row->offset, &number, sizeof number);
    return row != NULL;
}

void loader_args_apply(const struct loader_args *args, const struct param_table *table, void *values,
                       char ignored[LOADER_ARGS_TEXT])
{
    size_t used = 0;

    ignored[0] = '\0';
    for (size_t i = 0; i < NUM_LOADER_ROWS; i++) {
        const struct loader_row *row = &loader_rows[i];
        int64_t number = 0;
        bool taken;

        if (!row->row)
            continue;
        memcpy(&number, (const char *)args + row->offset, sizeof number);
        if (i == NORMALISE ? !args->has_normalise : !number)
            continue;
        taken = i == NORMALISE ? apply_normalise(args, table, values) : apply_number(row, number, table, values);
        if (!taken)
            used += (size_t)snprintf(ignored + used, LOADER_ARGS_TEXT - used, "%s%s", used ? ", " : "", row->name);
    }
}
