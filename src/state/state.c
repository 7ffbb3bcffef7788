#include "state/state_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int state_error(struct error *err, int status)
{
    if (err)
        err->status = status;
    return status;
}

/* ---- opening ---- */

static int put_into(void *context, const char *key, struct blob *value);

struct loading {
    struct state_batch *batch;
    enum store_name store;
    const char *id;
    struct error *err;
};

static int put_into(void *context, const char *key, struct blob *value)
{
    struct loading *loading = context;

    return state_batch_put(loading->batch, loading->store, loading->id, key, value, loading->err);
}

/* One store from the backend into the batch. The caller holds `io`. */
static int read_store(struct state *state, enum store_name name, const char *id, struct state_batch *batch,
                      struct error *err)
{
    struct loading loading = {batch, name, id, err};

    return state->backend->ops->each(state->backend->priv, name, id, put_into, &loading, err);
}

static int put_in_memory(struct state *state, const struct state_batch *batch, struct error *err)
{
    int status;

    pthread_mutex_lock(&state->mutex);
    status = state->memory->ops->putall(state->memory->priv, batch, err);
    pthread_mutex_unlock(&state->mutex);
    return status;
}

static int load_clients(struct state *state, struct error *err)
{
    struct state_batch *batch = state_batch_new();
    int status = batch ? read_store(state, STORE_CLIENT_INFO, state->cluster, batch, err)
                       : FAIL(err, ERR_MEMORY, "no memory for the roster");

    if (status == OK)
        status = put_in_memory(state, batch, err);
    state_batch_free(batch);
    return status;
}

static int go_on_in_memory(struct state *state, struct error *why)
{
    backend_close(state->backend);
    state->backend = NULL;
    log_write(state->log, LOG_WARN, "state",
              "%s; going on in memory alone as state_fallback says: what this leader does will not survive it",
              why->message);
    return OK;
}

/* Nobody has committed yet. */
static int fall_back(struct state *state, struct error *why)
{
    writer_stop(state);
    return go_on_in_memory(state, why);
}

static int open_backend(struct state *state, const struct state_options *options, struct error *err)
{
    struct error why = ERROR_INIT;
    int status = backend_open(&state->backend, options->kind, &options->store, &why);

    if (status == OK)
        status = load_clients(state, &why);
    if (status == OK)
        return OK;
    if (status == ERR_UNAVAILABLE && state->fallback)
        return go_on_in_memory(state, &why);
    if (err)
        *err = why;
    return state_error(err, ERR_SETUP);
}

static struct state *new_state(const struct state_options *options)
{
    struct state *state = calloc(1, sizeof *state);

    if (!state)
        return NULL;
    *state = (struct state){.log = options->log,
                            .cluster = strdup(options->cluster),
                            .probes = options->store.probes,
                            .fallback = options->fallback,
                            .close_ms = options->close_ms ? options->close_ms : 5000,
                            .told = {.tell = options->tell},
                            .tickets_tail = &state->tickets};
    if (!state->cluster || sync_init(&state->mutex, &state->wake) != OK) {
        free(state->cluster);
        free(state);
        return NULL;
    }
    pthread_mutex_init(&state->io, NULL);
    return state;
}

int state_open(struct state **out, const struct state_options *options, struct error *err)
{
    struct state *state = new_state(options);
    int status;

    *out = NULL;
    if (!state)
        return FAIL(err, ERR_MEMORY, "no memory for the state");
    status = backend_open(&state->memory, store_kind_find("inmemory"), &options->store, err);
    if (status == OK && options->kind->outlives)
        status = open_backend(state, options, err);
    if (status == OK && state->backend)
        status = writer_start(state, err);
    if (status != OK) {
        state_close(state);
        return status;
    }
    *out = state;
    return OK;
}

void state_close(struct state *state)
{
    if (!state)
        return;
    writer_stop(state);
    tickets_answer(state->tickets, OK, false);
    state_batch_free(state->pending);
    backend_close(state->backend);
    backend_close(state->memory);
    sync_fini(&state->mutex, &state->wake);
    pthread_mutex_destroy(&state->io);
    free(state->cluster);
    free(state);
}

static int take_term(struct state *state, uint64_t at_least, uint64_t *term, struct error *err)
{
    struct backend *backend = state->backend ? state->backend : state->memory;
    int status;

    pthread_mutex_lock(&state->io);
    status = backend->ops->take_term(backend->priv, state->cluster, at_least, term, err);
    pthread_mutex_unlock(&state->io);
    return status;
}

int state_take_term(struct state *state, uint64_t at_least, uint64_t *term, struct error *err)
{
    struct error why = ERROR_INIT;
    int status = take_term(state, at_least, term, &why);

    if (status == ERR_UNAVAILABLE && state->fallback) {
        fall_back(state, &why);
        status = take_term(state, at_least, term, &why);
    }
    if (status != OK) {
        if (err)
            *err = why;
        return state_error(err, ERR_SETUP);
    }
    pthread_mutex_lock(&state->mutex);
    state->term = *term;
    pthread_mutex_unlock(&state->mutex);
    return OK;
}

uint64_t state_term(const struct state *state)
{
    return state->term;
}

bool state_is_durable(const struct state *state)
{
    return state->backend != NULL;
}

/* ---- reading ---- */

int state_get(struct state *state, enum store_name store, const char *id, const char *key, struct blob **out,
              struct error *err)
{
    int status;

    pthread_mutex_lock(&state->mutex);
    status = state->memory->ops->get(state->memory->priv, store, id, key, out, err);
    pthread_mutex_unlock(&state->mutex);
    return status;
}

int state_read(struct state *state, enum store_name store, const char *id, const char *key, struct blob **out,
               struct error *err)
{
    size_t n = 0;
    int status = state_len(state, store, id, &n, err);

    *out = NULL;
    if (status != OK || n > 0 || !state->backend)
        return status == OK ? state_get(state, store, id, key, out, err) : status;
    status = store_lock(state, err);
    if (status != OK)
        return status;
    status = state->backend->ops->get(state->backend->priv, store, id, key, out, err);
    store_unlock(state);
    return status;
}

static int collect(void *context, const char *key, struct blob *value)
{
    return table_put(context, key, value);
}

int state_each(struct state *state, enum store_name store, const char *id, store_visit visit, void *context,
               struct error *err)
{
    struct table table = {0};
    int status;

    pthread_mutex_lock(&state->mutex);
    status = state->memory->ops->each(state->memory->priv, store, id, collect, &table, err);
    pthread_mutex_unlock(&state->mutex);
    if (status != OK)
        FAIL(err, status, "no memory for the keys of %s_%s", store_names[store], id);
    for (size_t i = 0; status == OK && i < table.n; i++)
        status = visit(context, table.entries[i].key, table.entries[i].value);
    table_fini(&table);
    return status;
}

int state_len(struct state *state, enum store_name store, const char *id, size_t *out, struct error *err)
{
    int status;

    pthread_mutex_lock(&state->mutex);
    status = state->memory->ops->len(state->memory->priv, store, id, out, err);
    pthread_mutex_unlock(&state->mutex);
    return status;
}

/* ---- changing ---- */

/* The caller holds the mutex. NULL: out of memory. */
static bool queue(struct state *state, struct state_batch *batch)
{
    if (!state->pending) {
        state->pending = batch;
        return true;
    }
    if (state_batch_merge(state->pending, batch, NULL) != OK)
        return false;
    state_batch_free(batch);
    return true;
}

static void append(struct state *state, struct state_ticket *ticket)
{
    ticket->next = NULL;
    *state->tickets_tail = ticket;
    state->tickets_tail = &ticket->next;
}

void state_commit(struct state *state, struct state_batch *batch, struct state_ticket *ticket)
{
    bool now = true;
    int status;

    if (ticket)
        ticket->next = NULL;
    pthread_mutex_lock(&state->mutex);
    status = state->memory->ops->putall(state->memory->priv, batch, NULL);
    state->commits++;
    if (status == OK && !state->backend)
        state->acknowledged_ns = clock_now_ns(&clock_system);
    if (status == OK && state->replaced)
        status = ERR_PRECONDITION;
    if (status == OK && state->backend && !state->refused) {
        if (!queue(state, batch))
            status = ERR_MEMORY;
        else
            batch = NULL;
        now = state->outage || status != OK;
        if (ticket && !now)
            append(state, ticket);
        pthread_cond_broadcast(&state->wake);
    }
    pthread_mutex_unlock(&state->mutex);
    if (now)
        tickets_answer(ticket, status, false);
    state_batch_free(batch);
}

int state_preview(struct state *state, const struct state_batch *batch, struct error *err)
{
    return put_in_memory(state, batch, err);
}

int state_drop(struct state *state, const char *session_id, struct state_ticket *ticket, struct error *err)
{
    struct state_batch *batch = state_batch_new();
    int status = batch ? OK : FAIL(err, ERR_MEMORY, "no memory to drop a session");

    for (int store = STORE_TRAINING_SESSION; status == OK && store < NUM_STORES; store++)
        status = state_batch_clear(batch, (enum store_name)store, session_id, err);
    if (status == OK)
        state_commit(state, batch, ticket);
    else
        state_batch_free(batch);
    return status;
}

int store_lock(struct state *state, struct error *err)
{
    int status = OK;

    pthread_mutex_lock(&state->mutex);
    if (state->outage)
        status = FAIL(err, ERR_UNAVAILABLE, "the store is away (%s)", state->reason);
    pthread_mutex_unlock(&state->mutex);
    if (status == OK)
        pthread_mutex_lock(&state->io);
    return status;
}

void store_unlock(struct state *state)
{
    pthread_mutex_unlock(&state->io);
}

int store_reconnect(struct state *state, struct error *err)
{
    bool complete = false;
    int status = state->backend->ops->reopen(state->backend->priv, &complete, err);

    if (status != OK || complete)
        return status;
    pthread_mutex_lock(&state->mutex);
    state->incomplete = true;
    pthread_mutex_unlock(&state->mutex);
    return OK;
}

static int read_session(struct state *state, const char *id, struct state_batch *batch, struct error *err)
{
    int status = OK;

    for (int store = STORE_TRAINING_SESSION; status == OK && store < NUM_STORES; store++)
        status = state_batch_clear(batch, (enum store_name)store, id, err);
    for (int store = STORE_TRAINING_SESSION; status == OK && store < NUM_STORES; store++)
        status = read_store(state, (enum store_name)store, id, batch, err);
    return status;
}

static int read_from_store(struct state *state, const char *id, struct state_batch *batch, struct error *err)
{
    int status = store_lock(state, err);

    if (status != OK)
        return status;
    status = read_session(state, id, batch, err);
    if (status == ERR_UNAVAILABLE) {
        status = store_reconnect(state, err);
        if (status == OK)
            status = read_session(state, id, batch, err);
    }
    store_unlock(state);
    return status;
}

int state_load(struct state *state, const char *session_id, struct error *err)
{
    struct state_batch *batch;
    size_t n = 0;
    int status = state_len(state, STORE_TRAINING_SESSION, session_id, &n, err);

    if (status != OK || n > 0)
        return status;
    if (!state->backend)
        return FAIL(err, ERR_NOT_FOUND, "there is no session %s in the state", session_id);
    batch = state_batch_new();
    if (!batch)
        return FAIL(err, ERR_MEMORY, "no memory to load session %s", session_id);
    status = read_from_store(state, session_id, batch, err);
    if (status == OK && state_batch_group(batch, STORE_TRAINING_SESSION, session_id)->changes.n == 0)
        status = FAIL(err, ERR_NOT_FOUND, "there is no session %s in the state", session_id);
    if (status == OK)
        status = put_in_memory(state, batch, err);
    state_batch_free(batch);
    return status;
}

static double age_s(uint64_t then_ns)
{
    return then_ns ? 1e-9 * (double)(clock_now_ns(&clock_system) - then_ns) : -1;
}

void state_health(struct state *state, struct state_health *out)
{
    pthread_mutex_lock(&state->mutex);
    *out = (struct state_health){.durable = state->backend != NULL,
                                 .outage = state->outage,
                                 .replaced = state->replaced,
                                 .refused = state->refused,
                                 .outage_since = state->outage ? state->outage_since : 0,
                                 .commit_age_s = age_s(state->acknowledged_ns),
                                 .backlog_bytes = state_batch_bytes(state->pending) + state->inflight_bytes,
                                 .commits = state->commits,
                                 .transactions = state->transactions,
                                 .outages = state->outages};
    if (state->outage || state->refused)
        snprintf(out->reason, sizeof out->reason, "%s", state->reason);
    pthread_mutex_unlock(&state->mutex);
}
