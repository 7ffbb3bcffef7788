#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/html.h"
#include "report/page.h"

enum { MAX_ROUNDS = 500, MAX_CLIENTS = 200, MAX_FAULTS = 300 };

static const char *text_in(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

/* A head that begins with '<' stands left, over words. */
static void table_begin(FILE *out, const char *const *heads, size_t n)
{
    fputs("<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>", out);
    for (size_t i = 0; i < n; i++)
        page_cell(out, "th", *heads[i] == '<' ? "t" : NULL, heads[i] + (*heads[i] == '<'));
    fputs("</tr></thead><tbody>\n", out);
}

static void table_end(FILE *out)
{
    fputs("</tbody></table></div>\n", out);
}

void page_notes(FILE *out, const struct run_record *record)
{
    if (!json_array_size(record->notes))
        return;
    fputs("<p class=\"note\">Not everything is there:</p>\n<ul class=\"note\">\n", out);
    for (size_t i = 0; i < json_array_size(record->notes); i++) {
        page_cell(out, "li", NULL, json_string_value(json_array_get(record->notes, i)));
        fputc('\n', out);
    }
    fputs("</ul>\n", out);
}

void page_expectations(FILE *out, const struct run_record *record)
{
    static const char *const heads[] = {"verdict", "<what was expected and found"};
    const json_t *list = json_object_get(record->ended, "expectations");

    if (!json_array_size(list))
        return;
    page_section(out, "Expectations");
    table_begin(out, heads, 2);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        bool held = json_is_true(json_object_get(item, "held"));

        fputs("<tr>", out);
        page_cell(out, "td", held ? "good" : "bad", held ? "✓ held" : "✗ failed");
        page_cell(out, "td", "w", text_in(item, "text"));
        fputs("</tr>\n", out);
    }
    table_end(out);
}

void page_ledger(FILE *out, const struct run_record *record)
{
    static const char *const heads[] = {"updates", "asked for", "merged", "refused", "failed", "dropped", ""};
    static const char *const keys[] = {"sent", "merged", "refused", "failed", "dropped"};
    const json_t *ledger = json_object_get(record->finished, "ledger");
    json_int_t values[5];
    char text[32];

    page_section(out, "Ledger");
    if (!json_is_object(ledger)) {
        fputs("<p class=\"none\">The session did not come to its end, so there is no ledger.</p>\n", out);
        return;
    }
    table_begin(out, heads, 7);
    fputs("<tr><td></td>", out);
    for (size_t i = 0; i < 5; i++) {
        values[i] = json_integer_value(json_object_get(ledger, keys[i]));
        snprintf(text, sizeof text, "%lld", (long long)values[i]);
        page_cell(out, "td", NULL, text);
    }
    /* As doubles: the file's numbers may be anything. */
    bool balances = (double)values[0] == (double)values[1] + (double)values[2] + (double)values[3] + (double)values[4];
    page_cell(out, "td", balances ? "good" : "bad", balances ? "✓ balances" : "✗ does not balance");
    fputs("</tr>\n", out);
    table_end(out);
}

static void put_seconds(FILE *out, double seconds)
{
    char text[32] = "–";

    if (!isnan(seconds))
        snprintf(text, sizeof text, "%.3f", seconds);
    page_cell(out, "td", NULL, text);
}

static void put_fault(FILE *out, const struct run_fault *fault)
{
    char text[32];

    fputs("<tr>", out);
    snprintf(text, sizeof text, "%lld", (long long)fault->number);
    page_cell(out, "td", NULL, text);
    page_cell(out, "td", "t", fault->what);
    page_cell(out, "td", "t", fault->victim);
    snprintf(text, sizeof text, "%lld", (long long)fault->round);
    page_cell(out, "td", NULL, text);
    put_seconds(out, fault->struck_s);
    put_seconds(out, fault->noticed_s - fault->struck_s);
    put_seconds(out, fault->undone_s - fault->struck_s);
    put_seconds(out, fault->recovered_s - fault->struck_s);
    fputs("</tr>\n", out);
}

void page_faults(FILE *out, const struct run_record *record)
{
    static const char *const heads[] = {"fault",
                                        "<what",
                                        "<victim",
                                        "round",
                                        "struck at (s)",
                                        "noticed after (s)",
                                        "undone after (s)",
                                        "recovered after (s)"};

    if (!record->num_faults)
        return;
    page_section(out, "Faults");
    if (record->num_faults > MAX_FAULTS)
        fprintf(out, "<p class=\"note\">The first %d of %zu strikes.</p>\n", MAX_FAULTS, record->num_faults);
    table_begin(out, heads, 8);
    for (size_t i = 0; i < record->num_faults && i < MAX_FAULTS; i++)
        put_fault(out, &record->faults[i]);
    table_end(out);
}

void page_figures(FILE *out, const struct run_record *record)
{
    static const char *const heads[] = {"figure", "value"};
    const char *name;
    json_t *value;

    fputs("<details><summary>All figures of the run, memory among them</summary>\n", out);
    table_begin(out, heads, 2);
    json_object_foreach(record->figures, name, value)
    {
        fputs("<tr>", out);
        page_cell(out, "td", NULL, name);
        page_cell(out, "td", NULL, json_is_string(value) ? json_string_value(value) : "");
        fputs("</tr>\n", out);
    }
    table_end(out);
    fputs("</details>\n", out);
}

/* Columns in which no row has anything are left out. */
static bool is_used(const struct run_table *table, size_t column)
{
    for (size_t i = 0; i < table->num_rows; i++)
        if (*run_table_cell(table, i, column))
            return true;
    return false;
}

static void put_csv(FILE *out, const struct run_table *table, const char *what, size_t most)
{
    size_t every = (table->num_rows + most - 1) / most;
    bool *used = calloc(table->num_columns + 1, sizeof *used);

    if (!table->num_rows || !used) {
        free(used);
        return;
    }
    fprintf(out, "<details><summary>%s: the figures of each</summary>\n", what);
    if (every > 1)
        fprintf(out, "<p class=\"note\">Every %zu. of %zu lines; the file has them all.</p>\n", every, table->num_rows);
    fputs("<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>", out);
    for (size_t c = 0; c < table->num_columns; c++) {
        used[c] = is_used(table, c);
        if (used[c])
            page_cell(out, "th", NULL, run_table_column(table, c));
    }
    fputs("</tr></thead><tbody>\n", out);
    for (size_t i = 0; i < table->num_rows; i += every) {
        fputs("<tr>", out);
        for (size_t c = 0; c < table->num_columns; c++)
            if (used[c])
                page_cell(out, "td", NULL, run_table_cell(table, i, c));
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div></details>\n", out);
    free(used);
}

void page_rounds(FILE *out, const struct run_record *record)
{
    put_csv(out, &record->rounds, "Rounds (rounds.csv)", MAX_ROUNDS);
}

void page_clients(FILE *out, const struct run_record *record)
{
    put_csv(out, &record->clients_table, "Clients (clients.csv)", MAX_CLIENTS);
}

void page_settings(FILE *out, const struct run_record *record)
{
    if (!record->settings)
        return;
    fputs("<details><summary>", out);
    html_text(out, record->settings_name);
    fputs(": every key, defaults spelled out, and the versions</summary>\n<pre>", out);
    html_text(out, record->settings);
    fputs("</pre></details>\n", out);
}
