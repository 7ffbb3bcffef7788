/* A session at one instant, and the list of sessions. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "state/state_internal.h"

struct filling {
    struct state_snapshot *snapshot;
    size_t capacity;
    enum store_name store;
};

static int add(void *context, const char *key, struct blob *value)
{
    struct filling *filling = context;
    struct state_snapshot *snapshot = filling->snapshot;

    if (snapshot->n == filling->capacity) {
        size_t capacity = filling->capacity ? 2 * filling->capacity : 64;
        struct state_entry *entries = realloc(snapshot->entries, capacity * sizeof *entries);

        if (!entries)
            return ERR_MEMORY;
        snapshot->entries = entries;
        filling->capacity = capacity;
    }
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
};

struct listing {
    struct listed *sessions;
    size_t n;
};

static int note(void *context, const char *id, double time)
{
    struct listing *listing = context;
    struct listed *sessions;

    for (size_t i = 0; i < listing->n; i++)
        if (strcmp(listing->sessions[i].id, id) == 0) {
            if (listing->sessions[i].time < time)
                listing->sessions[i].time = time;
            return OK;
        }
    sessions = realloc(listing->sessions, (listing->n + 1) * sizeof *sessions);
    if (!sessions)
        return ERR_MEMORY;
    listing->sessions = sessions;
    sessions[listing->n] = (struct listed){strdup(id), time};
    return sessions[listing->n++].id ? OK : ERR_MEMORY;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct listed *)a)->id, ((const struct listed *)b)->id);
}

/* What of a session is small is read; the weights are not. */
static void read_text(struct state *state, struct backend *backend, const char *id, const char *key, char *text,
                      size_t size)
{
    pthread_mutex_t *lock = backend == state->memory ? &state->mutex : &state->io;
    struct blob *value = NULL;

    *text = '\0';
    pthread_mutex_lock(lock);
    if (backend->ops->get(backend->priv, STORE_TRAINING_SESSION, id, key, &value, NULL) == OK &&
        blob_size(value) < size) {
        memcpy(text, blob_bytes(value), blob_size(value));
        text[blob_size(value)] = '\0';
    }
    pthread_mutex_unlock(lock);
    blob_unref(value);
}

static void read_round(const char *text, struct state_session *session)
{
    json_t *round = json_loads(text, 0, NULL);

    session->round = json_integer_value(json_object_get(round, "round"));
    session->leader_term = (uint64_t)json_integer_value(json_object_get(round, "leader_term"));
    json_decref(round);
}

/* Status is stored as JSON, a string, or as the bare word. */
static const char *unquoted(char *text)
{
    size_t length = strlen(text);

    if (length < 2 || text[0] != '"' || text[length - 1] != '"')
        return text;
    text[length - 1] = '\0';
    return text + 1;
}

static int show(struct state *state, const struct listed *listed,
                int (*visit)(void *context, const struct state_session *session), void *context)
{
    struct state_session session = {.id = listed->id, .time = listed->time};
    char status[64], round[256];
    struct backend *backend = state->memory;
    size_t n = 0;

    state_len(state, STORE_TRAINING_SESSION, listed->id, &n, NULL);
    if (n == 0)
        backend = state->backend ? state->backend : state->memory;
    read_text(state, backend, listed->id, "status", status, sizeof status);
    read_text(state, backend, listed->id, "round", round, sizeof round);
    session.status = unquoted(status);
    read_round(round, &session);
    return visit(context, &session);
}

static int list_of_store(struct state *state, struct listing *listing, struct error *err)
{
    int status = store_lock(state, err);

    if (status != OK)
        return status;
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
    int status = list(state, &listing, err);

    if (status == OK && listing.n)
        qsort(listing.sessions, listing.n, sizeof *listing.sessions, by_id);
    for (size_t i = 0; i < listing.n && status == OK; i++)
        status = show(state, &listing.sessions[i], visit, context);
    for (size_t i = 0; i < listing.n; i++)
        free(listing.sessions[i].id);
    free(listing.sessions);
    return status;
}
