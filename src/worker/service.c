#include "worker/service.h"

#include <stdlib.h>
#include <string.h>

#include "worker/job.h"

enum { MAX_JOBS = 32 };

static const uint64_t look_for_lost_ns = 500000000;

struct service {
    struct service_options options;
    struct loop *loop;
    struct executor *executor;
    uint64_t highest_term;
    struct job *jobs; /* in the order submitted: the first is on the compute thread */
    size_t num_jobs;
    struct loop_timer lost_timer; /* set while there are jobs */

    bool keeps; /* the last training's answer, for an identical request */
    struct train_key kept_key;
    struct answer kept;
    struct loop_timer kept_timer;

    bool closing;
    void (*closed)(void *context);
    void *closed_context;
};

/* ---- jobs ---- */

static void drop_kept(struct service *service)
{
    if (service->keeps)
        answer_fini(&service->kept);
    service->keeps = false;
    loop_timer_cancel(service->loop, &service->kept_timer);
}

static void kept_expired(struct loop_timer *timer)
{
    drop_kept(CONTAINER_OF(timer, struct service, kept_timer));
}

static void keep_answer(struct service *service, const struct job *job)
{
    double grace_s = service->options.orphan_grace_s;

    drop_kept(service);
    if (job->answer.error.status || !(grace_s > 0) || service->closing)
        return;
    if (loop_timer_set(service->loop, &service->kept_timer, (uint64_t)(grace_s * 1e9), NULL))
        return;
    service->keeps = true;
    service->kept_key = job->key;
    service->kept = answer_share(&job->answer);
}

static void unlink_job(struct service *service, struct job *job)
{
    struct job **at = &service->jobs;

    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    service->num_jobs--;
}

static const char *event_of(const struct job *job)
{
    if (job->answer.error.status)
        return "failed";
    switch (job->method) {
    case EDGE_START_TRAINING:
        return "trained";
    case EDGE_START_VALIDATION:
        return "validated";
    default:
        return "benchmarked";
    }
}

static void log_over(const struct service *service, const struct job *job)
{
    int status = job->answer.error.status;

    if (status)
        log_write(service->options.log, status == ERR_CANCELLED ? LOG_INFO : LOG_WARN, "service", "%s: %s",
                  edge_method_path(job->method), job->answer.error.message);
    else if (job->method == EDGE_START_TRAINING)
        log_write(service->options.log, LOG_INFO, "service", "trained session=%s round=%d", job->key.session_id,
                  (int)job->key.round_idx + 1);
    else
        log_write(service->options.log, LOG_DEBUG, "service", "answered %s", edge_method_path(job->method));
}

static void job_over(struct job *job)
{
    struct service *service = job->owner;
    const char *event = event_of(job);

    unlink_job(service, job);
    log_over(service, job);
    if (job->method == EDGE_START_TRAINING && !job->stop_reason)
        keep_answer(service, job);
    job_answer_calls(job);
    job_free(job);
    service->options.observe(service->options.context, event);
    if (!service->jobs)
        loop_timer_cancel(service->loop, &service->lost_timer);
    if (!service->jobs && service->closing)
        service->closed(service->closed_context);
}

static void submit(struct service *service, struct job *job)
{
    struct job **at = &service->jobs;

    while (*at)
        at = &(*at)->next;
    *at = job;
    if (service->num_jobs++ == 0)
        loop_timer_set(service->loop, &service->lost_timer, look_for_lost_ns, NULL);
    job->trainer = service->options.trainer;
    job->identity = service->options.identity;
    job->log = service->options.log;
    job->over = job_over;
    job->owner = service;
    executor_submit(service->executor, &job->task);
}

/* Only a training is worth going on with when nobody waits: its leader may come back for it. */
static void check_lost(struct service *service, struct job *job, uint64_t now_ns)
{
    if (!job_is_lost(job)) {
        job->lost_since_ns = 0;
        return;
    }
    if (!job->lost_since_ns)
        job->lost_since_ns = now_ns;
    if (job->method != EDGE_START_TRAINING)
        job_stop(job, "the caller has gone");
    else if ((double)(now_ns - job->lost_since_ns) >= service->options.orphan_grace_s * 1e9)
        job_stop(job, "nobody waits for this training any more");
}

static void look_for_lost(struct loop_timer *timer)
{
    struct service *service = CONTAINER_OF(timer, struct service, lost_timer);
    uint64_t now_ns = clock_now_ns(loop_clock(service->loop));

    for (struct job *job = service->jobs; job; job = job->next)
        check_lost(service, job, now_ns);
    loop_timer_set(service->loop, timer, look_for_lost_ns, NULL);
}

/* ---- requests, on the loop ---- */

static int admit(struct service *service, uint64_t leader_term, struct error *err)
{
    if (service->closing)
        return FAIL(err, ERR_UNAVAILABLE, "the worker is leaving");
    if (leader_term && leader_term < service->highest_term)
        return FAIL(err, ERR_PRECONDITION, EDGE_TERM_REFUSED " %llu is over: a leader of term %llu has taken its place",
                    (unsigned long long)leader_term, (unsigned long long)service->highest_term);
    service_note_term(service, leader_term);
    return OK;
}

/* Returns with the call in a job, or an error. */
static int take(struct service *service, enum edge_method method, struct edge_call *call, const void *request,
                const struct train_key *key, struct error *err)
{
    struct job *job;

    if (service->num_jobs >= MAX_JOBS)
        return FAIL(err, ERR_TOO_LARGE, "%d requests are waiting already", MAX_JOBS);
    int status = job_new(&job, method, call, request, err);
    if (status)
        return status;
    if (key)
        job->key = *key;
    submit(service, job);
    return OK;
}

static struct job *find_training(const struct service *service, const struct train_key *key)
{
    for (struct job *job = service->jobs; job; job = job->next)
        if (job->method == EDGE_START_TRAINING && !job->stop_reason && train_key_equal(&job->key, key))
            return job;
    return NULL;
}

static void stop_trainings(struct service *service, const char *reason)
{
    for (struct job *job = service->jobs; job; job = job->next)
        if (job->method == EDGE_START_TRAINING)
            job_stop(job, reason);
}

static int start_training(struct service *service, struct edge_call *call, const struct train_request *request,
                          struct error *err)
{
    struct train_key key;
    int status = admit(service, request->leader_term, err);

    if (!status)
        status = train_key_make(&key, request, err);
    if (status)
        return status;
    if (service->keeps && train_key_equal(&service->kept_key, &key)) {
        answer_send(&service->kept, call);
        return OK;
    }
    struct job *same = find_training(service, &key);
    if (same)
        return job_join(same, call, err);
    stop_trainings(service, "a newer training was asked for");
    drop_kept(service);
    status = take(service, EDGE_START_TRAINING, call, request, &key, err);
    if (!status)
        service->options.observe(service->options.context, "training");
    return status;
}

static bool concerns(const struct job *job, const struct abort_request *request)
{
    if (job->method == EDGE_START_TRAINING)
        return job->key.round_idx == request->round_idx && strcmp(job->key.session_id, request->session_id) == 0;
    return job->method == EDGE_START_VALIDATION && job->request.validate->round_idx == request->round_idx &&
           strcmp(job->request.validate->session_id, request->session_id) == 0;
}

static void drop_kept_of(struct service *service, const struct abort_request *request)
{
    if (service->keeps && service->kept_key.round_idx == request->round_idx &&
        strcmp(service->kept_key.session_id, request->session_id) == 0)
        drop_kept(service);
}

static bool stop_work(struct service *service, const struct abort_request *request)
{
    bool stopped = false;

    for (struct job *job = service->jobs; job; job = job->next) {
        if (!concerns(job, request))
            continue;
        job_stop(job, "the leader aborted it");
        stopped = true;
    }
    return stopped;
}

/* The answer was not good enough; by now the same round may be asked for again, so nothing is stopped. */
static void note_refusal(const struct service *service, const struct abort_request *request)
{
    log_write(service->options.log, LOG_WARN, "service", "the leader refused our update: %.300s session=%s round=%lld",
              request->reason, request->session_id, (long long)request->round_idx + 1);
}

static int abort_work(struct service *service, struct edge_call *call, const struct abort_request *request,
                      struct error *err)
{
    struct blob *head = NULL;
    const char *text = "noted";
    int status = admit(service, request->leader_term, err);

    if (status)
        return status;
    if (*request->reason)
        note_refusal(service, request);
    else
        text = stop_work(service, request) ? "stopped" : "nothing of that session and round is in hand";
    drop_kept_of(service, request);
    status = edge_encode_text(text, &head, err);
    if (!status)
        edge_call_reply(call, head, NULL);
    return status;
}

static int start_validation(struct service *service, struct edge_call *call, const struct validation_request *request,
                            struct error *err)
{
    int status = admit(service, request->leader_term, err);

    return status ? status : take(service, EDGE_START_VALIDATION, call, request, NULL, err);
}

static int start_benchmark(struct service *service, struct edge_call *call, const struct bench_request *request,
                           struct error *err)
{
    int status = admit(service, 0, err);

    return status ? status : take(service, EDGE_INIT_BENCH, call, request, NULL, err);
}

/* ---- requests, as they come in ---- */

struct arrival {
    struct loop_event event;
    struct service *service;
    enum edge_method method;
    struct edge_call *call;
    const void *request;
};

static int dispatch(const struct arrival *arrival, struct error *err)
{
    switch (arrival->method) {
    case EDGE_INIT_BENCH:
        return start_benchmark(arrival->service, arrival->call, arrival->request, err);
    case EDGE_START_TRAINING:
        return start_training(arrival->service, arrival->call, arrival->request, err);
    case EDGE_START_VALIDATION:
        return start_validation(arrival->service, arrival->call, arrival->request, err);
    default:
        return abort_work(arrival->service, arrival->call, arrival->request, err);
    }
}

static void handle_arrival(struct loop_event *event)
{
    struct arrival *arrival = CONTAINER_OF(event, struct arrival, event);
    struct error error = ERROR_INIT;

    if (dispatch(arrival, &error)) {
        log_write(arrival->service->options.log, LOG_WARN, "service", "refused %s: %s",
                  edge_method_path(arrival->method), error.message);
        edge_call_fail(arrival->call, &error);
    }
    free(arrival);
}

static void arrive(struct service *service, enum edge_method method, struct edge_call *call, const void *request)
{
    struct arrival *arrival = malloc(sizeof *arrival);
    struct error error = ERROR_INIT;

    if (!arrival) {
        FAIL(&error, ERR_MEMORY, "out of memory for a request");
        edge_call_fail(call, &error);
        return;
    }
    *arrival = (struct arrival){{.handle = handle_arrival}, service, method, call, request};
    if (inbox_post(service->options.inbox, &arrival->event))
        return;
    free(arrival);
    FAIL(&error, ERR_UNAVAILABLE, "the worker is leaving");
    edge_call_fail(call, &error);
}

void service_bench(void *service, struct edge_call *call, const struct bench_request *request)
{
    arrive(service, EDGE_INIT_BENCH, call, request);
}

void service_train(void *service, struct edge_call *call, const struct train_request *request)
{
    arrive(service, EDGE_START_TRAINING, call, request);
}

void service_validate(void *service, struct edge_call *call, const struct validation_request *request)
{
    arrive(service, EDGE_START_VALIDATION, call, request);
}

void service_abort(void *service, struct edge_call *call, const struct abort_request *request)
{
    arrive(service, EDGE_ABORT, call, request);
}

/* ---- life ---- */

int service_new(struct service **out, const struct service_options *options, struct error *err)
{
    struct service *service = calloc(1, sizeof *service);

    *out = NULL;
    if (!service)
        return FAIL(err, ERR_MEMORY, "out of memory for a worker");
    service->options = *options;
    service->loop = options->inbox->loop;
    loop_timer_init(&service->lost_timer, look_for_lost);
    loop_timer_init(&service->kept_timer, kept_expired);
    int status = executor_new(&service->executor, service->loop, "compute", err);
    if (status)
        free(service);
    else
        *out = service;
    return status;
}

void service_note_term(struct service *service, uint64_t leader_term)
{
    if (leader_term > service->highest_term)
        service->highest_term = leader_term;
}

static void stop_all(struct service *service)
{
    service->closing = true;
    for (struct job *job = service->jobs; job; job = job->next)
        job_stop(job, "the worker is leaving");
}

void service_close(struct service *service, void (*closed)(void *context), void *context)
{
    service->closed = closed;
    service->closed_context = context;
    stop_all(service);
    if (!service->jobs)
        closed(context);
}

static void ignore_closed(void *context)
{
    (void)context;
}

void service_halt(struct service *service)
{
    if (!service)
        return;
    service->closed = ignore_closed;
    stop_all(service);
    executor_free(service->executor);
    service->executor = NULL;
    drop_kept(service);
    loop_timer_cancel(service->loop, &service->lost_timer);
}

void service_free(struct service *service)
{
    free(service);
}
