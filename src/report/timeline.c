#include "report/timeline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/html.h"
#include "report/plot.h"

enum { WIDTH = 960, LEFT = 120, RIGHT = 14, TOP = 10, ROW = 15, BOTTOM = 40, MAX_SERVERS = 3, MAX_ROUND_LINES = 60 };

static const char *const servers[MAX_SERVERS] = {"leader", "broker", "redis"};

struct row {
    long client; /* -1: a server */
    const char *label;
    const struct run_span **spans; /* of the client, in time */
    size_t num_spans;
};

struct timeline {
    const struct run_record *record;
    struct row rows[TIMELINE_ROWS + MAX_SERVERS];
    size_t num_rows, num_clients;
    double end_s;
};

static double at_x(const struct timeline *timeline, double t)
{
    double part = t / timeline->end_s;

    return LEFT + (part < 0 ? 0 : part > 1 ? 1 : part) * (WIDTH - LEFT - RIGHT);
}

static double at_y(size_t row)
{
    return TOP + ROW * ((double)row + 0.5);
}

/* --- which rows --- */

struct scored {
    size_t client;
    size_t score;
    const char *label;
};

static int by_score(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;

    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    int names = strcmp(x->label, y->label);
    return names ? names : (x->client > y->client) - (x->client < y->client);
}

static int by_label(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    int names = strcmp(x->label, y->label);

    return names ? names : (x->client > y->client) - (x->client < y->client);
}

static bool was_struck(const struct run_record *record, const char *server)
{
    for (size_t i = 0; i < record->num_faults; i++)
        if (record->faults[i].client < 0 && !strcmp(record->faults[i].victim, server))
            return true;
    return false;
}

static int choose_rows(struct timeline *timeline)
{
    const struct run_record *record = timeline->record;
    struct scored *scored = calloc(record->num_clients + 1, sizeof *scored);

    if (!scored)
        return ERR_MEMORY;
    for (size_t i = 0; i < record->num_clients; i++) {
        const struct run_client *client = &record->clients[i];
        scored[i] =
            (struct scored){i, 4 * client->num_faults + 2 * client->ends[SPAN_REFUSED] + client->ends[SPAN_FAILED],
                            *client->name ? client->name : client->id};
    }
    qsort(scored, record->num_clients, sizeof *scored, by_score);
    timeline->num_clients = record->num_clients < TIMELINE_ROWS ? record->num_clients : TIMELINE_ROWS;
    qsort(scored, timeline->num_clients, sizeof *scored, by_label);
    for (size_t i = 0; i < MAX_SERVERS; i++)
        if (was_struck(record, servers[i]))
            timeline->rows[timeline->num_rows++] = (struct row){.client = -1, .label = servers[i]};
    for (size_t i = 0; i < timeline->num_clients; i++)
        timeline->rows[timeline->num_rows++] = (struct row){.client = (long)scored[i].client, .label = scored[i].label};
    free(scored);
    return OK;
}

/* Each row gets the spans of its client: one pass over all, into one array. */
static int deal_spans(struct timeline *timeline, const struct run_span ***all)
{
    const struct run_record *record = timeline->record;
    struct row **row_of = calloc(record->num_clients + 1, sizeof *row_of);
    size_t used = 0;

    *all = calloc(record->num_spans + 1, sizeof **all);
    for (size_t i = 0; row_of && *all && i < timeline->num_rows; i++) {
        struct row *row = &timeline->rows[i];
        if (row->client < 0)
            continue;
        row_of[row->client] = row;
        row->spans = *all + used;
        for (int end = 0; end < NUM_SPAN_ENDS; end++)
            used += record->clients[row->client].ends[end];
    }
    for (size_t i = 0; row_of && *all && i < record->num_spans; i++) {
        struct row *row = row_of[record->spans[i].client];
        if (row)
            row->spans[row->num_spans++] = &record->spans[i];
    }
    free(row_of);
    return row_of && *all ? OK : ERR_MEMORY;
}

/* --- drawing --- */

static void put_stretch(FILE *out, double from, double to)
{
    if (to - from < 1)
        to = from + 1;
    fprintf(out, "M%.1f 0h%.1f", from, to - from);
}

/* All of one kind in a row as one path; what leaves less than a pixel free is one stretch. */
static void put_spans(FILE *out, const struct timeline *timeline, const struct row *row, enum span_end end)
{
    double from = NAN, to = NAN;

    for (size_t i = 0; i < row->num_spans; i++) {
        const struct run_span *span = row->spans[i];
        if (span->end != end)
            continue;
        double begin = at_x(timeline, span->begin_s), until = at_x(timeline, span->end_s) - 0.7;
        if (isnan(from))
            fprintf(out, "<path class=\"span s%d\" d=\"", (int)end);
        if (!isnan(from) && begin - to < 0.6 && until - from < 2) {
            to = fmax(to, until);
            continue;
        }
        if (!isnan(from))
            put_stretch(out, from, to);
        from = begin;
        to = until;
    }
    if (isnan(from))
        return;
    put_stretch(out, from, to);
    fputs("\"/>\n", out);
}

static void put_label(FILE *out, const char *label)
{
    char cut[64];

    snprintf(cut, sizeof cut, "%.*s", 17, label);
    fprintf(out, "<text x=\"%d\" y=\"4\" text-anchor=\"end\">", LEFT - 8);
    html_text(out, cut);
    fputs(strlen(label) > 17 ? "…</text>" : "</text>", out);
}

static void put_row_title(FILE *out, const struct timeline *timeline, const struct row *row)
{
    fputs("<title>", out);
    html_text(out, row->label);
    if (row->client >= 0) {
        const struct run_client *client = &timeline->record->clients[row->client];
        const char *before = ": ";

        for (int end = 0; end < NUM_SPAN_ENDS; end++)
            if (client->ends[end]) {
                fprintf(out, "%s%zu %s", before, client->ends[end], span_end_name((enum span_end)end));
                before = ", ";
            }
    }
    fputs("</title>", out);
}

static bool is_of(const struct run_fault *fault, const struct row *row)
{
    return row->client >= 0 ? fault->client == row->client : fault->client < 0 && !strcmp(fault->victim, row->label);
}

static void put_fault(FILE *out, const struct timeline *timeline, const struct run_fault *fault)
{
    double end = !isnan(fault->recovered_s) ? fault->recovered_s : fault->undone_s;
    double x = at_x(timeline, fault->struck_s);

    fputs("<g class=\"struck\"><title>", out);
    html_text(out, fault->what);
    fprintf(out, " at %.3f s", fault->struck_s);
    if (!isnan(fault->noticed_s))
        fprintf(out, ", noticed after %.3f s", fault->noticed_s - fault->struck_s);
    if (!isnan(fault->recovered_s))
        fprintf(out, ", recovered after %.3f s", fault->recovered_s - fault->struck_s);
    fprintf(out, "</title><path class=\"under\" d=\"M%.1f 0H%.1f\"/><path class=\"head\" d=\"M%.1f 3l-4.5 -8h9z\"/>", x,
            at_x(timeline, isnan(end) ? timeline->end_s : end), x);
    if (!isnan(fault->recovered_s))
        fprintf(out, "<circle class=\"back\" cx=\"%.1f\" cy=\"0\" r=\"3.5\"/>", at_x(timeline, fault->recovered_s));
    fputs("</g>\n", out);
}

/* Bounded: of a row's faults, the first thousand. */
static void put_faults(FILE *out, const struct timeline *timeline, const struct row *row)
{
    const struct run_record *record = timeline->record;
    size_t n = 0;

    for (size_t i = 0; i < record->num_faults && n < 1000; i++)
        if (is_of(&record->faults[i], row)) {
            put_fault(out, timeline, &record->faults[i]);
            n++;
        }
}

static void put_row(FILE *out, const struct timeline *timeline, size_t i)
{
    const struct row *row = &timeline->rows[i];

    fprintf(out, "<g transform=\"translate(0 %.1f)\">", at_y(i));
    put_row_title(out, timeline, row);
    put_label(out, row->label);
    fprintf(out, "<path class=\"grid\" d=\"M%d 0H%d\"/>\n", LEFT, WIDTH - RIGHT);
    for (int end = 0; end < NUM_SPAN_ENDS; end++)
        put_spans(out, timeline, row, (enum span_end)end);
    put_faults(out, timeline, row);
    fputs("</g>\n", out);
}

static void put_axis(FILE *out, const struct timeline *timeline)
{
    double bottom = TOP + ROW * (double)timeline->num_rows, step = plot_step(timeline->end_s, 10);

    for (double t = 0; t <= timeline->end_s * (1 + 1e-9); t += step)
        fprintf(
            out,
            "<path class=\"axis\" d=\"M%.1f %.0fv4\"/><text x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">%.6g</text>\n",
            at_x(timeline, t), bottom, at_x(timeline, t), bottom + 16, t);
    fprintf(out,
            "<path class=\"axis\" d=\"M%d %.0fH%d\"/><text class=\"label\" x=\"%d\" y=\"%.0f\" "
            "text-anchor=\"middle\">time since the session began (s)</text>\n",
            LEFT, bottom, WIDTH - RIGHT, (LEFT + WIDTH - RIGHT) / 2, bottom + 33);
}

static void put_round_lines(FILE *out, const struct timeline *timeline)
{
    const struct run_record *record = timeline->record;

    for (size_t i = 0; record->rounds.num_rows <= MAX_ROUND_LINES && i < record->rounds.num_rows; i++)
        if (!isnan(record->ended_s[i]))
            fprintf(out, "<path class=\"round\" d=\"M%.1f %dv%.0f\"/>\n", at_x(timeline, record->ended_s[i]), TOP,
                    ROW * (double)timeline->num_rows);
}

static void put_key(FILE *out)
{
    fputs("<ul class=\"key\">", out);
    for (int end = 0; end < NUM_SPAN_ENDS; end++)
        fprintf(out,
                "<li><svg class=\"swatch\" viewBox=\"0 0 24 10\" width=\"24\" height=\"10\" aria-hidden=\"true\"><path "
                "class=\"span s%d\" d=\"M0 5h24\"/></svg>%s</li>",
                end, span_end_name((enum span_end)end));
    fputs("<li><svg class=\"swatch\" viewBox=\"0 0 24 10\" width=\"24\" height=\"10\" aria-hidden=\"true\"><g "
          "class=\"struck\"><path class=\"under\" d=\"M5 5H19\"/><path class=\"head\" d=\"M5 8l-4.5 -8h9z\"/>"
          "<circle class=\"back\" cx=\"19\" cy=\"5\" r=\"3.5\"/></g></svg>fault strikes, until recovered</li></ul>\n",
          out);
}

static void put_caption(FILE *out, const struct timeline *timeline)
{
    const struct run_record *record = timeline->record;

    fputs("<figcaption>Clients over time: from being asked for an update to the answer", out);
    if (timeline->num_clients < record->num_clients)
        fprintf(out, ". Shown are the %zu of %zu clients with the most faults, failures and refusals",
                timeline->num_clients, record->num_clients);
    fputs("</figcaption>\n", out);
}

static void put_svg(FILE *out, const struct timeline *timeline)
{
    int height = TOP + ROW * (int)timeline->num_rows + BOTTOM;

    fprintf(out,
            "<div class=\"wide\"><svg class=\"timeline\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" "
            "aria-labelledby=\"timeline-t timeline-d\">"
            "<title id=\"timeline-t\">Clients over time</title><desc id=\"timeline-d\">A row a client, a bar for each "
            "request for an update; the table of clients has the numbers.</desc>\n",
            WIDTH, height, WIDTH, height);
    put_round_lines(out, timeline);
    for (size_t i = 0; i < timeline->num_rows; i++)
        put_row(out, timeline, i);
    put_axis(out, timeline);
    fputs("</svg></div>\n", out);
}

int timeline_write(FILE *out, const struct run_record *record)
{
    struct timeline timeline = {.record = record, .end_s = record->end_s > 0 ? record->end_s : 1};
    const struct run_span **spans = NULL;
    int status = choose_rows(&timeline);

    if (status == OK)
        status = deal_spans(&timeline, &spans);
    if (status == OK && timeline.num_rows > 0) {
        fputs("<figure class=\"full\">", out);
        put_caption(out, &timeline);
        put_key(out);
        put_svg(out, &timeline);
        fputs("</figure>\n", out);
    } else if (status == OK) {
        fputs("<p class=\"none\">events.jsonl tells of no client.</p>\n", out);
    }
    free(spans);
    return status;
}
