#include "report/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/html.h"
#include "report/plot.h"
#include "report/run_page.h"

void page_begin(FILE *out, const char *title)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
          "'unsafe-inline'\">\n<title>",
          out);
    html_text(out, title);
    fputs("</title>\n<style>\n", out);
    for (size_t i = 0; page_style[i]; i++)
        fputs(page_style[i], out);
    fputs("\n</style>\n</head>\n<body>\n<main>\n", out);
}

void page_end(FILE *out)
{
    fputs("</main>\n</body>\n</html>\n", out);
}

void page_section(FILE *out, const char *title)
{
    fputs("<h2>", out);
    html_text(out, title);
    fputs("</h2>\n", out);
}

void page_cell(FILE *out, const char *tag, const char *class, const char *text)
{
    fprintf(out, "<%s", tag);
    if (class)
        fprintf(out, " class=\"%s\"", class);
    fputs(">", out);
    html_text(out, text);
    fprintf(out, "</%s>", tag);
}

/* --- columns of rounds.csv as arrays --- */

struct columns { /* of one run */
    double *round, *time, *value;
};

/* Fills [rows] arrays in `block` of 3 · rows. */
static struct columns take_columns(const struct run_record *record, const char *name, double scale, double *block)
{
    size_t n = record->rounds.num_rows;
    struct columns columns = {block, block + n, block + 2 * n};

    for (size_t i = 0; i < n; i++) {
        columns.round[i] = run_table_number(&record->rounds, i, "round");
        columns.time[i] = record->ended_s[i];
        columns.value[i] = run_table_number(&record->rounds, i, name) * scale;
    }
    return columns;
}

static bool has_any(const struct run_record *records, size_t n, const char *column)
{
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < records[k].rounds.num_rows; i++)
            if (!isnan(run_table_number(&records[k].rounds, i, column)))
                return true;
    return false;
}

static bool has_times(const struct run_record *records, size_t n)
{
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < records[k].rounds.num_rows; i++)
            if (!isnan(records[k].ended_s[i]))
                return true;
    return false;
}

/* --- curves of quality --- */

static const struct curve {
    const char *id, *columns[2], *labels[2], *title, *y_label;
} curves[] = {
    {"accuracy", {"accuracy", NULL}, {"global model, validation", NULL}, "Accuracy", "accuracy (%)"},
    {"loss", {"loss", "train_loss"}, {"global model, validation", "clients, training"}, "Loss", "loss"},
    {"perplexity", {"perplexity", NULL}, {"global model, validation", NULL}, "Perplexity", "perplexity"},
    {"mae", {"mae", NULL}, {"global model, validation", NULL}, "Mean absolute error", "mean absolute error"},
};
enum { NUM_CURVES = sizeof curves / sizeof *curves, MAX_LINES = 2 * REPORT_MAX_RUNS };

/* One run: its columns are the lines. Several: their first column, a line a run. */
static int put_curve(FILE *out, const struct run_record *records, size_t n, const char *const *labels,
                     const struct curve *curve, bool by_time)
{
    struct plot_line lines[MAX_LINES];
    double *blocks[MAX_LINES] = {NULL};
    size_t num_lines = 0;
    char id[64], title[96];
    int status = OK;

    for (size_t k = 0; k < n; k++)
        for (size_t c = 0; c < (n > 1 ? 1 : 2) && curve->columns[c]; c++) {
            if (!has_any(&records[k], 1, curve->columns[c]))
                continue;
            double *block = calloc(3 * records[k].rounds.num_rows, sizeof *block);
            if (!block) {
                status = ERR_MEMORY;
                continue;
            }
            struct columns columns = take_columns(&records[k], curve->columns[c], 1, block);
            lines[num_lines] =
                (struct plot_line){n > 1 ? labels[k] : curve->labels[c], by_time ? columns.time : columns.round,
                                   columns.value, records[k].rounds.num_rows, (int)(n > 1 ? k : c)};
            blocks[num_lines++] = block;
        }
    snprintf(id, sizeof id, "%s-%s", curve->id, by_time ? "time" : "round");
    snprintf(title, sizeof title, "%s over %s", curve->title, by_time ? "time" : "rounds");
    struct plot plot = {.id = id,
                        .title = title,
                        .x_label = by_time ? "time since the session began (s)" : "round",
                        .y_label = curve->y_label,
                        .lines = lines,
                        .num_lines = num_lines};
    plot_write(out, &plot);
    for (size_t i = 0; i < num_lines; i++)
        free(blocks[i]);
    return status;
}

int page_curves(FILE *out, const struct run_record *records, size_t n, const char *const *labels)
{
    int status = OK;
    size_t drawn = 0;

    fputs("<div class=\"two\">\n", out);
    for (size_t i = 0; i < NUM_CURVES && status == OK; i++) {
        bool any = has_any(records, n, curves[i].columns[0]);
        if (!any && n == 1 && curves[i].columns[1])
            any = has_any(records, n, curves[i].columns[1]);
        if (!any)
            continue;
        drawn++;
        status = put_curve(out, records, n, labels, &curves[i], false);
        if (status == OK && has_times(records, n))
            status = put_curve(out, records, n, labels, &curves[i], true);
    }
    fputs("</div>\n", out);
    if (!drawn)
        fputs("<p class=\"none\">No round was validated, and no client told a loss.</p>\n", out);
    else if (n == 1 && !has_any(records, 1, "accuracy") && !has_any(records, 1, "loss") && !has_any(records, 1, "mae"))
        fputs("<p class=\"note\">The global model was not validated in this run.</p>\n", out);
    return status;
}

/* --- one run: time and bytes of rounds --- */

enum { MAX_MARKS = 200 };

struct marks {
    struct plot_mark marks[MAX_MARKS];
    char text[MAX_MARKS][160];
    size_t n;
};

/* What went wrong in each round: faults that struck, requests without a merged update. */
static void find_marks(const struct run_record *record, struct marks *out)
{
    out->n = 0;
    for (size_t i = 0; i < record->rounds.num_rows && out->n < MAX_MARKS; i++) {
        double round = run_table_number(&record->rounds, i, "round"),
               failed = run_table_number(&record->rounds, i, "failed"),
               refused = run_table_number(&record->rounds, i, "refused");
        char *text = out->text[out->n];
        size_t used = (size_t)snprintf(text, 160, "round %.0f:", round), head = used, struck = 0;
        const char *last = "";

        for (size_t k = 0; k < record->num_faults; k++)
            if ((double)record->faults[k].round == round) {
                struck++;
                if (strcmp(last, record->faults[k].what) != 0 && used < 90)
                    used += (size_t)snprintf(text + used, 160 - used, " %s", record->faults[k].what);
                last = record->faults[k].what;
            }
        if (struck)
            used += (size_t)snprintf(text + used, 160 - used, " (%zu struck)", struck);
        if (failed > 0)
            used += (size_t)snprintf(text + used, 160 - used, " %.0f failed", failed);
        if (refused > 0)
            used += (size_t)snprintf(text + used, 160 - used, " %.0f refused", refused);
        if (used > head) {
            out->marks[out->n] = (struct plot_mark){round, text};
            out->n++;
        }
    }
}

int page_round_time(FILE *out, const struct run_record *record)
{
    size_t n = record->rounds.num_rows;
    double *block = calloc(3 * n + 1, sizeof *block);
    struct marks *marks = malloc(sizeof *marks);

    if (block && marks) {
        struct columns columns = take_columns(record, "duration_s", 1, block);
        struct plot_line line = {"duration of the round", columns.round, columns.value, n, 0};
        find_marks(record, marks);
        struct plot plot = {.id = "duration",
                            .title = "Time of each round; a dashed line: faults, failures or refusals in it",
                            .x_label = "round",
                            .y_label = "time (s)",
                            .lines = &line,
                            .num_lines = 1,
                            .marks = marks->marks,
                            .num_marks = marks->n,
                            .from_zero = true,
                            .bars = true};
        plot_write(out, &plot);
    }
    int status = block && marks ? OK : ERR_MEMORY;
    free(block);
    free(marks);
    return status;
}

int page_bytes(FILE *out, const struct run_record *record)
{
    size_t n = record->rounds.num_rows;
    double *down_block = calloc(3 * n + 1, sizeof *down_block), *up_block = calloc(3 * n + 1, sizeof *up_block);

    if (down_block && up_block) {
        struct columns down = take_columns(record, "bytes_down", 1e-6, down_block);
        struct columns up = take_columns(record, "bytes_up", 1e-6, up_block);
        struct plot_line lines[2] = {{"down, leader to clients", down.round, down.value, n, 0},
                                     {"up, clients to leader", up.round, up.value, n, 1}};
        struct plot plot = {.id = "bytes",
                            .title = "Bytes of each round",
                            .x_label = "round",
                            .y_label = "megabytes (10⁶ B)",
                            .lines = lines,
                            .num_lines = 2,
                            .from_zero = true};
        plot_write(out, &plot);
    }
    int status = down_block && up_block ? OK : ERR_MEMORY;
    free(down_block);
    free(up_block);
    return status;
}
