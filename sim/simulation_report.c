#include "sim/simulation_report.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* Expectations that failed are said even with --quiet. */
static size_t judge_all(struct simulation *s, const struct run_metrics *metrics, struct verdict *verdicts)
{
    size_t failed = 0;
    char text[256];

    for (size_t i = 0; i < s->scenario.num_expectations; i++) {
        verdicts[i] = expectation_judge(&s->scenario.expectations[i], metrics);
        verdict_text(&verdicts[i], text, sizeof text);
        if (verdicts[i].held)
            progress_say(&s->progress, "PASS  %s", text);
        else if (s->options->quiet)
            fprintf(stderr, "FAIL  %s\n", text);
        else
            progress_say(&s->progress, "FAIL  %s", text);
        failed += !verdicts[i].held;
    }
    return failed;
}

static void write_junit(struct simulation *s, const struct run_metrics *metrics, const struct verdict *verdicts,
                        const struct error *run)
{
    struct error err = ERROR_INIT;
    char *path = run_folder_file(&s->folder, "junit.xml");

    if (path &&
        junit_write(path, s->scenario.keys.name, verdicts, s->scenario.num_expectations, run, metrics->wall_s, &err))
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
        fprintf(stderr, "flosim: to repeat this run: flosim %s/scenario.resolved.yaml\n", s->folder.path);
}

int simulation_report_end(struct simulation *s, const struct error *run)
{
    struct run_metrics metrics;
    struct error outcome = *run;
    struct verdict *verdicts = calloc(s->scenario.num_expectations + 1, sizeof *verdicts);
    size_t failed = 0;

    if (!verdicts)
        return status_exit_code(ERR_MEMORY);
    simulation_metrics(s, &metrics);
    if (outcome.status == OK)
        check_ledger(&metrics, &outcome);
    say_figures(s, &metrics);
    failed = judge_all(s, &metrics, verdicts);
    write_junit(s, &metrics, verdicts, &outcome);
    fs_remove_tree(s->folder.temp, NULL);
    progress_say(&s->progress, "run folder: %s", s->folder.path);
    if (outcome.status != OK)
        fprintf(stderr, "flosim: %s\n", outcome.message);
    int code = exit_code(&outcome, failed);
    event_log_write(&s->events, "run-ended",
                    json_pack("{s:i, s:I}", "exit_code", code, "expectations_failed", (json_int_t)failed));
    say_repeat(s, code);
    free(verdicts);
    return code;
}
