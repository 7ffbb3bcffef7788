#include "sim/simulation_report.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/run_page.h"
#include "sim/simulation_internal.h"
#include "util/fs.h"

void simulation_report_begin(struct simulation *s)
{
    const struct scenario *scenario = &s->scenario;

    progress_say(&s->progress, "%s: %zu clients, %" PRId64 " slots, %s %s, seed %" PRId64, scenario->keys.name,
                 s->num_clients, scenario->keys.slots, scenario->data.keys->source, scenario->data.scheme->name,
                 scenario->keys.seed);
}

static const char *figure(const char *name, const struct run_metrics *metrics, char text[64])
{
    const struct metric *metric = metric_find(name);

    metric_text(metric, metric_value(metric, metrics), text, 64);
    return text;
}

/* What the global model is worth, in the figures that mean something for it. */
static const char *quality(const struct run_metrics *metrics, char text[160])
{
    char a[64], b[64];

    if (isfinite(metrics->mae))
        snprintf(text, 160, "mae %s, mse %s", figure("mae", metrics, a), figure("mse", metrics, b));
    else if (isfinite(metrics->perplexity))
        snprintf(text, 160, "perplexity %s, accuracy %s", figure("perplexity", metrics, a),
                 figure("accuracy", metrics, b));
    else
        snprintf(text, 160, "accuracy %s (best %s)", figure("accuracy", metrics, a),
                 figure("best_accuracy", metrics, b));
    return text;
}

static void say_figures(struct simulation *s, const struct run_metrics *metrics)
{
    const char *reason = shared_leader(s->shared)->reason;
    char a[64], b[64], c[160];

    if (*reason)
        progress_say(&s->progress, "the session is over: %s", reason);
    progress_say(&s->progress, "%.0f rounds in %s (median %s), %s", metrics->rounds, figure("wall_s", metrics, a),
                 figure("round_s_p50", metrics, b), quality(metrics, c));
    progress_say(
        &s->progress,
        "updates: %.0f sent = %.0f merged + %.0f refused + %.0f failed + %.0f dropped; %.0f lost round(s), %.0f "
        "client(s) failed",
        metrics->updates_sent, metrics->updates_merged, metrics->updates_refused, metrics->updates_failed,
        metrics->updates_dropped, metrics->lost_rounds, metrics->clients_failed);
    progress_say(&s->progress, "memory of a client (PSS): idle %s, training %s; of the leader (RSS): %s",
                 figure("pss_idle_mb", metrics, a), figure("pss_training_mb", metrics, b),
                 figure("leader_rss_mb", metrics, c));
}

/* Every request for an update ends in exactly one way, or something was lost or counted twice. */
static int check_ledger(const struct run_metrics *metrics, struct error *err)
{
    double ended =
        metrics->updates_merged + metrics->updates_refused + metrics->updates_failed + metrics->updates_dropped;

    if (metrics->updates_sent == ended)
        return OK;
    return FAIL(err, ERR_INTERNAL,
                "the ledger does not balance: %.0f updates asked for, but %.0f merged + %.0f refused "
                "+ %.0f failed + %.0f dropped",
                metrics->updates_sent, metrics->updates_merged, metrics->updates_refused, metrics->updates_failed,
                metrics->updates_dropped);
}

/* --- what must hold --- */

static bool is_asked_for(void *context, const char *event)
{
    const struct scenario *scenario = context;

    for (size_t i = 0; i < scenario->num_expectations; i++)
        if (expectation_asks_for(&scenario->expectations[i], event))
            return true;
    return false;
}

/* Where the file cannot be read, what is asked of it does not hold. */
static void read_history(struct simulation *s, struct run_history *out)
{
    char *path = run_folder_file(&s->folder, "events.jsonl");
    struct error err = ERROR_INIT;

    *out = (struct run_history){.session_began_s = NAN};
    if (path && expectations_need_history(s->scenario.expectations, s->scenario.num_expectations) &&
        run_history_read(path, is_asked_for, &s->scenario, out, &err))
        fprintf(stderr, "flosim: %s\n", err.message);
    free(path);
}

/* What failed is said even with --quiet. */
static void say_verdict(struct simulation *s, const struct verdict *verdict)
{
    char text[256];

    verdict_text(verdict, text, sizeof text);
    if (verdict->held)
        progress_say(&s->progress, "PASS  %s", text);
    else if (s->options->quiet)
        fprintf(stderr, "FAIL  %s\n", text);
    else
        progress_say(&s->progress, "FAIL  %s", text);
}

static size_t judge_all(struct simulation *s, const struct run_metrics *metrics, struct verdict *verdicts)
{
    struct run_history history;
    size_t failed = 0;

    read_history(s, &history);
    for (size_t i = 0; i < s->scenario.num_expectations; i++) {
        verdicts[i] = expectation_judge(&s->scenario.expectations[i], metrics, &history);
        say_verdict(s, &verdicts[i]);
        failed += !verdicts[i].held;
    }
    run_history_fini(&history);
    return failed;
}

/* --- a scenario that is there to fail --- */

static bool says(const struct simulation *s, const char *text)
{
    return !s->scenario.keys.fail_reason || strstr(text, s->scenario.keys.fail_reason);
}

static bool an_expectation_failed(const struct simulation *s, const struct verdict *verdicts)
{
    char text[256];

    for (size_t i = 0; i < s->scenario.num_expectations; i++) {
        verdict_text(&verdicts[i], text, sizeof text);
        if (!verdicts[i].held && says(s, text))
            return true;
    }
    return false;
}

/* One expectation about the whole: that it fails. */
static struct verdict judge_failure(const struct simulation *s, const struct verdict *verdicts, const struct error *run)
{
    static const struct expectation of_run = {.text = "the run to fail"},
                                    of_expectation = {.text = "an expectation to fail"};
    bool must_run = s->scenario.keys.must_fail == MUST_FAIL_THE_RUN;
    struct verdict out = {.expectation = must_run ? &of_run : &of_expectation};

    out.held =
        must_run ? run->status != OK && says(s, run->message) : run->status == OK && an_expectation_failed(s, verdicts);
    if (out.held)
        snprintf(out.found_text, sizeof out.found_text, "it did");
    else if (run->status == OK)
        snprintf(out.found_text, sizeof out.found_text, "%s", must_run ? "it went to its end" : "none that says so");
    else
        snprintf(out.found_text, sizeof out.found_text, "another reason");
    return out;
}

/* --- files, exit --- */

static void write_junit(struct simulation *s, const struct run_metrics *metrics, const struct verdict *verdicts,
                        size_t n, const struct error *run)
{
    struct error err = ERROR_INIT;
    char *path = run_folder_file(&s->folder, "junit.xml");

    if (path && junit_write(path, s->scenario.keys.name, verdicts, n, run, metrics->wall_s, &err))
        fprintf(stderr, "flosim: %s\n", err.message);
    free(path);
}

static int exit_code(const struct error *run, size_t failed)
{
    if (run->status == ERR_CANCELLED)
        return status_exit_code(ERR_CANCELLED);
    if (run->status != OK)
        return status_exit_code(ERR_UNAVAILABLE); /* processes ran, so it is no longer bad input */
    return failed > 0 ? status_exit_code(ERR_EXPECTATION) : 0;
}

static void say_repeat(const struct simulation *s, int code)
{
    if (code != 0 && code != status_exit_code(ERR_CANCELLED))
        fprintf(stderr, "flosim: to repeat this run: flosim %s/scenario.resolved.yaml\n", s->folder.shown);
}

/* Returns the exit code. */
static int conclude(struct simulation *s, const struct run_metrics *metrics, const struct verdict *verdicts,
                    size_t failed, const struct error *outcome)
{
    if (s->scenario.keys.must_fail == MUST_HOLD || outcome->status == ERR_CANCELLED) {
        write_junit(s, metrics, verdicts, s->scenario.num_expectations, outcome);
        return exit_code(outcome, failed);
    }
    struct verdict whole = judge_failure(s, verdicts, outcome);
    say_verdict(s, &whole);
    write_junit(s, metrics, &whole, 1, NULL);
    return whole.held ? 0 : status_exit_code(ERR_EXPECTATION);
}

/* --- the last event, and the report that is made from the folder --- */

static json_t *figures_of(const struct run_metrics *metrics)
{
    json_t *figures = json_object();
    char text[64];

    for (size_t i = 0; i < num_metrics; i++) {
        double value = metric_value(&metric_table[i], metrics);
        metric_text(&metric_table[i], value, text, sizeof text);
        if (isfinite(value))
            json_object_set_new(figures, metric_table[i].name, json_string(text));
    }
    return figures;
}

static json_t *verdicts_of(const struct verdict *verdicts, size_t n)
{
    json_t *list = json_array();
    char text[256];

    for (size_t i = 0; i < n; i++) {
        verdict_text(&verdicts[i], text, sizeof text);
        json_array_append_new(list, json_pack("{s:s, s:b}", "text", text, "held", verdicts[i].held));
    }
    return list;
}

static void tell_end(struct simulation *s, const struct run_metrics *metrics, const struct verdict *verdicts,
                     size_t failed, const struct error *outcome, int code)
{
    event_log_write(&s->events, "run-ended",
                    json_pack("{s:i, s:I, s:s, s:o, s:o}", "exit_code", code, "expectations_failed", (json_int_t)failed,
                              "error", outcome->status == OK ? "" : outcome->message, "expectations",
                              verdicts_of(verdicts, s->scenario.num_expectations), "figures", figures_of(metrics)));
}

/* A run is not worth less for want of its picture. */
static void write_page(struct simulation *s)
{
    struct error err = ERROR_INIT;

    if (run_page_write(s->folder.path, NULL, &err))
        fprintf(stderr, "flosim: no report.html: %s\n", err.message);
}

int simulation_report_end(struct simulation *s, const struct error *run)
{
    struct run_metrics metrics;
    struct error outcome = *run;
    struct verdict *verdicts = calloc(s->scenario.num_expectations + 1, sizeof *verdicts);

    if (!verdicts)
        return status_exit_code(ERR_MEMORY);
    s->backdoor_success = simulation_backdoor_success(s);
    simulation_metrics(s, &metrics);
    if (outcome.status == OK)
        check_ledger(&metrics, &outcome);
    say_figures(s, &metrics);
    size_t failed = judge_all(s, &metrics, verdicts);
    if (outcome.status != OK)
        fprintf(stderr, "flosim: %s\n", outcome.message);
    int code = conclude(s, &metrics, verdicts, failed, &outcome);
    fs_remove_tree(s->folder.temp, NULL);
    progress_say(&s->progress, "run folder: %s", s->folder.shown);
    tell_end(s, &metrics, verdicts, failed, &outcome, code);
    write_page(s);
    say_repeat(s, code);
    free(verdicts);
    return code;
}
