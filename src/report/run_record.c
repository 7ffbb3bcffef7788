#include "report/run_record.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "util/fs.h"
#include "util/yaml.h"

enum { MAX_SETTINGS = 16 << 20 };

const char *span_end_name(enum span_end end)
{
    static const char *const names[] = {"merged", "failed", "refused", "dropped", "not answered"};

    return names[end];
}

void run_record_note(struct run_record *record, const char *format, ...)
{
    va_list args;
    char *text = NULL;

    va_start(args, format);
    if (vasprintf(&text, format, args) >= 0) {
        json_array_append_new(record->notes, json_string(text));
        free(text);
    }
    va_end(args);
}

/* --- files --- */

static int read_csv(struct run_record *record, const char *dir, const char *name, struct run_table *out,
                    struct error *err)
{
    char *path = fs_join(dir, name);
    struct error why = ERROR_INIT;
    int status = path ? run_table_read(path, out, &why) : ERR_MEMORY;

    free(path);
    if (status == ERR_MEMORY)
        return FAIL(err, ERR_MEMORY, "out of memory");
    if (status != OK)
        run_record_note(record, "%s: %s", name, status == ERR_NOT_FOUND ? "there is none" : why.message);
    else if (out->num_damaged)
        run_record_note(record, "%s: %zu damaged line(s) left out", name, out->num_damaged);
    return OK;
}

/* Its whole text in a new string; NULL: there is none. */
static char *read_text(const char *dir, const char *name)
{
    char *path = fs_join(dir, name), *text = NULL;
    struct blob *blob = NULL;

    if (path && fs_read(path, MAX_SETTINGS, &blob, NULL) == OK)
        text = strndup(blob_bytes(blob), blob_size(blob));
    blob_unref(blob);
    free(path);
    return text;
}

static void read_settings(struct run_record *record, const char *dir)
{
    static const char *const names[] = {"scenario.resolved.yaml", "session.yaml"};

    for (size_t i = 0; i < 2 && !record->settings; i++) {
        record->settings = read_text(dir, names[i]);
        record->settings_name = names[i];
    }
    if (!record->settings)
        run_record_note(record, "scenario.resolved.yaml: there is none, nor a session.yaml");
}

static char *name_in(const char *settings)
{
    struct diags *diags = diags_new();
    struct yaml_doc *doc = NULL;
    char *name = NULL;

    if (diags && yaml_load_text(settings, strlen(settings), "settings", 0, &doc, diags) == OK) {
        const char *text = yaml_text(yaml_get(yaml_root(doc), "name"));
        name = text ? strdup(text) : NULL;
    }
    yaml_unref(doc);
    diags_free(diags);
    return name;
}

static char *name_of(const struct run_record *record, const char *dir)
{
    char *name = record->settings ? name_in(record->settings) : NULL;
    char *real = name ? NULL : realpath(dir, NULL);

    if (!name) {
        const char *slash = real ? strrchr(real, '/') : NULL;
        name = strdup(slash && slash[1] ? slash + 1 : dir);
    }
    free(real);
    return name;
}

/* --- clients' names --- */

static int by_id(const void *a, const void *b)
{
    return strcmp((*(struct run_client *const *)a)->id, (*(struct run_client *const *)b)->id);
}

static struct run_client *find(struct run_client **sorted, size_t n, const char *id)
{
    struct run_client key = {.id = (char *)(uintptr_t)id}, *pointer = &key, **found;

    found = n ? bsearch(&pointer, sorted, n, sizeof *sorted, by_id) : NULL;
    return found ? *found : NULL;
}

static int name_clients(struct run_record *record)
{
    const struct run_table *table = &record->clients_table;
    struct run_client **sorted = calloc(record->num_clients + 1, sizeof *sorted);

    if (!sorted)
        return ERR_MEMORY;
    for (size_t i = 0; i < record->num_clients; i++)
        sorted[i] = &record->clients[i];
    qsort(sorted, record->num_clients, sizeof *sorted, by_id);
    for (size_t i = 0; i < table->num_rows; i++) {
        struct run_client *client = find(sorted, record->num_clients, run_table_text(table, i, "client"));
        char *name = client ? strdup(run_table_text(table, i, "name")) : NULL;
        if (name) {
            free(client->name);
            client->name = name;
        }
    }
    free(sorted);
    return OK;
}

/* --- figures where no simulator told them --- */

static void put_figure(json_t *figures, const char *name, const char *format, double value)
{
    char text[64];

    if (!isfinite(value))
        return;
    snprintf(text, sizeof text, format, value);
    json_object_set_new(figures, name, json_string(text));
}

static double sum(const struct run_table *rounds, const char *column)
{
    double total = NAN;

    for (size_t i = 0; i < rounds->num_rows; i++) {
        double value = run_table_number(rounds, i, column);
        if (!isnan(value))
            total = isnan(total) ? value : total + value;
    }
    return total;
}

static double last(const struct run_table *rounds, const char *column)
{
    double value = NAN;

    for (size_t i = rounds->num_rows; i-- > 0 && isnan(value);)
        value = run_table_number(rounds, i, column);
    return value;
}

static double largest(const struct run_table *rounds, const char *column)
{
    double best = NAN;

    for (size_t i = 0; i < rounds->num_rows; i++) {
        double value = run_table_number(rounds, i, column);
        best = isnan(best) || value > best ? value : best;
    }
    return best;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(const struct run_table *rounds, const char *column)
{
    double *values = calloc(rounds->num_rows + 1, sizeof *values), found = NAN;
    size_t n = 0;

    for (size_t i = 0; values && i < rounds->num_rows; i++) {
        values[n] = run_table_number(rounds, i, column);
        n += !isnan(values[n]) ? 1u : 0u;
    }
    if (n) {
        qsort(values, n, sizeof *values, ascending);
        found = (values[(n - 1) / 2] + values[n / 2]) / 2;
    }
    free(values);
    return found;
}

static json_t *derive_figures(const struct run_record *record)
{
    const struct run_table *rounds = &record->rounds;
    json_t *figures = json_object();
    static const char *const updates[] = {"merged", "refused", "failed", "dropped"};
    char name[32];

    put_figure(figures, "rounds", "%.0f", rounds->num_rows > 0 ? (double)rounds->num_rows : NAN);
    put_figure(figures, "accuracy", "%.2f %%", last(rounds, "accuracy"));
    put_figure(figures, "best_accuracy", "%.2f %%", largest(rounds, "accuracy"));
    put_figure(figures, "loss", "%.4f", last(rounds, "loss"));
    put_figure(figures, "train_loss", "%.4f", last(rounds, "train_loss"));
    put_figure(figures, "wall_s", "%.2f s", record->end_s);
    put_figure(figures, "round_s_p50", "%.3f s", median(rounds, "duration_s"));
    put_figure(figures, "round_s_max", "%.3f s", largest(rounds, "duration_s"));
    for (size_t i = 0; i < sizeof updates / sizeof *updates; i++) {
        snprintf(name, sizeof name, "updates_%s", updates[i]);
        put_figure(figures, name, "%.0f", sum(rounds, updates[i]));
    }
    put_figure(figures, "bytes_down", "%.0f B", sum(rounds, "bytes_down"));
    put_figure(figures, "bytes_up", "%.0f B", sum(rounds, "bytes_up"));
    return figures;
}

/* --- the whole --- */

static int read_all(struct run_record *record, const char *dir, struct error *err)
{
    char *events = fs_join(dir, "events.jsonl");
    int status = events ? read_csv(record, dir, "rounds.csv", &record->rounds, err) : ERR_MEMORY;

    if (status == OK)
        status = read_csv(record, dir, "clients.csv", &record->clients_table, err);
    record->ended_s = calloc(record->rounds.num_rows + 1, sizeof *record->ended_s);
    if (status == OK && record->ended_s && !record->rounds.text && !fs_exists(events))
        status = FAIL(err, ERR_NOT_FOUND, "%s is no run folder: it holds neither rounds.csv nor events.jsonl", dir);
    if (status == OK)
        status = record->ended_s ? run_events_read(events, record, err) : ERR_MEMORY;
    free(events);
    if (status == OK)
        status = name_clients(record);
    if (status != OK)
        return status == ERR_MEMORY ? FAIL(err, ERR_MEMORY, "out of memory") : status;
    read_settings(record, dir);
    record->name = name_of(record, dir);
    record->figures = json_incref(json_object_get(record->ended, "figures"));
    if (!json_is_object(record->figures)) {
        json_decref(record->figures);
        record->figures = derive_figures(record);
    }
    return record->name && record->figures ? OK : FAIL(err, ERR_MEMORY, "out of memory");
}

int run_record_read(const char *dir, struct run_record *out, struct error *err)
{
    int status;

    *out = (struct run_record){.notes = json_array()};
    if (!fs_is_dir(dir))
        status = FAIL(err, ERR_NOT_FOUND, "%s: there is no such folder", dir);
    else
        status = read_all(out, dir, err);
    if (status != OK)
        run_record_fini(out);
    return status;
}

void run_record_fini(struct run_record *record)
{
    for (size_t i = 0; i < record->num_clients; i++) {
        free(record->clients[i].id);
        free(record->clients[i].name);
    }
    free(record->clients);
    free(record->spans);
    free(record->faults);
    free(record->ended_s);
    free(record->name);
    free(record->settings);
    run_table_fini(&record->rounds);
    run_table_fini(&record->clients_table);
    json_decref(record->finished);
    json_decref(record->ended);
    json_decref(record->figures);
    json_decref(record->notes);
    *record = (struct run_record){0};
}
