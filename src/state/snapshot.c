/* A session at one instant, and the list of sessions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "state/state_internal.h"
#include "util/grow.h"

struct filling {
    struct state_snapshot *snapshot;
    enum store_name store;
};

static int add(void *context, const char *key, struct blob *value)
{
    struct filling *filling = context;
    struct state_snapshot *snapshot = filling->snapshot;

    struct state_entry *entries = grow(snapshot->entries, snapshot->n, sizeof *entries);

    if (!entries)
        return ERR_MEMORY;
    snapshot->entries = entries;
    snapshot->entries[snapshot->n] = (struct state_entry){filling->store, strdup(key), blob_ref(value)};
    snapshot->n++;
    return snapshot->entries[snapshot->n - 1].key ? OK : ERR_MEMORY;
}

void state_snapshot_free(struct state_snapshot *snapshot)
{
    if (!snapshot)
        return;
    for (size_t i = 0; i < snapshot->n; i++) {
        free(snapshot->entries[i].key);
        blob_unref(snapshot->entries[i].value);
    }
    free(snapshot->entries);
    free(snapshot);
}

int state_snapshot(struct state *state, const char *session_id, struct state_snapshot **out, struct error *err)
{
    struct filling filling = {.snapshot = calloc(1, sizeof *filling.snapshot)};
    int status = filling.snapshot ? OK : ERR_MEMORY;

    *out = NULL;
    pthread_mutex_lock(&state->mutex);
    for (int store = STORE_TRAINING_SESSION; status == OK && store < NUM_STORES; store++) {
        filling.store = (enum store_name)store;
        status = state->memory->ops->each(state->memory->priv, filling.store, session_id, add, &filling, NULL);
    }
    pthread_mutex_unlock(&state->mutex);
    if (status != OK)
        status = FAIL(err, ERR_MEMORY, "no memory for a snapshot of session %s", session_id);
    else if (filling.snapshot->n == 0)
        status = FAIL(err, ERR_NOT_FOUND, "there is no session %s in the state", session_id);
    if (status != OK) {
        state_snapshot_free(filling.snapshot);
        return status;
    }
    *out = filling.snapshot;
    return OK;
}

/* ---- sessions ---- */

struct listed {
    char *id;
    double time;
    bool in_memory, in_store;
};

struct listing {
    struct listed *sessions;
    size_t n;
    bool of_store; /* what is listed now is the store's */
};

static void see(struct listed *listed, const struct listing *listing, double time)
{
    listed->in_memory |= !listing->of_store;
    listed->in_store |= listing->of_store;
    if (listed->time < time)
        listed->time = time;
}

static int note(void *context, const char *id, double time)
{
    struct listing *listing = context;
    struct listed *sessions;

    for (size_t i = 0; i < listing->n; i++)
        if (strcmp(listing->sessions[i].id, id) == 0) {
            see(&listing->sessions[i], listing, time);
            return OK;
        }
    sessions = grow(listing->sessions, listing->n, sizeof *sessions);
    if (!sessions)
        return ERR_MEMORY;
    listing->sessions = sessions;
    sessions[listing->n] = (struct listed){.id = strdup(id)};
    see(&sessions[listing->n], listing, time);
    return sessions[listing->n++].id ? OK : ERR_MEMORY;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct listed *)a)->id, ((const struct listed *)b)->id);
}

/* A value of `status` or `round`; NULL where there is none, or it is no JSON. */
static json_t *read_json(struct state *state, const char *id, const char *key)
{
    struct blob *value = NULL;
    json_t *json = NULL;

    if (state_read(state, STORE_TRAINING_SESSION, id, key, &value, NULL) == OK)
        json = json_loadb(blob_bytes(value), blob_size(value), JSON_DECODE_ANY, NULL);
    blob_unref(value);
    return json;
}

static void copy_status(char *out, size_t size, const json_t *json)
{
    const char *text = json_string_value(json_object_get(json, "status"));

    snprintf(out, size, "%s", text ? text : "");
}

static size_t sum_bytes(struct backend *backend, const char *id)
{
    size_t bytes = 0;

    for (int store = STORE_TRAINING_SESSION; store < NUM_STORES; store++) {
        size_t more = 0;

        if (backend->ops->bytes(backend->priv, (enum store_name)store, id, &more, NULL) == OK)
            bytes += more;
    }
    return bytes;
}

static size_t bytes_of(struct state *state, bool in_memory, const char *id)
{
    size_t bytes = 0;

    if (in_memory) {
        pthread_mutex_lock(&state->mutex);
        bytes = sum_bytes(state->memory, id);
        pthread_mutex_unlock(&state->mutex);
    } else if (store_lock(state, NULL) == OK) {
        bytes = sum_bytes(state->backend, id);
        store_unlock(state);
    }
    return bytes;
}

static int show(struct state *state, const struct listed *listed,
                int (*visit)(void *context, const struct state_session *session), void *context)
{
    char status[32];
    json_t *status_json = read_json(state, listed->id, "status"), *round = read_json(state, listed->id, "round");
    struct state_session session = {
        .id = listed->id,
        .status = status,
        .round = json_integer_value(json_object_get(round, "round")),
        .leader_term = (uint64_t)json_integer_value(json_object_get(round, "leader_term")),
        .bytes = bytes_of(state, listed->in_memory, listed->id),
        .time = listed->time,
        .in_memory = listed->in_memory,
        .in_store = listed->in_store,
    };

    copy_status(status, sizeof status, status_json);
    json_decref(status_json);
    json_decref(round);
    return visit(context, &session);
}

static int list_of_store(struct state *state, struct listing *listing, struct error *err)
{
    int status = store_lock(state, err);

    if (status != OK)
        return status;
    listing->of_store = true;
    status = state->backend->ops->sessions(state->backend->priv, note, listing, err);
    if (status == ERR_UNAVAILABLE) {
        status = store_reconnect(state, err);
        if (status == OK)
            status = state->backend->ops->sessions(state->backend->priv, note, listing, err);
    }
    store_unlock(state);
    return status;
}

static int list(struct state *state, struct listing *listing, struct error *err)
{
    int status;

    pthread_mutex_lock(&state->mutex);
    status = state->memory->ops->sessions(state->memory->priv, note, listing, err);
    pthread_mutex_unlock(&state->mutex);
    if (status == OK && state->backend)
        status = list_of_store(state, listing, err);
    return status == ERR_MEMORY ? FAIL(err, status, "no memory for the list of sessions") : status;
}

int state_sessions(struct state *state, int (*visit)(void *context, const struct state_session *session), void *context,
                   struct error *err)
{
    struct listing listing = {0};
    int asked = list(state, &listing, err), status = asked == ERR_MEMORY ? asked : OK;

    if (status == OK && listing.n)
        qsort(listing.sessions, listing.n, sizeof *listing.sessions, by_id);
    for (size_t i = 0; i < listing.n && status == OK; i++)
        status = show(state, &listing.sessions[i], visit, context);
    for (size_t i = 0; i < listing.n; i++)
        free(listing.sessions[i].id);
    free(listing.sessions);
    return status == OK ? asked : status;
}
