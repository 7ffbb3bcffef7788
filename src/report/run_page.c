#include "report/run_page.h"

#include <stdlib.h>
#include <string.h>

#include "report/html.h"
#include "report/page.h"
#include "report/timeline.h"
#include "util/fs.h"
#include "util/yaml.h"

/* --- head --- */

static const char *figure(const struct run_record *record, const char *name)
{
    return json_string_value(json_object_get(record->figures, name));
}

static void put_tile(FILE *out, const struct run_record *record, const char *name, const char *label)
{
    const char *value = figure(record, name);
    size_t length = value ? strlen(value) : 0;
    char bytes[32];

    if (!value || !strcmp(value, "none"))
        return;
    fputs("<div>", out);
    page_cell(out, "dt", NULL, label);
    if (length > 2 && !strcmp(value + length - 2, " B"))
        value = html_bytes(strtod(value, NULL), bytes);
    page_cell(out, "dd", NULL, value);
    fputs("</div>\n", out);
}

static void put_tiles(FILE *out, const struct run_record *record)
{
    static const struct {
        const char *name, *label;
    } tiles[] = {{"rounds", "rounds"},
                 {"accuracy", "accuracy"},
                 {"best_accuracy", "best accuracy"},
                 {"perplexity", "perplexity"},
                 {"mae", "mean absolute error"},
                 {"loss", "loss"},
                 {"wall_s", "wall time"},
                 {"round_s_p50", "median round"},
                 {"clients", "clients"},
                 {"clients_failed", "clients that failed"},
                 {"recoveries", "leader recoveries"},
                 {"bytes_down", "to clients"},
                 {"bytes_up", "to the leader"},
                 {"leader_rss_mb", "leader, peak memory"},
                 {"pss_training_mb", "client, peak memory"}};

    fputs("<dl class=\"tiles\">\n", out);
    for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++)
        put_tile(out, record, tiles[i].name, tiles[i].label);
    fputs("</dl>\n", out);
}

static void put_outcome(FILE *out, const struct run_record *record)
{
    const json_t *code = json_object_get(record->ended, "exit_code");
    const char *status = json_string_value(json_object_get(record->finished, "status"));
    const char *reason = json_string_value(json_object_get(record->finished, "reason"));
    const char *error = json_string_value(json_object_get(record->ended, "error"));

    fputs("<p class=\"sum\">", out);
    if (code) {
        bool good = json_integer_value(code) == 0;
        fprintf(out, "<span class=\"%s\">%s</span> (exit code %lld). ", good ? "good" : "bad",
                good ? "✓ The run held" : "✗ The run did not hold", (long long)json_integer_value(code));
    } else if (!record->finished) {
        fputs("<span class=\"bad\">✗ The files tell of no end: the run was broken off, or it still goes on.</span> ",
              out);
    }
    if (status) {
        fputs("Session ", out);
        html_text(out, status);
        fputs(reason && *reason ? ": " : ".", out);
        html_text(out, reason);
    }
    fputs("</p>\n", out);
    if (error && *error)
        page_cell(out, "p", "bad", error);
}

/* --- how to repeat it --- */

static void put_versions(FILE *out, struct yaml_node recorded)
{
    for (size_t i = 0; i < yaml_size(recorded); i++) {
        const char *value = yaml_text(yaml_value(recorded, i));
        if (!value || yaml_is_null(yaml_value(recorded, i)))
            continue;
        fputs("<tr>", out);
        page_cell(out, "td", NULL, yaml_text(yaml_key(recorded, i)));
        page_cell(out, "td", "w", value);
        fputs("</tr>\n", out);
    }
}

static void put_seed(FILE *out, struct yaml_node root)
{
    const char *seed = yaml_text(yaml_get(root, "seed"));

    if (!seed)
        seed = yaml_text(yaml_get(yaml_get(root, "session_config"), "seed"));
    if (!seed)
        return;
    fputs("<tr><td>seed</td>", out);
    page_cell(out, "td", "w", seed);
    fputs("</tr>\n", out);
}

static void put_repeat(FILE *out, const struct run_record *record)
{
    struct diags *diags = diags_new();
    struct yaml_doc *doc = NULL;
    bool is_scenario = record->settings && !strcmp(record->settings_name, "scenario.resolved.yaml");

    page_section(out, "To repeat it");
    if (record->settings)
        fprintf(out, "<p>In the run's folder: <code>flosim %s%s</code></p>\n", is_scenario ? "" : "submit ",
                record->settings_name);
    if (diags && record->settings)
        yaml_load_text(record->settings, strlen(record->settings), "settings", 0, &doc, diags);
    if (doc) {
        fputs("<div class=\"scroll\"><table><tbody>\n", out);
        put_seed(out, yaml_root(doc));
        put_versions(out, yaml_get(yaml_root(doc), "recorded"));
        fputs("</tbody></table></div>\n", out);
    }
    yaml_unref(doc);
    diags_free(diags);
    page_settings(out, record);
}

/* --- the page --- */

static int put_pictures(FILE *out, const struct run_record *record)
{
    page_section(out, "Quality of the model");
    int status = page_curves(out, record, 1, NULL);

    page_section(out, "Time and traffic");
    fputs("<div class=\"two\">\n", out);
    if (status == OK)
        status = page_round_time(out, record);
    if (status == OK)
        status = page_bytes(out, record);
    fputs("</div>\n", out);
    page_section(out, "Clients");
    return status == OK ? timeline_write(out, record) : status;
}

static int put_page(FILE *out, const struct run_record *record)
{
    page_begin(out, record->name);
    page_cell(out, "h1", NULL, record->name);
    fputc('\n', out);
    put_outcome(out, record);
    put_tiles(out, record);
    page_notes(out, record);
    page_expectations(out, record);
    int status = put_pictures(out, record);
    page_faults(out, record);
    page_ledger(out, record);
    page_section(out, "Figures");
    page_figures(out, record);
    page_rounds(out, record);
    page_clients(out, record);
    put_repeat(out, record);
    page_end(out);
    return status;
}

int run_page_write(const char *dir, const char *path, struct error *err)
{
    struct run_record record;
    char *own = path ? NULL : fs_join(dir, "report.html"), *text = NULL;
    size_t size = 0;
    int status = run_record_read(dir, &record, err);
    FILE *out = status == OK ? open_memstream(&text, &size) : NULL;

    if (out) {
        status = put_page(out, &record);
        if (fclose(out))
            status = ERR_MEMORY;
    }
    if (status == OK && (!out || (!path && !own)))
        status = ERR_MEMORY;
    if (status == ERR_MEMORY)
        FAIL(err, ERR_MEMORY, "no memory for the report of %s", dir);
    struct span whole = span_of(text, size);
    if (status == OK)
        status = fs_write_atomic(path ? path : own, &whole, 1, err);
    run_record_fini(&record);
    free(text);
    free(own);
    return status;
}
