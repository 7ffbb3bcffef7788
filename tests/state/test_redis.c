/* What only the kind `redis` has: large values in chunks, a second leader, outages, clear errors at the start. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_fixture.h"
#include "state/state.h"

static struct state_batch *status_batch(const char *text)
{
    struct state_batch *batch = state_batch_new();

    cr_assert_eq(state_batch_put_text(batch, STORE_TRAINING_SESSION, "s", "status", text, NULL), OK);
    return batch;
}

static int put(struct backend *backend, struct state_batch *batch, struct error *err)
{
    int status = backend->ops->putall(backend->priv, batch, err);

    state_batch_free(batch);
    return status;
}

Test(redis, a_second_leader_stops_the_first)
{
    struct redis_fixture redis;
    struct backend *first, *second;
    struct error err = ERROR_INIT;
    uint64_t term;

    redis_fixture_start(&redis, NULL, NULL);
    struct store_options options = {.host = "127.0.0.1", .port = redis.port};
    cr_assert_eq(backend_open(&first, store_kind_find("redis"), &options, &err), OK, "%s", err.message);
    cr_assert_eq(backend_open(&second, store_kind_find("redis"), &options, &err), OK, "%s", err.message);
    cr_assert_eq(first->ops->take_term(first->priv, "0", 1, &term, &err), OK, "%s", err.message);
    cr_assert_eq(put(first, status_batch("first"), &err), OK, "%s", err.message);
    cr_assert_eq(second->ops->take_term(second->priv, "0", 1, &term, &err), OK, "%s", err.message);
    cr_assert_eq(term, 2);
    cr_assert_eq(put(first, status_batch("late"), &err), ERR_PRECONDITION);
    cr_assert_eq(put(second, status_batch("second"), &err), OK, "%s", err.message);
    backend_close(first);
    backend_close(second);
    redis_fixture_stop(&redis);
}

static struct state_batch *large_batch(size_t size, int seed)
{
    struct state_batch *batch = state_batch_new();
    struct blob *blob = blob_new(size);
    unsigned char *bytes = blob_bytes(blob);

    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i * 31 + i / 997 + (size_t)seed);
    cr_assert_eq(state_batch_put(batch, STORE_TRAINING_SESSION, "s", "global_model", blob, NULL), OK);
    blob_unref(blob);
    return batch;
}

Test(redis, large_values_go_in_chunks_and_leave_none_behind)
{
    struct redis_fixture redis;
    struct error err = ERROR_INIT;
    const size_t sizes[] = {10000019, 100, 3000000, 999999};

    redis_fixture_start(&redis, NULL, NULL);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct store_options options = {.host = "127.0.0.1", .port = redis.port, .chunk_bytes = 1000000};
        struct state_batch *batch = large_batch(sizes[i], (int)i);
        struct blob *want = batch->groups[0].changes.entries[0].value, *got;
        struct backend *backend;

        cr_assert_eq(backend_open(&backend, store_kind_find("redis"), &options, &err), OK, "%s", err.message);
        cr_assert_eq(backend->ops->putall(backend->priv, batch, &err), OK, "%s", err.message);
        cr_assert_eq(backend->ops->get(backend->priv, STORE_TRAINING_SESSION, "s", "global_model", &got, &err), OK);
        cr_assert_eq(blob_size(got), sizes[i]);
        cr_assert_eq(memcmp(blob_bytes(got), blob_bytes(want), sizes[i]), 0);
        blob_unref(got);
        state_batch_free(batch);
        backend_close(backend);
    }
    redis_fixture_stop(&redis);
}

/* ---- outages ---- */

struct waiting {
    struct state_ticket ticket;
    struct loop *loop;
};

static void answered(struct loop_event *event)
{
    loop_stop(CONTAINER_OF(CONTAINER_OF(event, struct state_ticket, event), struct waiting, ticket)->loop);
}

static bool commit(struct state *state, struct loop *loop, const char *text)
{
    struct waiting waiting = {.ticket = {.event.handle = answered, .loop = loop}, .loop = loop};

    state_commit(state, status_batch(text), &waiting.ticket);
    loop_run(loop);
    cr_assert_eq(waiting.ticket.status, OK);
    return waiting.ticket.durable;
}

struct told {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int recoveries;
    bool everything;
};

static void recovered(void *context, double outage_s, size_t bytes, bool everything)
{
    struct told *told = context;

    (void)outage_s;
    (void)bytes;
    pthread_mutex_lock(&told->mutex);
    told->recoveries++;
    told->everything = everything;
    pthread_cond_signal(&told->changed);
    pthread_mutex_unlock(&told->mutex);
}

static void outage(bool forget)
{
    struct told told = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false};
    struct redis_fixture redis;
    struct error err = ERROR_INIT;
    struct state *state;
    struct loop *loop;
    uint64_t term;

    redis_fixture_start(&redis, NULL, NULL);
    struct state_options options = {.kind = store_kind_find("redis"),
                                    .store = {.host = "127.0.0.1", .port = redis.port},
                                    .cluster = "0",
                                    .tell = {.recovered = recovered, .context = &told}};
    cr_assert_eq(loop_new(&loop, &clock_system, NULL), OK);
    cr_assert_eq(state_open(&state, &options, &err), OK, "%s", err.message);
    cr_assert_eq(state_take_term(state, 1, &term, &err), OK, "%s", err.message);
    cr_assert(commit(state, loop, "before"));
    redis_fixture_kill(&redis);
    cr_assert_not(commit(state, loop, "during"));
    cr_assert_not(commit(state, loop, "latest"));
    if (forget)
        redis_fixture_forget(&redis);
    redis_fixture_restart(&redis);
    pthread_mutex_lock(&told.mutex);
    while (!told.recoveries)
        pthread_cond_wait(&told.changed, &told.mutex);
    pthread_mutex_unlock(&told.mutex);
    cr_assert_eq(told.everything, forget);
    cr_assert(commit(state, loop, "after"));
    state_close(state);
    cr_assert_eq(state_open(&state, &options, &err), OK, "%s", err.message);
    cr_assert_eq(state_load(state, "s", &err), OK, "%s", err.message);
    struct blob *value;
    cr_assert_eq(state_get(state, STORE_TRAINING_SESSION, "s", "status", &value, &err), OK);
    cr_assert_eq(memcmp(blob_bytes(value), "after", 5), 0);
    blob_unref(value);
    state_close(state);
    loop_free(loop);
    redis_fixture_stop(&redis);
}

Test(redis, an_outage_loses_nothing, .timeout = 60)
{
    outage(false);
}

Test(redis, a_server_that_came_back_empty_gets_everything, .timeout = 60)
{
    outage(true);
}

static void expect_refusal(const struct store_options *store, const char *what)
{
    struct state_options options = {.kind = store_kind_find("redis"), .store = *store, .cluster = "0"};
    struct error err = ERROR_INIT;
    struct state *state;
    uint64_t term;
    int status = state_open(&state, &options, &err);

    if (status == OK)
        status = state_take_term(state, 1, &term, &err);
    cr_assert_eq(status, ERR_SETUP);
    cr_assert(strstr(err.message, what), "%s", err.message);
    state_close(state);
}

Test(redis, says_what_is_wrong_at_the_start, .timeout = 60)
{
    struct redis_fixture redis;

    redis_fixture_start(&redis, "--requirepass", "secret");
    struct store_options options = {.host = "127.0.0.1", .port = redis.port};
    expect_refusal(&options, "state_password_file");
    options.password = "wrong";
    expect_refusal(&options, "wrong state_username or state_password_file");
    options.password = "secret";
    options.db = 99999;
    expect_refusal(&options, "state_db");
    redis_fixture_stop(&redis);
    expect_refusal(&options, "refused");
    redis_fixture_start(&redis, "--maxmemory", "1");
    expect_refusal(&(struct store_options){.host = "127.0.0.1", .port = redis.port}, "OOM");
    redis_fixture_stop(&redis);
}
