/* The end of a session: what is under way is let go, the folder is written, and whoever waits is told. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "leader/session_internal.h"
#include "report/run_page.h"

/* The events tell of every update that was asked for, as the ledger counts it. */
static void note_let_go(const struct session_job *job)
{
    session_emit(job->session, "failure",
                 json_pack("{s:I, s:s, s:s, s:s, s:b}", "round", (json_int_t)job->base_version + 1, "client",
                           job->client->id, "kind", "failed", "reason", "the session was over before its answer came",
                           "session_over", true));
}

/* Counted as failed: it was asked for and did not come to anything. */
static void let_go(struct session_job *job)
{
    struct session *session = job->session;
    struct client_tally *tally = session_tally(session, job->client);

    if (job->kind == JOB_TRAIN) {
        note_let_go(job);
        session->ledger.failed++;
        session->training--;
        tally->failed++;
        tally->bytes_down += job->bytes_down;
    }
    job->client->busy = false;
    job->session = NULL;
    if (!job->answer_due)
        session_job_free(job);
}

static void let_all_go(struct session *session)
{
    while (session->jobs) {
        struct session_job *job = session->jobs;

        if (!session->abandoned)
            session_job_abort(job);
        session_job_leave(job);
        let_go(job);
    }
    while (session->answers) {
        struct session_job *job = session->answers;

        session->answers = job->next;
        let_go(job);
    }
    session->answers_tail = &session->answers;
}

/* ---- the folder ---- */

struct final_task {
    struct executor_task task;
    struct session *session;
    char *lines;
    struct error error;
};

static double known(double value)
{
    return value >= 0 ? value : 0;
}

/* A name is the client's own words: quoted, with quotes doubled and no line ends. */
static void put_name(const char *name, FILE *out)
{
    fputc('"', out);
    for (; *name; name++) {
        if (*name == '"')
            fputc('"', out);
        fputc((unsigned char)*name < ' ' ? ' ' : *name, out);
    }
    fputc('"', out);
}

/* A figure that is not known leaves its column empty. */
static void put_known(long long value, FILE *out)
{
    fputc(',', out);
    if (value > 0)
        fprintf(out, "%lld", value);
}

static void put_client(struct session *session, struct roster_client *client, FILE *out)
{
    const struct client_tally *tally = session_tally(session, client);

    if (!tally)
        return;
    put_name(client->id, out);
    fputc(',', out);
    put_name(client->advert.name, out);
    put_known(tally->latest.num_samples, out);
    fprintf(out, ",%lld,%lld,%lld,%lld,%.6f,%.6f,%zu,%zu", (long long)tally->selected, (long long)tally->merged,
            (long long)tally->refused, (long long)tally->failed, known(tally->latest.time_taken_s),
            known(tally->latest.measured_s), tally->bytes_down, tally->bytes_up);
    put_known(tally->pss_idle_kb, out);
    put_known(tally->pss_training_kb, out);
    for (size_t i = 0; i < NUM_REFUSALS; i++)
        fprintf(out, ",%lld", (long long)tally->refused_for[i]);
    fputc('\n', out);
}

static char *client_lines(struct session *session)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    for (size_t i = 0; i < roster_size(session->env.roster); i++)
        put_client(session, roster_at(session->env.roster, i), out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static void write_folder(struct executor_task *task)
{
    struct final_task *self = CONTAINER_OF(task, struct final_task, task);

    report_finish(&self->session->setup->report, self->lines ? self->lines : "", blob_span(self->session->image),
                  &self->error);
}

static json_t *lag_json(const struct session *session)
{
    struct loop_lag lag;

    loop_lag(session->env.loop, &lag);
    return json_pack("{s:I, s:f, s:f, s:f}", "samples", (json_int_t)lag.events, "p50_ms", lag.p50_ms, "p99_ms",
                     lag.p99_ms, "max_ms", lag.max_ms);
}

/* ---- report.html, where nobody else makes it: from the folder's files, after the last event ---- */

struct page_task {
    struct executor_task task;
    struct session *session;
    struct error error;
};

static void make_page(struct executor_task *task)
{
    struct page_task *self = CONTAINER_OF(task, struct page_task, task);

    run_page_write(self->session->setup->report.dir, NULL, &self->error);
}

static void page_made(struct executor_task *task)
{
    struct page_task *self = CONTAINER_OF(task, struct page_task, task);
    struct session *session = self->session;

    if (self->error.status != OK)
        log_write(session->env.log, LOG_WARN, "session", "no report.html: %s", self->error.message);
    free(self);
    session->over(session->over_context, session);
}

/* A simulator writes events after the session's end, and makes the report itself. */
static void write_page(struct session *session)
{
    const struct session_setup *setup = session->setup;
    bool wanted = setup->config.session_config.generate_plots && setup->report.dir && !session->abandoned &&
                  !(session->env.host && session->env.host->origin_ns);
    struct page_task *self = wanted ? calloc(1, sizeof *self) : NULL;

    if (!self) {
        session->over(session->over_context, session);
        return;
    }
    self->session = session;
    self->task.run = make_page;
    self->task.done = page_made;
    executor_submit(session->env.executor, &self->task);
}

static void finished(struct session *session)
{
    const struct session_ledger *ledger = &session->ledger;

    session->phase = PHASE_OVER;
    if (session->sampling)
        loop_sample_end(session->env.loop);
    roster_release(session->env.roster);
    session_emit(session, "session_finished",
                 json_pack("{s:s, s:s, s:s, s:I, s:I, s:o, s:f, s:o}", "session_id", session_id(session), "status",
                           session_status_text(session->status), "reason", session->reason, "rounds",
                           (json_int_t)session->version, "lost_rounds", (json_int_t)ledger->lost_rounds, "ledger",
                           session_ledger_json(ledger), "duration_s", session_elapsed_s(session), "loop_lag",
                           lag_json(session)));
    log_write(session->env.log, session->status == SESSION_FAILED ? LOG_WARN : LOG_INFO, "session",
              "session %s: %s rounds=%lld sent=%lld merged=%lld refused=%lld failed=%lld dropped=%lld session=%s",
              session_status_text(session->status), session->reason, (long long)session->version,
              (long long)ledger->sent, (long long)ledger->merged, (long long)ledger->refused, (long long)ledger->failed,
              (long long)ledger->dropped, session_id(session));
    write_page(session);
}

static void folder_written(struct executor_task *task)
{
    struct final_task *self = CONTAINER_OF(task, struct final_task, task);
    struct session *session = self->session;

    if (self->error.status != OK) {
        log_write(session->env.log, LOG_WARN, "session", "the run folder is not complete: %s", self->error.message);
        if (session->status == SESSION_FINISHED) {
            session->status = SESSION_FAILED;
            snprintf(session->reason, sizeof session->reason, "%.500s", self->error.message);
        }
    }
    free(self->lines);
    free(self);
    finished(session);
}

static void finish_folder(struct session *session)
{
    struct final_task *self = calloc(1, sizeof *self);

    session_take_back_merged(session, EVERY_COHORT); /* of a buffer that was not full, or a round broken off */
    if (!self || session->abandoned) {
        free(self);
        finished(session);
        return;
    }
    self->session = session;
    self->lines = client_lines(session);
    self->task.run = write_folder;
    self->task.done = folder_written;
    executor_submit(session->env.executor, &self->task);
}

static void finish(struct session *session)
{
    session->folder_begun = true;
    session_end_record(session, finish_folder);
}

/* ---- ending ---- */

void session_try_finish(struct session *session)
{
    if (session->phase == PHASE_ENDING && session->let_go && session->tasks == 0 && session->echoes_due == 0 &&
        !session->folder_begun)
        finish(session);
}

void session_task_done(struct session *session)
{
    session->tasks--;
    session_try_finish(session);
}

static void end_now(struct loop_event *event)
{
    struct session *session = CONTAINER_OF(event, struct session, end_event);

    roster_unlisten(session->env.roster, &session->listener);
    let_all_go(session);
    session->let_go = true;
    session_task_done(session); /* the task that session_end counted */
}

void session_end(struct session *session, enum session_status status, const char *format, ...)
{
    va_list args;

    if (session->phase >= PHASE_ENDING)
        return;
    session->phase = PHASE_ENDING;
    session->status = status;
    /* The reason may be among the arguments. */
    char reason[sizeof session->reason];
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    snprintf(session->reason, sizeof session->reason, "%s", reason);
    session->compute.broken_off = status == SESSION_STOPPED;
    session_hold_cancel(&session->control);
    session_hold_cancel(&session->training_hold);
    loop_timer_cancel(session->env.loop, &session->wait_timer);
    /* Later, so that whoever came here may go on with the session and its jobs as they are. */
    session->tasks++;
    session->end_event.handle = end_now;
    loop_post(session->env.loop, &session->end_event);
}
