/* Benchmarks: clients without a current figure for the benchmark model time a few mini-batches of it, once a session.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "leader/session_internal.h"

static const struct model_files *bench_files(const struct session *session)
{
    return session->setup->bench_model.n ? &session->setup->bench_model : &session->setup->model;
}

static const char *bench_dataset(const struct session *session)
{
    const char *dataset = session->setup->config.benchmark_config.dataset;

    return dataset && *dataset ? dataset : session_dataset(session);
}

const struct bench_advert *session_bench_figure(const struct session *session, const struct roster_client *client)
{
    const struct model_files *files = bench_files(session);
    const struct bench_advert *row = roster_benchmark(client, files->id);

    return row && strcmp(row->model_hash, files->hash) == 0 && row->num_mini_batches > 0 ? row : NULL;
}

void session_bench_restore(const struct session *session, struct roster_client *client, int64_t num_mini_batches,
                           double time_s)
{
    const struct model_files *files = bench_files(session);

    if (!session_bench_figure(session, client))
        roster_learn_benchmark(client, files->id, files->hash, num_mini_batches, time_s);
}

size_t session_bench_start(struct session *session)
{
    if (!session->setup->benchmark)
        return 0;
    for (size_t i = 0; i < roster_size(session->env.roster); i++) {
        struct roster_client *client = roster_at(session->env.roster, i);
        struct client_tally *tally;
        struct session_job *job;

        if (client->busy || roster_obstacle(client, bench_dataset(session)) ||
            roster_trainable(client, bench_dataset(session)) == 0)
            continue;
        tally = session_tally(session, client);
        if (!tally || tally->benchmark_tried || session_bench_figure(session, client))
            continue;
        tally->benchmark_tried = tally->changed = true;
        job = session_job_new(session, JOB_BENCHMARK, client);
        if (job)
            session->benchmarking++;
    }
    /* Begun only now, so that one that fails at once does not end the benchmark of all. */
    for (struct session_job *job = session->jobs, *next; job; job = next) {
        next = job->next;
        if (job->kind == JOB_BENCHMARK && job->state == JOB_SELECTED)
            session_job_begin(job);
    }
    return session->benchmarking;
}

int session_bench_send(struct session_job *job, struct client_link *link, struct error *err)
{
    struct session *session = job->session;
    const struct session_config *config = &session->setup->config;
    const struct session_setup *setup = session->setup;
    int slots = session->env.host && session->env.host->slots > 0 ? session->env.host->slots : 0;
    double limit_s = config->benchmark_config.timeout_duration_s;
    size_t turns = slots ? (session->benchmarking + (size_t)slots - 1) / (size_t)slots : 1;
    double timeout_s = session->env.config->comm_config.grpc.timeout_s;
    const char *class = config->benchmark_config.model_class;
    struct bench_request request = {
        .model_id = job->files->id,
        .model_class = class ? class : "",
        .dataset_id = bench_dataset(session),
        .model_config = span_of(setup->model_config_json, strlen(setup->model_config_json)),
        .batch_size = (int32_t)config->benchmark_config.batch_size,
        .learning_rate = (float)config->benchmark_config.learning_rate,
        .optimizer = span_of(setup->optimizer_json, strlen(setup->optimizer_json)),
        .loss_function = span_of(setup->loss_json, strlen(setup->loss_json)),
    };
    int status;

    if (config->benchmark_config.bench_minibatch_count > 0) {
        request.limit.kind = LIMIT_MINI_BATCHES;
        request.limit.max_mini_batch_count = (int32_t)config->benchmark_config.bench_minibatch_count;
    } else {
        request.limit.kind = LIMIT_TIMEOUT;
        request.limit.timeout_duration_s = (float)limit_s;
        if (limit_s > 0 && limit_s * (double)turns + 10 < timeout_s)
            timeout_s = limit_s * (double)turns + 10;
    }
    status = link->ops->benchmark(link, &request, timeout_s, session_link_answered, job);
    return status == OK ? OK : FAIL(err, status, "the benchmark request could not be sent");
}

static void take_figure(struct session_job *job)
{
    struct session *session = job->session;
    struct bench_response response;
    struct error err = ERROR_INIT;

    if (edge_decode_bench_response(job->body, &response, &err) != OK) {
        log_write(session->env.log, LOG_WARN, "session", "benchmark refused: %s client=%s", err.message,
                  job->client->id);
        return;
    }
    if (response.num_mini_batches > 0 && response.bench_duration_s > 0 && isfinite(response.bench_duration_s)) {
        roster_learn_benchmark(job->client, job->files->id, job->files->hash, response.num_mini_batches,
                               (double)response.bench_duration_s);
        session_emit(session, "benchmarked",
                     json_pack("{s:s, s:f}", "client", job->client->id, "seconds_per_batch",
                               (double)response.bench_duration_s / response.num_mini_batches));
    }
    edge_arena_free(response.arena);
}

void session_bench_done(struct session_job *job)
{
    struct session *session = job->session;

    if (job->error.status == OK)
        take_figure(job);
    else
        log_write(session->env.log, LOG_WARN, "session", "no benchmark: %s client=%s", job->error.message,
                  job->client->id);
    job->client->busy = false;
    job->session = NULL;
    if (!job->answer_due)
        session_job_free(job);
    if (--session->benchmarking == 0 || session->version > 0)
        session_ask(session);
}
