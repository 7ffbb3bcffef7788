/* The end of a round on the loop: what it was goes on record, and the next one begins, or the session ends. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "leader/session_internal.h"

struct round_summary {
    double train_loss, train_accuracy, modelled_s; /* negative: not known */
};

/* Sums in order of client ids, so that they do not depend on who answered first. */
static struct round_summary summarize(struct session *session)
{
    struct round_summary summary = {-1, -1, -1};
    double loss = 0, accuracy = 0, samples = 0, judged = 0;

    for (size_t i = 0; i < roster_size(session->env.roster); i++) {
        struct client_tally *tally = session_tally(session, roster_at(session->env.roster, i));
        double n;

        if (!tally || !tally->has_given)
            continue;
        tally->has_given = false;
        n = (double)tally->given.num_samples;
        if (tally->given.time_taken_s > summary.modelled_s)
            summary.modelled_s = tally->given.time_taken_s;
        if (tally->given.loss < 0)
            continue;
        loss += n * tally->given.loss;
        samples += n;
        if (tally->given.accuracy < 0)
            continue;
        accuracy += n * tally->given.accuracy;
        judged += n;
    }
    if (samples > 0) {
        summary.train_loss = loss / samples;
    }
    if (judged > 0)
        summary.train_accuracy = accuracy / judged;
    return summary;
}

/* JSON has no number that is not finite: null, never an absent key. */
static json_t *real_or_null(bool known, double value)
{
    return known && isfinite(value) ? json_real(value) : json_null();
}

static json_t *round_json(struct session *session, const struct finished_round *round,
                          const struct round_summary *summary)
{
    const struct round_counts *counts = &round->counts;
    const struct new_model *model = &round->model;
    struct loop_lag lag;
    json_t *json =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "round", (json_int_t)round->number, "selected",
                  (json_int_t)counts->selected, "merged", (json_int_t)counts->merged, "refused",
                  (json_int_t)counts->refused, "failed", (json_int_t)counts->failed, "dropped",
                  (json_int_t)counts->dropped, "clients_active", (json_int_t)roster_num_active(session->env.roster),
                  "bytes_down", (json_int_t)counts->bytes_down, "bytes_up", (json_int_t)counts->bytes_up);

    if (!json)
        return NULL;
    json_object_set_new(json, "accuracy", real_or_null(model->validated, model->figures.accuracy));
    json_object_set_new(json, "loss", real_or_null(model->validated, model->figures.loss));
    json_object_set_new(json, "perplexity", real_or_null(model->validated, model->figures.perplexity));
    json_object_set_new(json, "mae", real_or_null(model->validated, model->figures.mae));
    json_object_set_new(json, "mse", real_or_null(model->validated, model->figures.mse));
    json_object_set_new(json, "train_loss", real_or_null(summary->train_loss >= 0, summary->train_loss));
    json_object_set_new(json, "train_accuracy", real_or_null(summary->train_accuracy >= 0, summary->train_accuracy));
    json_object_set_new(json, "learning_rate", json_real(session_round_rate(session, round->number - 1)));
    json_object_set_new(json, "duration_s", json_real(session_seconds_since(session, counts->began_ns)));
    json_object_set_new(json, "modelled_s",
                        real_or_null(session->env.host && session->env.host->modelled_time && summary->modelled_s >= 0,
                                     summary->modelled_s));
    json_object_set_new(json, "validation_s", json_real(model->validation_s));
    json_object_set_new(json, "lost_before", json_integer((json_int_t)counts->lost_before));
    loop_lag(session->env.loop, &lag);
    json_object_set_new(json, "loop_lag_p99_ms", json_real(lag.p99_ms));
    return json;
}

/* ---- rounds.csv ---- */

enum { LINE_MAX_BYTES = 512 };

struct line_task {
    struct executor_task task;
    struct session *session;
    char line[LINE_MAX_BYTES];
    struct blob *old_model; /* given back here: hundreds of megabytes would hold up the loop */
    struct error error;
};

static void append_line(struct executor_task *task)
{
    struct line_task *self = CONTAINER_OF(task, struct line_task, task);

    blob_unref(self->old_model);
    self->old_model = NULL;
    report_round(&self->session->setup->report, self->line, &self->error);
}

static void line_done(struct executor_task *task)
{
    struct line_task *self = CONTAINER_OF(task, struct line_task, task);
    struct session *session = self->session;

    if (self->error.status != OK)
        log_write(session->env.log, LOG_WARN, "session", "%s", self->error.message);
    blob_unref(self->old_model);
    free(self);
    session_task_done(session);
}

static int put_value(char *at, size_t room, const json_t *json, const char *key)
{
    const json_t *value = json_object_get(json, key);

    if (json_is_integer(value))
        return snprintf(at, room, "%lld,", (long long)json_integer_value(value));
    if (json_is_real(value))
        return snprintf(at, room, "%.6g,", json_real_value(value));
    return snprintf(at, room, ",");
}

/* The line with its end, cut where it does not fit; returns its length. */
static size_t make_line(const json_t *json, char *line, size_t room)
{
    static const char *const keys[] = {
        "round",          "selected",       "merged",     "refused",    "failed",       "accuracy",      "loss",
        "train_loss",     "train_accuracy", "duration_s", "modelled_s", "validation_s", "bytes_down",    "bytes_up",
        "clients_active", "lost_before",    "perplexity", "mae",        "mse",          "learning_rate", "dropped"};
    size_t used = 0;

    for (size_t i = 0; i < sizeof keys / sizeof *keys && used < room; i++)
        used += (size_t)put_value(line + used, room - used, json, keys[i]);
    if (used < room)
        used += (size_t)snprintf(line + used, room - used, "%.3f\n",
                                 json_real_value(json_object_get(json, "loop_lag_p99_ms")));
    return used < room ? used : room - 1;
}

char *session_round_lines(json_t *const *rounds, size_t n)
{
    char *text = malloc(n * LINE_MAX_BYTES + 1);
    size_t used = 0;

    for (size_t i = 0; text && i < n; i++)
        used += make_line(rounds[i], text + used, LINE_MAX_BYTES);
    if (text)
        text[used] = '\0';
    return text;
}

/* Takes the old model. */
static void write_line(struct session *session, const json_t *json, struct blob *old_model)
{
    struct line_task *self = calloc(1, sizeof *self);

    if (!self) {
        blob_unref(old_model);
        return;
    }
    self->old_model = old_model;
    make_line(json, self->line, sizeof self->line);
    self->session = session;
    self->task.run = append_line;
    self->task.done = line_done;
    session->tasks++;
    executor_submit(session->env.executor, &self->task);
}

/* ---- the round ---- */

static void log_round(struct session *session, const struct finished_round *round)
{
    const struct round_counts *counts = &round->counts;
    const struct new_model *model = &round->model;
    const struct validation_figures *found = &model->figures;
    char figures[80] = "";

    if (model->validated && isfinite(found->mae))
        snprintf(figures, sizeof figures, " mae=%.4g mse=%.4g loss=%.4g", found->mae, found->mse, found->loss);
    else if (model->validated && isfinite(found->perplexity))
        snprintf(figures, sizeof figures, " perplexity=%.2f accuracy=%.2f", found->perplexity, found->accuracy);
    else if (model->validated)
        snprintf(figures, sizeof figures, " accuracy=%.2f loss=%.4f", found->accuracy, found->loss);
    log_write(session->env.log, LOG_INFO, "session",
              "round %lld of %lld%s merged=%lld refused=%lld failed=%lld time=%.2fs", (long long)session->version,
              (long long)session_num_rounds(session), figures, (long long)counts->merged, (long long)counts->refused,
              (long long)counts->failed, session_seconds_since(session, counts->began_ns));
}

static void next_counts(struct session *session)
{
    session->counts = (struct round_counts){.began_ns = session_now_ns(session)};
}

bool session_timed_out(const struct session *session)
{
    double limit_s = session->setup->config.server_training_config.global_timeout_duration_s;

    return limit_s > 0 && session_elapsed_s(session) > limit_s;
}

static void go_on(struct session *session)
{
    session_ask(session);
}

static void end_as_told(struct session *session)
{
    session_end(session, SESSION_FINISHED, "%s", session->reason);
}

static void updates_were_used(struct session *session, unsigned cohort)
{
    for (size_t i = 0; i < roster_size(session->env.roster); i++) {
        struct client_tally *tally = session_tally(session, roster_at(session->env.roster, i));

        if (!tally || !tally->unused || tally->unused_cohort != cohort)
            continue;
        tally->unused = 0;
        tally->changed = true;
    }
}

/* What a round was is on record when its model is there; the world hears of it when the state has it for sure. */
void session_round_finished(struct session *session, unsigned cohort, struct new_model *model)
{
    struct finished_round *round = calloc(1, sizeof *round);
    struct round_summary summary = summarize(session);

    updates_were_used(session, cohort);
    if (round) {
        *round = (struct finished_round){
            .session = session, .number = session->finished + 1, .model = *model, .counts = session->counts};
        round->metrics = round_json(session, round, &summary);
        *model = (struct new_model){0};
    }
    if (!round || !round->metrics) {
        session_model_fini(round ? &round->model : model);
        free(round);
        session_end(session, SESSION_FAILED, "no memory for the record of a round");
        return;
    }
    session->finished++;
    session->lost_in_a_row = 0;
    next_counts(session);
    session_commit_round(session, round);
}

void session_round_announce(struct session *session, struct finished_round *round)
{
    struct blob *old_model = session->image;
    bool stop = round->model.stop;

    session->image = round->model.image;
    round->model.image = NULL;
    session->version = round->number;
    session->attempt = 0;
    if (json_array_size(session->rounds) >= ROUNDS_SHOWN)
        json_array_remove(session->rounds, 0);
    json_array_append(session->rounds, round->metrics);
    write_line(session, round->metrics, old_model);
    session_emit(session, "round", json_incref(round->metrics));
    log_round(session, round);
    if (stop && session->phase == PHASE_RUNNING)
        snprintf(session->reason, sizeof session->reason, "%s", round->model.stop_reason);
    session_free_round(round);
    if (session->phase == PHASE_RUNNING)
        session_pass(&session->control, "leader.end", session->version - 1, stop ? end_as_told : go_on);
}

void session_round_lost(struct session *session, const char *why)
{
    if (session->phase != PHASE_RUNNING)
        return; /* the session's end took the round's clients away */
    session->ledger.lost_rounds++;
    session->counts.lost_before++;
    session->lost_in_a_row++;
    session_emit(session, "round_lost",
                 json_pack("{s:I, s:i, s:s}", "round", (json_int_t)session->version + 1, "in_a_row",
                           session->lost_in_a_row, "reason", why));
    log_write(session->env.log, LOG_WARN, "session", "%s; selecting anew round=%lld", why,
              (long long)session->version + 1);
    if (session->lost_in_a_row >= MAX_LOST_IN_A_ROW)
        session_end(session, SESSION_FAILED, "%s in %d selections of round %lld in a row", why, session->lost_in_a_row,
                    (long long)session->version + 1);
    else
        go_on(session);
}
