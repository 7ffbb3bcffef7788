/* The thread behind the state: sends what is committed to the durable store, one transaction after another, and lives
 * through the store's outages. */
#include <stdio.h>
#include <stdlib.h>

#include "state/state_internal.h"

enum { FIRST_PAUSE_MS = 50, LAST_PAUSE_MS = 2000, REMIND_S = 60 };

void tickets_answer(struct state_ticket *tickets, int status, bool durable)
{
    while (tickets) {
        struct state_ticket *next = tickets->next;

        tickets->status = status;
        tickets->durable = durable && status == OK;
        loop_post(tickets->loop, &tickets->event); /* the loop's from here */
        tickets = next;
    }
}

/* The caller holds the mutex. */
static struct state_ticket *take_tickets(struct state *state)
{
    struct state_ticket *tickets = state->tickets;

    state->tickets = NULL;
    state->tickets_tail = &state->tickets;
    return tickets;
}

static double seconds_since(const struct timespec *then)
{
    struct timespec now = sync_deadline_in_ms(0);

    return (double)(now.tv_sec - then->tv_sec) + 1e-9 * (double)(now.tv_nsec - then->tv_nsec);
}

/* Waits up to pause_ms; false once closing time is over. The caller holds the mutex. */
static bool pause_holding(struct state *state, int pause_ms)
{
    struct timespec until = sync_deadline_in_ms(pause_ms);
    bool closing = state->closing;

    while (seconds_since(&until) < 0 && state->closing == closing)
        if (pthread_cond_timedwait(&state->wake, &state->mutex, &until) != 0)
            break;
    return !state->closing || seconds_since(&state->close_by) < 0;
}

/* ---- an outage ---- */

/* What was on its way goes before what was committed meanwhile; nobody waits any more. */
static void outage_begins(struct state *state, struct state_batch **inflight, struct state_ticket *tickets,
                          const char *reason)
{
    struct state_ticket *more;
    size_t bytes;

    pthread_mutex_lock(&state->mutex);
    if (state->pending && state_batch_merge(*inflight, state->pending, NULL) == OK)
        state_batch_free(state->pending);
    state->pending = *inflight;
    *inflight = NULL;
    state->inflight_bytes = 0;
    state->outage = true;
    state->outage_since = clock_wall_s(&clock_system);
    state->outages++;
    snprintf(state->reason, sizeof state->reason, "%s", reason);
    more = take_tickets(state);
    bytes = state_batch_bytes(state->pending);
    pthread_mutex_unlock(&state->mutex);
    log_write(
        state->log, LOG_WARN, "state",
        "the store cannot be written (%s): training goes on, what the store lacks is kept in memory (%.1f MB) and "
        "written when it is back",
        reason, (double)bytes / 1e6);
    if (state->told.tell.outage)
        state->told.tell.outage(state->told.tell.context, reason);
    tickets_answer(tickets, OK, false);
    tickets_answer(more, OK, false);
}

static int copy_group(struct state *state, struct state_batch *batch, enum store_name name, const char *id);

struct copying {
    struct state_batch *batch;
    enum store_name name;
    const char *id;
};

static int copy_entry(void *context, const char *key, struct blob *value)
{
    struct copying *copying = context;

    return state_batch_put(copying->batch, copying->name, copying->id, key, value, NULL);
}

static int copy_group(struct state *state, struct state_batch *batch, enum store_name name, const char *id)
{
    struct copying copying = {batch, name, id};
    int status = state_batch_clear(batch, name, id, NULL);

    return status == OK ? state->memory->ops->each(state->memory->priv, name, id, copy_entry, &copying, NULL) : status;
}

struct copying_sessions {
    struct state *state;
    struct state_batch *batch;
};

static int copy_session(void *context, const char *id, double time)
{
    struct copying_sessions *copying = context;
    int status = OK;

    (void)time;
    for (int name = STORE_TRAINING_SESSION; status == OK && name < NUM_STORES; name++)
        status = copy_group(copying->state, copying->batch, (enum store_name)name, id);
    return status;
}

/* Everything that memory holds becomes pending. The caller holds the mutex. */
static int queue_everything(struct state *state)
{
    struct state_batch *all = state_batch_new();
    struct copying_sessions copying = {state, all};
    int status = all ? copy_group(state, all, STORE_CLIENT_INFO, state->cluster) : ERR_MEMORY;

    if (status == OK)
        status = state->memory->ops->sessions(state->memory->priv, copy_session, &copying, NULL);
    if (status == OK && state->pending)
        status = state_batch_merge(all, state->pending, NULL);
    if (status != OK) {
        state_batch_free(all);
        return status;
    }
    state_batch_free(state->pending);
    state->pending = all;
    return OK;
}

static int try_again(struct state *state, bool *everything, size_t *bytes, struct error *err)
{
    struct state_batch *batch = NULL;
    bool complete = false;
    int status;

    pthread_mutex_lock(&state->io);
    status = state->backend->ops->reopen(state->backend->priv, &complete, err);
    if (status == OK) {
        pthread_mutex_lock(&state->mutex);
        *everything = *everything || !complete;
        if (*everything)
            status = queue_everything(state);
        batch = state->pending;
        state->pending = NULL;
        *bytes = state->inflight_bytes = state_batch_bytes(batch);
        pthread_mutex_unlock(&state->mutex);
    }
    if (status == OK && batch)
        status = state->backend->ops->putall(state->backend->priv, batch, err);
    pthread_mutex_unlock(&state->io);
    pthread_mutex_lock(&state->mutex);
    state->inflight_bytes = 0;
    if (status == OK) {
        state->outage = false;
        state->transactions++;
        state->acknowledged_ns = clock_now_ns(&clock_system);
        state_batch_free(batch);
    } else if (batch) {
        if (state->pending && state_batch_merge(batch, state->pending, NULL) == OK)
            state_batch_free(state->pending);
        state->pending = batch;
    }
    pthread_mutex_unlock(&state->mutex);
    return status;
}

static void remind(struct state *state, struct timespec *last, const char *reason)
{
    struct state_health health;

    if (seconds_since(last) < REMIND_S)
        return;
    *last = sync_deadline_in_ms(0);
    state_health(state, &health);
    log_write(state->log, LOG_WARN, "state", "the store is still missing (%s); it lacks %.1f MB", reason,
              (double)health.backlog_bytes / 1e6);
}

/* Trying again will not help. */
static bool is_final(int status)
{
    return status == ERR_PRECONDITION || status == ERR_CORRUPT;
}

static void note_reason(struct state *state, const char *reason)
{
    pthread_mutex_lock(&state->mutex);
    snprintf(state->reason, sizeof state->reason, "%s", reason);
    pthread_mutex_unlock(&state->mutex);
}

/* Until the store is back and has what it lacked. OK; ERR_CANCELLED: closing time is over; or what is final. */
static int wait_for_store(struct state *state, struct error *err)
{
    struct timespec began = sync_deadline_in_ms(0), last = began;
    int pause_ms = FIRST_PAUSE_MS, status;
    bool everything = false, go_on;
    size_t bytes = 0;

    for (;;) {
        pthread_mutex_lock(&state->mutex);
        go_on = pause_holding(state, pause_ms);
        pthread_mutex_unlock(&state->mutex);
        if (!go_on)
            return ERR_CANCELLED;
        status = try_again(state, &everything, &bytes, err);
        if (status == OK || is_final(status))
            break;
        note_reason(state, err->message);
        remind(state, &last, err->message);
        pause_ms = pause_ms * 2 < LAST_PAUSE_MS ? pause_ms * 2 : LAST_PAUSE_MS;
    }
    if (status != OK)
        return status;
    log_write(state->log, LOG_WARN, "state", "the store is back after %.1f s; %s written (%.1f MB)",
              seconds_since(&began),
              everything ? "it had lost data: everything that this leader holds was" : "what it lacked was",
              (double)bytes / 1e6);
    if (everything)
        log_write(state->log, LOG_WARN, "state",
                  "sessions that only the store had are lost where it has lost them: this leader holds those that ran "
                  "or were restored under it");
    if (state->told.tell.recovered)
        state->told.tell.recovered(state->told.tell.context, seconds_since(&began), bytes, everything);
    return OK;
}

/* ---- the thread ---- */

static void replaced(struct state *state, struct state_ticket *tickets, const char *reason)
{
    struct state_ticket *more;

    pthread_mutex_lock(&state->mutex);
    state->replaced = true;
    state_batch_free(state->pending);
    state->pending = NULL;
    state->inflight_bytes = 0;
    more = take_tickets(state);
    pthread_mutex_unlock(&state->mutex);
    log_write(state->log, LOG_WARN, "state", "%s", reason);
    if (state->told.tell.replaced)
        state->told.tell.replaced(state->told.tell.context, reason);
    tickets_answer(tickets, ERR_PRECONDITION, false);
    tickets_answer(more, ERR_PRECONDITION, false);
}

/* Nothing that is kept for the store has an end any more; its last good transaction stays. */
static void refused(struct state *state, struct state_ticket *tickets, const char *reason)
{
    struct state_ticket *more;

    pthread_mutex_lock(&state->mutex);
    state->refused = true;
    state->outage = false;
    snprintf(state->reason, sizeof state->reason, "%s", reason);
    state_batch_free(state->pending);
    state->pending = NULL;
    state->inflight_bytes = 0;
    more = take_tickets(state);
    pthread_mutex_unlock(&state->mutex);
    log_write(state->log, LOG_WARN, "state",
              "the store refuses what is written to it (%s): nothing is written to it any more; the leader goes on in "
              "memory, and what it does from now on will not survive it. Mend the store and restart the leader",
              reason);
    if (state->told.tell.outage)
        state->told.tell.outage(state->told.tell.context, reason);
    tickets_answer(tickets, OK, false);
    tickets_answer(more, OK, false);
}

/* false: nothing more comes. Fills what is to be sent. */
static bool next_batch(struct state *state, struct state_batch **batch, struct state_ticket **tickets)
{
    bool found;

    pthread_mutex_lock(&state->mutex);
    while (!state->pending && !state->tickets && !state->closing)
        pthread_cond_wait(&state->wake, &state->mutex);
    found = (state->pending || state->tickets) && (!state->closing || seconds_since(&state->close_by) < 0);
    if (found) {
        *batch = state->pending;
        *tickets = take_tickets(state);
        state->pending = NULL;
        state->inflight_bytes = state_batch_bytes(*batch);
    }
    pthread_mutex_unlock(&state->mutex);
    return found;
}

static bool take_incomplete(struct state *state)
{
    bool incomplete;

    pthread_mutex_lock(&state->mutex);
    incomplete = state->incomplete;
    state->incomplete = false;
    pthread_mutex_unlock(&state->mutex);
    return incomplete;
}

static int send_batch(struct state *state, const struct state_batch *batch, struct error *err)
{
    int64_t round = batch->round;
    int status;

    PROBE(state->probes, "state.before-commit", round);
    if (take_incomplete(state))
        return FAIL(err, ERR_UNAVAILABLE, "it has lost data");
    pthread_mutex_lock(&state->io);
    status = state->backend->ops->putall(state->backend->priv, batch, err);
    pthread_mutex_unlock(&state->io);
    if (status == OK)
        PROBE(state->probes, "state.committed", round);
    return status;
}

static void sent(struct state *state)
{
    pthread_mutex_lock(&state->mutex);
    state->transactions++;
    state->acknowledged_ns = clock_now_ns(&clock_system);
    state->inflight_bytes = 0;
    pthread_mutex_unlock(&state->mutex);
}

static void *run_writer(void *argument)
{
    struct state *state = argument;
    struct state_batch *batch = NULL;
    struct state_ticket *tickets = NULL;
    struct error err = ERROR_INIT;

    while (next_batch(state, &batch, &tickets)) {
        int status = state_batch_is_empty(batch) ? OK : send_batch(state, batch, &err);

        if (status == OK) {
            sent(state);
            tickets_answer(tickets, OK, true);
        } else if (!is_final(status)) {
            outage_begins(state, &batch, tickets, err.message);
            tickets = NULL;
            status = wait_for_store(state, &err);
        }
        state_batch_free(batch);
        batch = NULL;
        if (status == ERR_PRECONDITION)
            replaced(state, tickets, err.message);
        else if (status == ERR_CORRUPT)
            refused(state, tickets, err.message);
        if (status != OK)
            break;
    }
    return NULL;
}

int writer_start(struct state *state, struct error *err)
{
    state->writing = sync_start_thread(&state->writer, run_writer, state) == 0;
    return state->writing ? OK : FAIL(err, ERR_SETUP, "cannot start the thread that writes the state");
}

void writer_stop(struct state *state)
{
    size_t lost;

    if (!state->writing)
        return;
    pthread_mutex_lock(&state->mutex);
    state->closing = true;
    state->close_by = sync_deadline_in_ms(state->close_ms);
    pthread_cond_broadcast(&state->wake);
    pthread_mutex_unlock(&state->mutex);
    pthread_join(state->writer, NULL);
    state->writing = false;
    lost = state_batch_bytes(state->pending);
    if (lost)
        log_write(state->log, LOG_WARN, "state", "the store did not come back: it lacks the last %.1f MB",
                  (double)lost / 1e6);
}
