/* The leader's state over memory alone: commits, handles with their pending batch, snapshots, sessions. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "state/state.h"

static struct state *open_state(void)
{
    const struct state_options options = {.kind = store_kind_find("inmemory"), .cluster = "0"};
    struct state *state;

    cr_assert_eq(state_open(&state, &options, NULL), OK);
    return state;
}

static void put_text(struct store *store, const char *key, const char *text)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(store_put(store, key, span_of(text, strlen(text)), &err), OK, "%s", err.message);
}

static void expect_text(struct store *store, const char *key, const char *text)
{
    struct blob *value;

    cr_assert_eq(store_get(store, key, &value, NULL), OK);
    cr_assert_eq(blob_size(value), strlen(text));
    cr_assert_eq(memcmp(blob_bytes(value), text, strlen(text)), 0);
    blob_unref(value);
}

Test(state, a_handle_sees_what_is_pending_and_others_what_is_committed)
{
    struct state *state = open_state();
    struct state_batch *pending = NULL, *other_pending = NULL;
    struct store *store, *other;
    struct blob *value;
    size_t n;

    cr_assert_eq(store_open(state, STORE_AGGREGATOR_STATE, "s", &pending, &store, NULL), OK);
    cr_assert_eq(store_open(state, STORE_AGGREGATOR_STATE, "s", &other_pending, &other, NULL), OK);
    put_text(store, "a", "1");
    expect_text(store, "a", "1");
    cr_assert_eq(store_get(other, "a", &value, NULL), ERR_NOT_FOUND);
    state_commit(state, pending, NULL);
    pending = NULL;
    expect_text(other, "a", "1");
    cr_assert_eq(store_delete_by_key(store, "a", NULL), OK);
    put_text(store, "b", "2");
    cr_assert_eq(store_get(store, "a", &value, NULL), ERR_NOT_FOUND);
    cr_assert_eq(store_len(store, &n, NULL), OK);
    cr_assert_eq(n, 1);
    expect_text(other, "a", "1");
    state_batch_free(pending);
    store_close(store);
    store_close(other);
    state_close(state);
}

Test(state, refuses_keys_that_no_store_could_hold)
{
    struct state *state = open_state();
    struct state_batch *pending = NULL;
    struct store *store;
    char endless[2000];

    memset(endless, 'k', sizeof endless);
    endless[sizeof endless - 1] = '\0';
    cr_assert_eq(store_open(state, STORE_AGGREGATOR_STATE, "s", &pending, &store, NULL), OK);
    cr_assert_eq(store_put(store, "", span_of("x", 1), NULL), ERR_INVALID);
    cr_assert_eq(store_put(store, "a b", span_of("x", 1), NULL), ERR_INVALID);
    cr_assert_eq(store_put(store, endless, span_of("x", 1), NULL), ERR_INVALID);
    state_batch_free(pending);
    store_close(store);
    state_close(state);
}

static int see_session(void *context, const struct state_session *session)
{
    cr_assert_str_eq(session->id, "s");
    cr_assert_str_eq(session->status, "running");
    cr_assert_eq(session->round, 3);
    cr_assert_eq(session->leader_term, 7);
    ++*(int *)context;
    return OK;
}

static void commit_session(struct state *state, const char *round)
{
    struct state_batch *batch = state_batch_new();

    cr_assert_eq(state_batch_put_text(batch, STORE_TRAINING_SESSION, "s", "status",
                                      "{\"status\":\"running\",\"reason\":\"\"}", NULL),
                 OK);
    cr_assert_eq(state_batch_put_text(batch, STORE_TRAINING_SESSION, "s", "round", round, NULL), OK);
    cr_assert_eq(state_batch_put_text(batch, STORE_TRAINING_STATE, "s", "client.a", "{}", NULL), OK);
    state_commit(state, batch, NULL);
}

Test(state, lists_and_drops_sessions)
{
    struct state *state = open_state();
    int seen = 0;

    commit_session(state, "{\"round\":3,\"leader_term\":7}");
    cr_assert_eq(state_sessions(state, see_session, &seen, NULL), OK);
    cr_assert_eq(seen, 1);
    cr_assert_eq(state_load(state, "s", NULL), OK);
    cr_assert_eq(state_drop(state, "s", NULL, NULL), OK);
    cr_assert_eq(state_sessions(state, see_session, &seen, NULL), OK);
    cr_assert_eq(seen, 1);
    cr_assert_eq(state_load(state, "s", NULL), ERR_NOT_FOUND);
    state_close(state);
}

Test(state, a_snapshot_stays_as_it_was)
{
    struct state *state = open_state();
    struct state_snapshot *snapshot;

    commit_session(state, "1");
    cr_assert_eq(state_snapshot(state, "s", &snapshot, NULL), OK);
    commit_session(state, "2");
    cr_assert_eq(snapshot->n, 3);
    cr_assert_str_eq(snapshot->entries[0].key, "round");
    cr_assert_eq(memcmp(blob_bytes(snapshot->entries[0].value), "1", 1), 0);
    cr_assert_str_eq(snapshot->entries[1].key, "status");
    cr_assert_eq(snapshot->entries[2].store, STORE_TRAINING_STATE);
    state_snapshot_free(snapshot);
    cr_assert_eq(state_snapshot(state, "other", &snapshot, NULL), ERR_NOT_FOUND);
    state_close(state);
}

Test(state, a_batch_keeps_the_newest_of_each_key)
{
    struct state_batch *old = state_batch_new(), *new = state_batch_new();
    struct blob *value;

    cr_assert_eq(state_batch_put_text(old, STORE_TRAINING_STATE, "s", "a", "0123456789", NULL), OK);
    cr_assert_eq(state_batch_put_text(old, STORE_AGGREGATOR_STATE, "s", "x", "0123456789", NULL), OK);
    cr_assert_eq(state_batch_put_text(new, STORE_TRAINING_STATE, "s", "a", "9", NULL), OK);
    cr_assert_eq(state_batch_clear(new, STORE_AGGREGATOR_STATE, "s", NULL), OK);
    cr_assert_eq(state_batch_merge(old, new, NULL), OK);
    cr_assert_eq(state_batch_find(old, STORE_TRAINING_STATE, "s", "a", &value), BATCH_PUT);
    cr_assert_eq(blob_size(value), 1);
    cr_assert_eq(state_batch_find(old, STORE_AGGREGATOR_STATE, "s", "x", &value), BATCH_DELETED);
    cr_assert_eq(state_batch_find(old, STORE_AGGREGATOR_STATE, "t", "x", &value), BATCH_SILENT);
    cr_assert_eq(state_batch_bytes(old), 2);
    state_batch_free(old);
    state_batch_free(new);
}
