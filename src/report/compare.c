/* Several runs in one page: curves over one another, figures beside one another, and where their settings differ. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/html.h"
#include "report/page.h"
#include "report/run_page.h"
#include "util/fs.h"
#include "util/yaml.h"

enum { MAX_DEPTH_NAME = 256, MAX_DIFFERENCES = 300 };

struct comparison {
    struct run_record records[REPORT_MAX_RUNS];
    char *labels[REPORT_MAX_RUNS];
    json_t *settings[REPORT_MAX_RUNS]; /* "session.selection" -> its value as JSON text */
    size_t n;
};

/* --- settings, flat --- */

/* Lists are values; sections are gone through. */
static void flatten(struct yaml_node node, const char *path, json_t *out)
{
    for (size_t i = 0; i < yaml_size(node); i++) {
        struct yaml_node value = yaml_value(node, i);
        const char *key = yaml_text(yaml_key(node, i));
        char name[MAX_DEPTH_NAME];

        snprintf(name, sizeof name, "%s%s%s", path, *path ? "." : "", key ? key : "");
        if (yaml_kind(value) == YAML_MAPPING) {
            flatten(value, name, out);
            continue;
        }
        char *text = yaml_to_json(value);
        if (text)
            json_object_set_new(out, name, json_string(text));
        free(text);
    }
}

static json_t *read_settings(const struct run_record *record)
{
    json_t *out = json_object();
    struct diags *diags = diags_new();
    struct yaml_doc *doc = NULL;

    if (diags && record->settings &&
        yaml_load_text(record->settings, strlen(record->settings), "settings", 0, &doc, diags) == OK &&
        yaml_kind(yaml_root(doc)) == YAML_MAPPING)
        flatten(yaml_root(doc), "", out);
    yaml_unref(doc);
    diags_free(diags);
    return out;
}

static const char *text_at(json_t *const *objects, size_t k, const char *key)
{
    const char *text = json_string_value(json_object_get(objects[k], key));

    return text ? text : "–";
}

/* --- tables --- */

static void put_heads(FILE *out, const struct comparison *comparison, const char *first)
{
    fputs("<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>", out);
    page_cell(out, "th", NULL, first);
    for (size_t k = 0; k < comparison->n; k++)
        page_cell(out, "th", NULL, comparison->labels[k]);
    fputs("</tr></thead><tbody>\n", out);
}

/* The first run that has a key lists it, so each key comes once. */
static bool is_first_with(json_t *const *objects, size_t k, const char *key)
{
    for (size_t i = 0; i < k; i++)
        if (json_object_get(objects[i], key))
            return false;
    return true;
}

/* "83.21 % (+1.30)" */
static void put_value(FILE *out, const char *first, const char *value, bool is_first)
{
    char *end_a, *end_b, text[128];
    double a = strtod(first, &end_a), b = strtod(value, &end_b);

    if (is_first || end_a == first || end_b == value || !isfinite(a) || !isfinite(b) || a == b)
        snprintf(text, sizeof text, "%.100s", value);
    else
        snprintf(text, sizeof text, "%.60s (%+.4g)", value, b - a);
    page_cell(out, "td", NULL, text);
}

static void put_figures(FILE *out, const struct comparison *comparison)
{
    json_t *figures[REPORT_MAX_RUNS], *value;
    const char *name;

    for (size_t k = 0; k < comparison->n; k++)
        figures[k] = comparison->records[k].figures;
    page_section(out, "Figures, with the difference from the first run");
    put_heads(out, comparison, "figure");
    for (size_t k = 0; k < comparison->n; k++)
        json_object_foreach(figures[k], name, value)
        {
            if (!is_first_with(figures, k, name))
                continue;
            fputs("<tr>", out);
            page_cell(out, "td", NULL, name);
            for (size_t i = 0; i < comparison->n; i++)
                put_value(out, text_at(figures, 0, name), text_at(figures, i, name), i == 0);
            fputs("</tr>\n", out);
        }
    fputs("</tbody></table></div>\n", out);
}

static bool differs(json_t *const *settings, size_t n, const char *key)
{
    for (size_t k = 1; k < n; k++)
        if (strcmp(text_at(settings, 0, key), text_at(settings, k, key)) != 0)
            return true;
    return false;
}

static size_t put_setting(FILE *out, const struct comparison *comparison, const char *key)
{
    fputs("<tr>", out);
    page_cell(out, "td", NULL, key);
    for (size_t k = 0; k < comparison->n; k++)
        page_cell(out, "td", "w", text_at(comparison->settings, k, key));
    fputs("</tr>\n", out);
    return 1;
}

static void put_settings(FILE *out, const struct comparison *comparison)
{
    const char *key;
    json_t *value;
    size_t shown = 0;

    page_section(out, "Settings that differ");
    put_heads(out, comparison, "key");
    for (size_t k = 0; k < comparison->n; k++)
        json_object_foreach(comparison->settings[k], key, value) if (shown < MAX_DIFFERENCES &&
                                                                     is_first_with(comparison->settings, k, key) &&
                                                                     differs(comparison->settings, comparison->n, key))
            shown += put_setting(out, comparison, key);
    fputs("</tbody></table></div>\n", out);
    if (!shown)
        fputs("<p class=\"none\">None that the folders tell of.</p>\n", out);
    if (shown == MAX_DIFFERENCES)
        fprintf(out, "<p class=\"note\">The first %d of them.</p>\n", MAX_DIFFERENCES);
}

static void put_outcomes(FILE *out, const struct comparison *comparison)
{
    fputs("<div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th>run</th><th class=\"t\">scenario</th><th "
          "class=\"t\">outcome</th></tr></thead><tbody>\n",
          out);
    for (size_t k = 0; k < comparison->n; k++) {
        const struct run_record *record = &comparison->records[k];
        const json_t *code = json_object_get(record->ended, "exit_code");
        const char *status = json_string_value(json_object_get(record->finished, "status"));
        char text[64];

        if (code)
            snprintf(text, sizeof text, "exit code %lld", (long long)json_integer_value(code));
        else
            snprintf(text, sizeof text, "%.40s", status ? status : "broken off");
        fputs("<tr>", out);
        page_cell(out, "td", NULL, comparison->labels[k]);
        page_cell(out, "td", "t", record->name);
        page_cell(out, "td", "t", text);
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div>\n", out);
}

/* --- the page --- */

static int put_page(FILE *out, const struct comparison *comparison)
{
    page_begin(out, "Comparison of runs");
    fprintf(out, "<h1>Comparison of %zu runs</h1>\n", comparison->n);
    put_outcomes(out, comparison);
    page_section(out, "Quality of the model");
    int status = page_curves(out, comparison->records, comparison->n, (const char *const *)comparison->labels);
    put_figures(out, comparison);
    put_settings(out, comparison);
    for (size_t k = 0; k < comparison->n; k++)
        if (json_array_size(comparison->records[k].notes)) {
            page_section(out, comparison->labels[k]);
            page_notes(out, &comparison->records[k]);
        }
    page_end(out);
    return status;
}

static char *label_of(const char *dir)
{
    char *real = realpath(dir, NULL);
    const char *slash = real ? strrchr(real, '/') : NULL;
    char *label = strdup(slash && slash[1] ? slash + 1 : dir);

    free(real);
    return label;
}

static int read_runs(struct comparison *comparison, const char *const *dirs, size_t n, struct error *err)
{
    for (; comparison->n < n; comparison->n++) {
        size_t k = comparison->n;
        int status = run_record_read(dirs[k], &comparison->records[k], err);

        if (status != OK)
            return status;
        comparison->labels[k] = label_of(dirs[k]);
        comparison->settings[k] = read_settings(&comparison->records[k]);
        if (!comparison->labels[k] || !comparison->settings[k]) {
            comparison->n++;
            return FAIL(err, ERR_MEMORY, "out of memory");
        }
    }
    return OK;
}

static void comparison_free(struct comparison *comparison)
{
    for (size_t k = 0; k < comparison->n; k++) {
        run_record_fini(&comparison->records[k]);
        free(comparison->labels[k]);
        json_decref(comparison->settings[k]);
    }
    free(comparison);
}

static int write_page(const struct comparison *comparison, const char *path, struct error *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    int status = out ? put_page(out, comparison) : ERR_MEMORY;

    if (out && fclose(out))
        status = ERR_MEMORY;
    struct span whole = span_of(text, size);
    status = status == OK ? fs_write_atomic(path, &whole, 1, err) : FAIL(err, status, "out of memory");
    free(text);
    return status;
}

int run_page_compare(const char *const *dirs, size_t n, const char *path, struct error *err)
{
    if (n < 2 || n > REPORT_MAX_RUNS)
        return FAIL(err, ERR_INVALID, "%zu runs: from 2 to %d can be compared", n, (int)REPORT_MAX_RUNS);
    struct comparison *comparison = calloc(1, sizeof *comparison);
    if (!comparison)
        return FAIL(err, ERR_MEMORY, "out of memory");
    int status = read_runs(comparison, dirs, n, err);
    if (status == OK)
        status = write_page(comparison, path, err);
    comparison_free(comparison);
    return status;
}
