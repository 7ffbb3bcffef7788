/* The contract of every store kind: runs over each row of the registry. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "redis_fixture.h"
#include "state/batch.h"

static struct redis_fixture redis;

static struct backend *open_kind(size_t i)
{
    struct backend *backend;
    struct store_options options = {.host = "127.0.0.1"};
    struct error err = ERROR_INIT;

    if (store_kinds[i]->outlives) {
        redis_fixture_start(&redis, NULL, NULL);
        options.port = redis.port;
    }
    cr_assert_eq(backend_open(&backend, store_kinds[i], &options, &err), OK, "%s", err.message);
    return backend;
}

static void close_kind(struct backend *backend)
{
    bool outlives = backend->ops->outlives;

    backend_close(backend);
    if (outlives)
        redis_fixture_stop(&redis);
}

static void apply(struct backend *backend, struct state_batch *batch)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(backend->ops->putall(backend->priv, batch, &err), OK, "%s", err.message);
    state_batch_free(batch);
}

static struct state_batch *put(struct state_batch *batch, const char *key, const char *text)
{
    if (!batch)
        batch = state_batch_new();
    cr_assert_eq(state_batch_put_text(batch, STORE_TRAINING_STATE, "test", key, text, NULL), OK);
    return batch;
}

static void expect_text(struct backend *backend, const char *key, const char *text)
{
    struct blob *value;
    struct error err = ERROR_INIT;

    cr_assert_eq(backend->ops->get(backend->priv, STORE_TRAINING_STATE, "test", key, &value, &err), OK, "%s",
                 err.message);
    cr_assert_eq(blob_size(value), strlen(text));
    cr_assert_eq(memcmp(blob_bytes(value), text, strlen(text)), 0);
    blob_unref(value);
}

static size_t length(struct backend *backend)
{
    size_t n = 99999;

    cr_assert_eq(backend->ops->len(backend->priv, STORE_TRAINING_STATE, "test", &n, NULL), OK);
    return n;
}

static size_t bytes(struct backend *backend)
{
    size_t n = 99999;

    cr_assert_eq(backend->ops->bytes(backend->priv, STORE_TRAINING_STATE, "test", &n, NULL), OK);
    return n;
}

Test(store, registry_finds_every_row_by_name)
{
    for (size_t i = 0; store_kinds[i]; i++)
        cr_assert_eq(store_kind_find(store_kinds[i]->name), store_kinds[i]);
    cr_assert_null(store_kind_find("no such store"));
}

Test(store, gets_what_was_put_and_replaces)
{
    for (size_t i = 0; store_kinds[i]; i++) {
        struct backend *backend = open_kind(i);

        apply(backend, put(put(NULL, "round", "1"), "clients.a.loss", "0.5"));
        apply(backend, put(NULL, "round", "2"));
        expect_text(backend, "round", "2");
        expect_text(backend, "clients.a.loss", "0.5");
        cr_assert_eq(length(backend), 2);
        cr_assert_eq(bytes(backend), sizeof "round" + sizeof "clients.a.loss" - 2 + 1 + 3);
        close_kind(backend);
    }
}

Test(store, says_not_found_and_deletes)
{
    for (size_t i = 0; store_kinds[i]; i++) {
        struct backend *backend = open_kind(i);
        struct state_batch *batch = state_batch_new();
        struct blob *value = (struct blob *)1;
        struct error err = ERROR_INIT;

        cr_assert_eq(backend->ops->get(backend->priv, STORE_TRAINING_STATE, "test", "absent", &value, &err),
                     ERR_NOT_FOUND);
        cr_assert_null(value);
        cr_assert(strstr(err.message, "absent"));
        apply(backend, put(NULL, "a", "1"));
        cr_assert_eq(state_batch_delete(batch, STORE_TRAINING_STATE, "test", "a", NULL), OK);
        cr_assert_eq(state_batch_delete(batch, STORE_TRAINING_STATE, "test", "never", NULL), OK);
        apply(backend, batch);
        cr_assert_eq(length(backend), 0);
        close_kind(backend);
    }
}

Test(store, clears_before_it_puts)
{
    for (size_t i = 0; store_kinds[i]; i++) {
        struct backend *backend = open_kind(i);
        struct state_batch *batch = state_batch_new();

        apply(backend, put(put(NULL, "a", "1"), "b", "1"));
        put(batch, "c", "never seen");
        cr_assert_eq(state_batch_clear(batch, STORE_TRAINING_STATE, "test", NULL), OK);
        put(batch, "b", "2");
        apply(backend, batch);
        cr_assert_eq(length(backend), 1);
        expect_text(backend, "b", "2");
        close_kind(backend);
    }
}

struct order {
    char last[32];
    size_t seen;
};

static int check_order(void *context, const char *key, struct blob *value)
{
    struct order *order = context;

    cr_assert_lt(strcmp(order->last, key), 0, "%s after %s", key, order->last);
    cr_assert_eq(blob_size(value), strlen(key));
    snprintf(order->last, sizeof order->last, "%s", key);
    order->seen++;
    return OK;
}

Test(store, visits_keys_in_ascending_order)
{
    for (size_t i = 0; store_kinds[i]; i++) {
        struct backend *backend = open_kind(i);
        struct state_batch *batch = state_batch_new();
        struct order order = {"", 0};
        char key[32];

        for (unsigned k = 0; k < 100; k++) {
            snprintf(key, sizeof key, "client.%u", k * 37 % 100);
            put(batch, key, key);
        }
        apply(backend, batch);
        cr_assert_eq(backend->ops->each(backend->priv, STORE_TRAINING_STATE, "test", check_order, &order, NULL), OK);
        cr_assert_eq(order.seen, 100);
        close_kind(backend);
    }
}

Test(store, holds_an_empty_value)
{
    for (size_t i = 0; store_kinds[i]; i++) {
        struct backend *backend = open_kind(i);

        apply(backend, put(NULL, "empty", ""));
        expect_text(backend, "empty", "");
        close_kind(backend);
    }
}

static int count(void *context, const char *id, double time)
{
    cr_assert(strcmp(id, "s1") == 0 || strcmp(id, "s2") == 0);
    cr_assert_gt(time, 1e9);
    ++*(int *)context;
    return OK;
}

Test(store, lists_sessions_until_they_are_cleared)
{
    for (size_t i = 0; store_kinds[i]; i++) {
        struct backend *backend = open_kind(i);
        struct state_batch *batch = state_batch_new();
        int n = 0;

        cr_assert_eq(state_batch_put_text(batch, STORE_TRAINING_SESSION, "s1", "status", "running", NULL), OK);
        cr_assert_eq(state_batch_put_text(batch, STORE_TRAINING_SESSION, "s2", "status", "running", NULL), OK);
        cr_assert_eq(state_batch_put_text(batch, STORE_TRAINING_STATE, "s3", "client.a", "{}", NULL), OK);
        apply(backend, batch);
        cr_assert_eq(backend->ops->sessions(backend->priv, count, &n, NULL), OK);
        cr_assert_eq(n, 2);
        batch = state_batch_new();
        cr_assert_eq(state_batch_clear(batch, STORE_TRAINING_SESSION, "s1", NULL), OK);
        apply(backend, batch);
        cr_assert_eq(backend->ops->sessions(backend->priv, count, &n, NULL), OK);
        cr_assert_eq(n, 3);
        close_kind(backend);
    }
}

Test(store, terms_grow)
{
    for (size_t i = 0; store_kinds[i]; i++) {
        struct backend *backend = open_kind(i);
        uint64_t term;

        cr_assert_eq(backend->ops->take_term(backend->priv, "0", 5, &term, NULL), OK);
        cr_assert_eq(term, 5);
        cr_assert_eq(backend->ops->take_term(backend->priv, "0", 5, &term, NULL), OK);
        cr_assert_eq(term, 6);
        close_kind(backend);
    }
}
