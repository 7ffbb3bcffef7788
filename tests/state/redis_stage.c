#include "redis_stage.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- what is told ---- */

static void outage(void *context, const char *reason)
{
    struct redis_stage *stage = context;

    pthread_mutex_lock(&stage->mutex);
    stage->outages++;
    snprintf(stage->reason, sizeof stage->reason, "%s", reason);
    pthread_cond_broadcast(&stage->changed);
    pthread_mutex_unlock(&stage->mutex);
}

static void recovered(void *context, double outage_s, size_t bytes, bool everything)
{
    struct redis_stage *stage = context;

    (void)outage_s;
    (void)bytes;
    pthread_mutex_lock(&stage->mutex);
    stage->recoveries++;
    stage->everything = everything;
    pthread_cond_broadcast(&stage->changed);
    pthread_mutex_unlock(&stage->mutex);
}

static void replaced(void *context, const char *reason)
{
    struct redis_stage *stage = context;

    (void)reason;
    pthread_mutex_lock(&stage->mutex);
    stage->replacements++;
    pthread_cond_broadcast(&stage->changed);
    pthread_mutex_unlock(&stage->mutex);
}

static void wait_for(struct redis_stage *stage, const int *count, int n)
{
    pthread_mutex_lock(&stage->mutex);
    while (*count < n)
        pthread_cond_wait(&stage->changed, &stage->mutex);
    pthread_mutex_unlock(&stage->mutex);
}

void redis_stage_wait_replacements(struct redis_stage *stage, int n)
{
    wait_for(stage, &stage->replacements, n);
}

void redis_stage_wait_recoveries(struct redis_stage *stage, int n)
{
    wait_for(stage, &stage->recoveries, n);
}

bool redis_stage_logged(const struct redis_stage *stage, const char *text)
{
    static char log[65536];
    ssize_t n = pread(stage->log.fd, log, sizeof log - 1, 0);

    cr_assert_geq(n, 0);
    log[n] = '\0';
    return strstr(log, text) != NULL;
}

/* ---- life ---- */

void redis_stage_set(struct redis_stage *stage)
{
    memset(stage, 0, sizeof *stage);
    pthread_mutex_init(&stage->mutex, NULL);
    pthread_cond_init(&stage->changed, NULL);
    redis_fixture_start(&stage->redis, NULL, NULL);
    log_init(&stage->log, memfd_create("log", MFD_CLOEXEC), LOG_DEBUG, "leader", NULL);
    stage->options = (struct state_options){
        .kind = store_kind_find("redis"),
        .store = {.host = "127.0.0.1", .port = stage->redis.port, .timeout_ms = 1000, .log = &stage->log},
        .cluster = "0",
        .log = &stage->log,
        .tell = {.outage = outage, .recovered = recovered, .replaced = replaced, .context = stage}};
    cr_assert_eq(loop_new(&stage->loop, &clock_system, NULL), OK);
}

void redis_stage_open(struct redis_stage *stage)
{
    struct error err = ERROR_INIT;
    uint64_t term;

    cr_assert_eq(state_open(&stage->state, &stage->options, &err), OK, "%s", err.message);
    cr_assert_eq(state_take_term(stage->state, 1, &term, &err), OK, "%s", err.message);
}

void redis_stage_close(struct redis_stage *stage)
{
    state_close(stage->state);
    stage->state = NULL;
}

void redis_stage_strike(struct redis_stage *stage)
{
    redis_stage_close(stage);
    loop_free(stage->loop);
    redis_fixture_stop(&stage->redis);
    close(stage->log.fd);
}

/* ---- commits ---- */

struct waiting {
    struct state_ticket ticket;
    struct loop *loop;
};

static void answered(struct loop_event *event)
{
    loop_stop(CONTAINER_OF(CONTAINER_OF(event, struct state_ticket, event), struct waiting, ticket)->loop);
}

bool redis_stage_send(struct redis_stage *stage, struct state_batch *batch)
{
    struct waiting waiting = {.ticket = {.event.handle = answered, .loop = stage->loop}, .loop = stage->loop};

    state_commit(stage->state, batch, &waiting.ticket);
    loop_run(stage->loop);
    cr_assert_eq(waiting.ticket.status, OK);
    return waiting.ticket.durable;
}

static struct state_batch *status_batch(const char *id, const char *text)
{
    struct state_batch *batch = state_batch_new();

    cr_assert_eq(state_batch_put_text(batch, STORE_TRAINING_SESSION, id, "status", text, NULL), OK);
    return batch;
}

bool redis_stage_commit(struct redis_stage *stage, const char *id, const char *text)
{
    return redis_stage_send(stage, status_batch(id, text));
}

void redis_stage_commit_unasked(struct redis_stage *stage, const char *id, const char *text)
{
    state_commit(stage->state, status_batch(id, text), NULL);
}

void redis_stage_expect(struct redis_stage *stage, const char *id, const char *text)
{
    struct error err = ERROR_INIT;
    struct blob *value;

    redis_stage_close(stage);
    redis_stage_open(stage);
    cr_assert_eq(state_load(stage->state, id, &err), OK, "%s", err.message);
    cr_assert_eq(state_get(stage->state, STORE_TRAINING_SESSION, id, "status", &value, &err), OK, "%s", err.message);
    cr_assert_eq(blob_size(value), strlen(text), "%.*s, not %s", (int)blob_size(value), (const char *)blob_bytes(value),
                 text);
    cr_assert_eq(memcmp(blob_bytes(value), text, strlen(text)), 0);
    blob_unref(value);
}
