/* Model files go to clients whose advertised hash differs, one upload per file; then the job's own request. */
#include "leader/session_internal.h"

#include <string.h>

static void send_next(struct session_job *job);

static void file_answered(void *context, struct link_reply *reply)
{
    struct session_job *job = context;

    if (!job->session || job->state == JOB_ANSWERED || reply->error.status != OK) {
        session_link_answered(context, reply);
        return;
    }
    job->answer_due = false;
    job->bytes_down += reply->bytes_sent;
    job->next_file++;
    send_next(job);
}

static int send_file(struct session_job *job, struct client_link *link, struct error *err)
{
    const struct model_file *file = &job->files->files[job->next_file];
    double allowed_s = session_transfer_allowance_s(blob_size(file->data), job->session->num_jobs);
    double round_s = job->session->setup->config.session_config.round_deadline_s;
    double timeout_s = job->kind == JOB_TRAIN && round_s > 0 && round_s < allowed_s ? round_s : allowed_s;
    int status = link->ops->send_model(link, job->files->id, file->name, file->data, timeout_s, file_answered, job);

    return status == OK ? OK : FAIL(err, status, "the model file %s could not be sent", file->name);
}

static int send_request(struct session_job *job, struct client_link *link, struct error *err)
{
    switch (job->kind) {
    case JOB_TRAIN:
        return session_train_send(job, link, err);
    case JOB_VALIDATE:
        return session_validate_send(job, link, err);
    case JOB_BENCHMARK:
        break;
    }
    return session_bench_send(job, link, err);
}

static void fail_deferred(struct loop_event *event)
{
    struct session_job *job = CONTAINER_OF(event, struct session_job, failed);
    struct link_reply reply = {.error = job->failure};

    session_link_answered(job, &reply);
}

/* What fails on the spot is told like an answer, later: nothing that begins a job ever sees it end. */
static void fail_later(struct session_job *job, const struct error *err)
{
    job->failure = *err;
    job->failed.handle = fail_deferred;
    loop_post(job->session->env.loop, &job->failed);
}

static void send_next(struct session_job *job)
{
    struct error err = ERROR_INIT;
    struct client_link *link = roster_link(job->session->env.roster, job->client, &err);
    bool all_sent = job->next_file >= job->files->n;
    int status;

    job->answer_due = true;
    if (!link) {
        if (err.status == OK)
            FAIL(&err, ERR_UNAVAILABLE, "no link to the client");
        fail_later(job, &err);
        return;
    }
    if (all_sent)
        roster_learn_model(job->client, job->files->id, job->files->hash);
    status = all_sent ? send_request(job, link, &err) : send_file(job, link, &err);
    if (status != OK) {
        fail_later(job, &err);
        return;
    }
    if (!all_sent) {
        job->state = JOB_SENDING;
        return;
    }
    job->state = JOB_WORKING;
    if (job->kind == JOB_TRAIN)
        session_request_sent(job->session);
}

/* Simulated clients share this machine's memory, and each keeps the model that it was sent until it has its turn: large
 * models go out a few at a time. Deployed ones have memory of their own. */
static size_t most_at_once(const struct session *session)
{
    enum { EACH_SLOT = 4 };
    const double budget = 2.0 * 1024 * 1024 * 1024;
    const struct leader_host *host = session->env.host;
    size_t slots = host && host->slots > 0 ? (size_t)host->slots : 0;
    double n = budget / (double)(blob_size(session->image) + 1);

    if (!slots)
        return SIZE_MAX;
    return n > (double)(EACH_SLOT * slots) ? (size_t)n : EACH_SLOT * slots;
}

void session_begin_jobs(struct session *session)
{
    size_t most = most_at_once(session);
    struct session_job *next;

    for (struct session_job *job = session->jobs; job; job = next) {
        next = job->next;
        if (job->state != JOB_SELECTED || job->kind == JOB_BENCHMARK || job->begun)
            continue;
        if (job->kind == JOB_TRAIN && session->under_way >= most)
            continue;
        session_job_begin(job);
    }
}

void session_job_begin(struct session_job *job)
{
    const char *hash = roster_model_hash(job->client, job->files->id);

    if (hash && strcmp(hash, job->files->hash) == 0)
        job->next_file = job->files->n;
    job->begun = true;
    job->session->under_way += job->kind == JOB_TRAIN;
    if (session_answer_from_kept(job))
        session_request_sent(job->session);
    else
        send_next(job);
}
