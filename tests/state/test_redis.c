/* What only the kind `redis` has: large values in chunks, a second leader. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "redis_fixture.h"
#include "state/batch.h"

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

/* As a large model's global weights are: whole over several fields of the default size. Not on disk, and with
 * much patience: on a machine that is busy with other tests it takes long enough. */
Test(redis, a_value_of_80_mb, .timeout = 120)
{
    const size_t size = 80000003;
    struct redis_fixture redis;
    struct error err = ERROR_INIT;
    struct backend *backend;
    struct blob *got;

    redis_fixture_start(&redis, NULL, NULL);
    redis_fixture_do(&redis, "CONFIG SET appendonly no", "+OK");
    struct store_options options = {.host = "127.0.0.1", .port = redis.port, .timeout_ms = 60000};
    struct state_batch *batch = large_batch(size, 1);
    cr_assert_eq(backend_open(&backend, store_kind_find("redis"), &options, &err), OK, "%s", err.message);
    cr_assert_eq(backend->ops->putall(backend->priv, batch, &err), OK, "%s", err.message);
    cr_assert_eq(backend->ops->get(backend->priv, STORE_TRAINING_SESSION, "s", "global_model", &got, &err), OK);
    cr_assert_eq(blob_size(got), size);
    cr_assert_eq(memcmp(blob_bytes(got), blob_bytes(batch->groups[0].changes.entries[0].value), size), 0);
    redis_fixture_do(&redis, "HLEN training_session_s", ":4"); /* its name, its size, two parts */
    blob_unref(got);
    state_batch_free(batch);
    backend_close(backend);
    redis_fixture_stop(&redis);
}
