#include "worker/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- on the compute thread ---- */

/* The loop does nothing with the first call until this thread has done with the job. */
static void drop_message(void *first_call)
{
    edge_call_drop_message(first_call);
}

static int run_training(struct job *job, struct error *err)
{
    const struct train_request *request = job->request.train;
    const struct request_bytes bytes = {drop_message, job->calls[0]};
    struct trained trained;
    int status = trainer_train(job->trainer, request, &bytes, &job->stop, &trained, err);

    if (status)
        return status;
    struct train_response response = {
        .model_id = request->model_id,
        .client_id = identity_id(job->identity),
        .round_idx = request->round_idx,
        .metrics = span_of(trained.metrics, strlen(trained.metrics)),
    };
    status = edge_encode_train_response(&response, blob_size(trained.weights), &job->answer.head, err);
    if (!status)
        job->answer.weights = blob_ref(trained.weights);
    trained_fini(&trained);
    if (status)
        return status;
    return trainer_offer_answer(job->trainer, request->round_idx, &job->stop, &job->answer.head, &job->answer.weights,
                                err);
}

static int run_validation(struct job *job, struct error *err)
{
    const struct validation_request *request = job->request.validate;
    const struct request_bytes bytes = {drop_message, job->calls[0]};
    char *metrics = NULL;
    int status = trainer_validate(job->trainer, request, &bytes, &job->stop, &metrics, err);

    if (status)
        return status;
    struct validation_response response = {
        .model_id = request->model_id,
        .client_id = identity_id(job->identity),
        .round_idx = request->round_idx,
        .metrics = span_of(metrics, strlen(metrics)),
    };
    status = edge_encode_validation_response(&response, &job->answer.head, err);
    free(metrics);
    return status;
}

/* For the next advert, and the next start. The leader gets its answer also where the disk is full. */
static void record_benchmark(struct job *job, const struct bench_result *result)
{
    struct bench_advert figures = {.num_mini_batches = result->num_mini_batches, .time_taken_s = result->duration_s};
    struct error error = ERROR_INIT;

    snprintf(figures.model_id, sizeof figures.model_id, "%s", job->request.bench->model_id);
    snprintf(figures.model_hash, sizeof figures.model_hash, "%s", result->model_hash);
    if (identity_record_benchmark(job->identity, &figures, &error))
        log_write(job->log, LOG_WARN, "service", "cannot keep benchmark figures: %s", error.message);
}

static int run_benchmark(struct job *job, struct error *err)
{
    const struct bench_request *request = job->request.bench;
    struct bench_result result;
    int status = trainer_benchmark(job->trainer, request, &job->stop, &result, err);

    if (status)
        return status;
    record_benchmark(job, &result);
    struct bench_response response = {
        .model_id = request->model_id,
        .num_mini_batches = result.num_mini_batches,
        .bench_duration_s = (float)result.duration_s,
    };
    return edge_encode_bench_response(&response, &job->answer.head, err);
}

static void run_job(struct executor_task *task)
{
    struct job *job = CONTAINER_OF(task, struct job, task);

    switch (job->method) {
    case EDGE_START_TRAINING:
        job->answer.error.status = run_training(job, &job->answer.error);
        break;
    case EDGE_START_VALIDATION:
        job->answer.error.status = run_validation(job, &job->answer.error);
        break;
    default:
        job->answer.error.status = run_benchmark(job, &job->answer.error);
        break;
    }
}

/* ---- on the loop's thread ---- */

static void job_done(struct executor_task *task)
{
    struct job *job = CONTAINER_OF(task, struct job, task);

    if (!task->was_run)
        FAIL(&job->answer.error, ERR_CANCELLED, "the worker is leaving");
    else if (job->answer.error.status == ERR_CANCELLED && job->stop_reason)
        FAIL(&job->answer.error, ERR_CANCELLED, "%s", job->stop_reason);
    job->over(job);
}

int job_new(struct job **out, enum edge_method method, struct edge_call *call, const void *request, struct error *err)
{
    struct job *job = calloc(1, sizeof *job);

    *out = NULL;
    if (!job)
        return FAIL(err, ERR_MEMORY, "out of memory for a request");
    int status = stopper_init(&job->stop, err);
    if (status) {
        free(job);
        return status;
    }
    job->method = method;
    job->request.train = request;
    job->calls[job->num_calls++] = call;
    job->task.run = run_job;
    job->task.done = job_done;
    *out = job;
    return OK;
}

void job_free(struct job *job)
{
    if (!job)
        return;
    answer_fini(&job->answer);
    stopper_fini(&job->stop);
    free(job);
}

/* Joined calls that nobody waits for make room; the first one carries the request and stays. */
static void drop_dead_joiners(struct job *job)
{
    const struct error gone = {.status = ERR_CANCELLED, .message = "the caller has gone"};
    size_t kept = 1;

    for (size_t i = 1; i < job->num_calls; i++) {
        if (edge_call_is_cancelled(job->calls[i]))
            edge_call_fail(job->calls[i], &gone);
        else
            job->calls[kept++] = job->calls[i];
    }
    job->num_calls = kept;
}

int job_join(struct job *job, struct edge_call *call, struct error *err)
{
    drop_dead_joiners(job);
    if (job->num_calls >= JOB_MAX_CALLS)
        return FAIL(err, ERR_TOO_LARGE, "%d identical calls wait for this training already", JOB_MAX_CALLS);
    edge_call_drop_message(call);
    job->calls[job->num_calls++] = call;
    job->lost_since_ns = 0;
    return OK;
}

void job_stop(struct job *job, const char *reason)
{
    if (job->stop_reason)
        return;
    job->stop_reason = reason;
    stopper_raise(&job->stop);
}

bool job_is_lost(const struct job *job)
{
    for (size_t i = 0; i < job->num_calls; i++)
        if (!edge_call_is_cancelled(job->calls[i]))
            return false;
    return true;
}

void job_answer_calls(struct job *job)
{
    for (size_t i = job->num_calls; i-- > 0;)
        answer_send(&job->answer, job->calls[i]);
    job->num_calls = 0;
}
