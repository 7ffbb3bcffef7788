/* The life of one client's work: from selection through model files and request to its answer, which always comes. */
#include <stdlib.h>
#include <string.h>

#include "leader/session_internal.h"

struct session_job *session_job_new(struct session *session, enum job_kind kind, struct roster_client *client)
{
    struct session_job *job = calloc(1, sizeof *job);

    if (!job)
        return NULL;
    job->session = session;
    job->kind = kind;
    job->client = client;
    job->files =
        kind == JOB_BENCHMARK && session->setup->bench_model.n ? &session->setup->bench_model : &session->setup->model;
    job->base_version = session->version;
    job->attempt = session->attempt;
    job_figures_clear(&job->figures);
    job->next = session->jobs;
    if (job->next)
        job->next->previous = job;
    session->jobs = job;
    session->num_jobs++;
    client->busy = true;
    return job;
}

void session_job_leave(struct session_job *job)
{
    if (job->previous)
        job->previous->next = job->next;
    else
        job->session->jobs = job->next;
    if (job->next)
        job->next->previous = job->previous;
    job->next = job->previous = NULL;
    job->session->num_jobs--;
}

void session_job_free(struct session_job *job)
{
    if (job->release_credit)
        job->release_credit(job->credit_owner);
    blob_unref(job->storage);
    session_model_fini(&job->model);
    state_batch_free(job->kept);
    blob_unref(job->kept_body);
    blob_unref(job->extras.correction);
    blob_unref(job->base_image);
    free(job);
}

/* ---- the answer ---- */

/* The request counts as sent or never to be sent: either way nobody waits for its dispatch any more. */
static void count_dispatched(struct session_job *job)
{
    if (job->kind == JOB_TRAIN && job->state < JOB_WORKING) {
        job->state = JOB_WORKING;
        session_request_sent(job->session);
    }
}

static void queue_answer(struct session_job *job)
{
    struct session *session = job->session;

    count_dispatched(job);
    session_job_leave(job);
    if (job->begun && job->kind == JOB_TRAIN) {
        session->under_way--;
        if (session->dispatching > 0 && session->phase == PHASE_RUNNING && !session->control.name)
            session_begin_jobs(session);
    }
    job->state = JOB_ANSWERED;
    if (job->kind == JOB_BENCHMARK) {
        session_bench_done(job);
        return;
    }
    *session->answers_tail = job;
    session->answers_tail = &job->next;
    session_drain(session);
}

void session_job_fail(struct session_job *job, const struct error *err)
{
    job->error = *err;
    if (job->error.status == OK)
        job->error.status = ERR_INTERNAL;
    queue_answer(job);
}

void session_job_answered(struct session_job *job, struct link_reply *reply)
{
    job->elapsed_s = reply->elapsed_s;
    job->bytes_down += reply->bytes_sent;
    job->bytes_up += reply->bytes_received;
    job->storage = blob_ref(reply->storage);
    job->body = reply->body;
    if (reply->keep_credit) {
        reply->keep_credit(reply);
        job->release_credit = reply->release_credit;
        job->credit_owner = reply->credit_owner;
    }
    queue_answer(job);
}

/* Answers go to the compute thread in the order in which they came; none while an observer holds the training. */
void session_drain(struct session *session)
{
    while (!session->training_hold.name && session->answers) {
        struct session_job *job = session->answers;

        session->answers = job->next;
        if (!session->answers)
            session->answers_tail = &session->answers;
        job->next = NULL;
        if (job->kind == JOB_TRAIN) {
            session->outstanding--;
            session->cohort_outstanding[job->cohort]--;
        }
        job->outstanding_after = session->outstanding;
        job->cohort_outstanding_after = session->cohort_outstanding[job->cohort];
        session_merge(job);
    }
}

static void ignore(void *context, struct link_reply *reply)
{
    (void)context;
    (void)reply;
}

void session_job_abort(struct session_job *job)
{
    struct session *session = job->session;
    struct abort_request request = {
        .session_id = session->setup->session_id,
        .round_idx = (int32_t)job->base_version,
        .leader_term = session->env.leader_term,
    };

    if (job->state == JOB_WORKING && job->client->link && job->kind != JOB_BENCHMARK)
        job->client->link->ops->abort(job->client->link, &request, ignore, NULL);
}

/* Did the request fail because nobody is there? (A deadline is the client's slowness, not its absence.) */
static bool is_out_of_contact(int status)
{
    return status == ERR_UNAVAILABLE || status == ERR_SETUP;
}

void session_link_answered(void *context, struct link_reply *reply)
{
    struct session_job *job = context;
    struct session *session = job->session;

    job->answer_due = false;
    if (!session) {
        session_job_free(job);
        return;
    }
    if (job->state == JOB_ANSWERED)
        return; /* given up before; the answer comes too late and is dropped. Freed by its merge. */
    if (reply->error.status == OK) {
        roster_note_term(session->env.roster, job->client, false);
        session_job_answered(job, reply);
        return;
    }
    if (reply->error.status == ERR_PRECONDITION && strstr(reply->error.message, EDGE_TERM_REFUSED))
        roster_note_term(session->env.roster, job->client, true);
    job->bytes_down += reply->bytes_sent;
    /* Losing contact fails every job of the client, this one too. */
    if (is_out_of_contact(reply->error.status) && job->client->active) {
        roster_lost_contact(session->env.roster, job->client, reply->error.message);
        return;
    }
    if (reply->error.status == ERR_DEADLINE)
        session_job_abort(job); /* else it would go on in case that the leader died */
    session_job_fail(job, &reply->error);
}

double session_transfer_allowance_s(size_t bytes, size_t clients)
{
    /* 5 s for everything that is not bytes; a client's own line at 1 MB/s at least, ours at 50 MB/s shared by all. */
    double each_s = 2 * (double)bytes / 1e6, all_s = 2 * (double)bytes * (double)clients / 50e6;

    return 5 + each_s + all_s;
}
