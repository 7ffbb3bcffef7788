/* The beginning of a session: enough clients, and an echo from each of them. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leader/session_internal.h"

/* Clients find a leader that was started again by themselves, but not at once. */
#define LEAST_WAIT_FOR_THE_SAME_S 30.0

static size_t usable_clients(const struct session *session)
{
    size_t n = 0;

    for (size_t i = 0; i < roster_size(session->env.roster); i++)
        n += roster_obstacle(roster_at(session->env.roster, i), session_dataset(session)) == NULL;
    return n;
}

static void tell_begin(struct session *session)
{
    const struct session_kept *kept = &session->kept;
    json_t *fields =
        json_pack("{s:s, s:I, s:I, s:I}", "session_id", session_id(session), "clients",
                  (json_int_t)usable_clients(session), "num_rounds", (json_int_t)session_num_rounds(session),
                  "num_weights", (json_int_t)session->setup->layout.num_floats);

    if (fields && kept->mode) {
        json_object_set_new(fields, "mode", json_string(kept->mode));
        json_object_set_new(fields, "from", json_string(session->setup->restore.from));
        json_object_set_new(fields, "round", json_integer((json_int_t)session->version));
    }
    session_emit(session, kept->mode ? "session_restored" : "session_started", fields);
    if (kept->mode)
        log_write(session->env.log, LOG_INFO, "session", "%s from %s: session %s goes on after round %lld of %lld",
                  kept->mode, session->setup->restore.from, session_id(session), (long long)session->version,
                  (long long)session_num_rounds(session));
}

static void began(struct session *session)
{
    /* Somebody's registration may have ended the waiting before the next poll, which would be taken for a later wait.
     */
    loop_timer_cancel(session->env.loop, &session->wait_timer);
    session->phase = PHASE_RUNNING;
    session->status = SESSION_RUNNING;
    session->began_ns = session_now_ns(session);
    session->sampling = loop_sample_begin(session->env.loop, NULL) == OK;
    session->compute.began_ns = session->began_ns;
    session->counts.began_ns = session->began_ns;
    if (!session->recorded)
        session_begin_record(session);
    tell_begin(session);
    if (*session->last_reason)
        session_end(session, SESSION_FINISHED, "%s", session->last_reason);
    else
        session_ask(session);
}

/* ---- the same clients as before ---- */

static bool is_usable(const struct session *session, const char *id)
{
    const struct roster_client *client = roster_find(session->env.roster, id);

    return client && !roster_obstacle(client, session_dataset(session));
}

/* How many of them are not there; `text` [size] gets the first of their ids. */
static size_t list_missing(const struct session *session, char *text, size_t size)
{
    size_t missing = 0, used = 0, i;
    json_t *id;

    *text = '\0';
    json_array_foreach(session->kept.clients, i, id)
    {
        const char *name = json_string_value(id);

        if (is_usable(session, name))
            continue;
        missing++;
        if (used + strlen(name) + 8 < size)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", name);
        else if (used > 0 && used + 4 < size && text[used - 1] != '.')
            used += (size_t)snprintf(text + used, size - used, " ...");
    }
    return missing;
}

static bool all_are_back(const struct session *session)
{
    char text[8];

    return list_missing(session, text, sizeof text) == 0;
}

/* ---- echo to all ---- */

static void echo_over(void *context)
{
    struct session *session = context;

    if (--session->echoes_due > 0)
        return;
    if (session->phase == PHASE_ENDING) {
        session_try_finish(session);
    } else if (!all_are_back(session)) { /* who did not answer is out of contact */
        session->phase = PHASE_WAITING;
        session_wait_for_clients(session);
    } else {
        began(session);
    }
}

static void echo_all(struct session *session)
{
    size_t n = roster_size(session->env.roster);

    session->phase = PHASE_CONNECTING;
    session->echoes_due = 1; /* ours, so that nothing begins before the last is sent */
    for (size_t i = 0; i < n; i++) {
        struct roster_client *client = roster_at(session->env.roster, i);

        if (client->active && roster_echo(session->env.roster, client, echo_over, session))
            session->echoes_due++;
    }
    echo_over(session);
}

/* ---- waiting ---- */

void session_wait_over(struct loop_timer *timer)
{
    struct session *session = CONTAINER_OF(timer, struct session, wait_timer);

    if (session->phase == PHASE_RUNNING)
        session_nobody_came(session);
    else
        session_wait_for_clients(session);
}

void session_set_wait(struct session *session, double seconds)
{
    /* Without its timer it would wait for ever. */
    if (loop_timer_set(session->env.loop, &session->wait_timer, (uint64_t)(seconds * 1e9), NULL) != OK)
        session_end(session, SESSION_FAILED, "no memory for a timer");
}

struct revival {
    struct executor_task task;
    struct session *session;
    struct error error;
};

static void revive(struct executor_task *task)
{
    struct revival *self = CONTAINER_OF(task, struct revival, task);

    session_fall_back_to_revive(self->session, &self->error);
}

static void revived(struct executor_task *task)
{
    struct revival *self = CONTAINER_OF(task, struct revival, task);
    struct session *session = self->session;
    struct error err = self->error;

    session->asking = false;
    free(self);
    if (err.status != OK)
        session_end(session, SESSION_FAILED, "it cannot be revived: %s", err.message);
    else
        session_wait_for_clients(session);
    session_task_done(session);
}

/* They did not come: without them it is revived where that was asked for too, else refused. */
static void go_without(struct session *session, double waited_s)
{
    char ids[400];
    size_t missing = list_missing(session, ids, sizeof ids);
    struct revival *self = session->setup->restore.revive ? calloc(1, sizeof *self) : NULL;

    if (!self) {
        session_end(
            session, SESSION_FAILED,
            "it cannot be restored: %zu of its %zu clients are not here after %.1f s: %s; start them, or revive it",
            missing, json_array_size(session->kept.clients), waited_s, ids);
        return;
    }
    log_write(session->env.log, LOG_WARN, "session",
              "cannot be restored, so it is revived: %zu of its clients are not here: %s session=%s", missing, ids,
              session_id(session));
    *self = (struct revival){.task = {.run = revive, .done = revived}, .session = session};
    session->asking = true; /* keeps others from coming here again */
    session->tasks++;
    executor_submit(session->env.executor, &self->task);
}

void session_wait_for_clients(struct session *session)
{
    const struct session_config *config = &session->setup->config;
    size_t wanted = config->session_config.wait_for_clients.min_clients > 1
                        ? (size_t)config->session_config.wait_for_clients.min_clients
                        : 1;
    size_t found = usable_clients(session);
    double waited_s = session_seconds_since(session, session->wait_began_ns);
    double poll_s = config->session_config.wait_for_clients.poll_interval_s;
    double most_s = config->session_config.wait_for_clients.max_wait_s;

    if (session->phase != PHASE_WAITING || session->asking)
        return;
    if (session->kept.mode && most_s <= 0)
        most_s = LEAST_WAIT_FOR_THE_SAME_S;
    if (*session->last_reason) { /* nobody has to do anything any more */
        began(session);
        return;
    }
    if (found >= wanted && all_are_back(session)) {
        echo_all(session);
        return;
    }
    if (waited_s >= most_s && session->kept.clients) {
        go_without(session, waited_s);
        return;
    }
    if (waited_s >= most_s) {
        session_end(session, SESSION_FAILED, "%zu of %zu clients with the data set `%s` after %.1f s", found, wanted,
                    session_dataset(session), waited_s);
        return;
    }
    session_set_wait(session, poll_s > 0.05 ? poll_s : 0.05);
}
