/* The beginning of a session: enough clients, and an echo from each of them. */

#include "leader/session_internal.h"

static size_t usable_clients(const struct session *session)
{
    size_t n = 0;

    for (size_t i = 0; i < roster_size(session->env.roster); i++)
        n += roster_obstacle(roster_at(session->env.roster, i), session_dataset(session)) == NULL;
    return n;
}

static void began(struct session *session)
{
    session->phase = PHASE_RUNNING;
    session->status = SESSION_RUNNING;
    session->began_ns = session_now_ns(session);
    session->compute.began_ns = session->began_ns;
    session->counts.began_ns = session->began_ns;
    session_emit(session, "session_started",
                 json_pack("{s:s, s:I, s:I, s:I}", "session_id", session_id(session), "clients",
                           (json_int_t)usable_clients(session), "num_rounds", (json_int_t)session_num_rounds(session),
                           "num_weights", (json_int_t)session->setup->layout.num_floats));
    session_ask(session);
}

/* ---- echo to all ---- */

static void echo_over(void *context)
{
    struct session *session = context;

    if (--session->echoes_due > 0)
        return;
    if (session->phase == PHASE_ENDING)
        session_try_finish(session);
    else
        began(session);
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

void session_wait_for_clients(struct session *session)
{
    const struct session_config *config = &session->setup->config;
    size_t wanted = config->session_config.wait_for_clients.min_clients > 1
                        ? (size_t)config->session_config.wait_for_clients.min_clients
                        : 1;
    size_t found = usable_clients(session);
    double waited_s = session_seconds_since(session, session->wait_began_ns);
    double poll_s = config->session_config.wait_for_clients.poll_interval_s;

    if (session->phase != PHASE_WAITING)
        return;
    if (found >= wanted) {
        echo_all(session);
        return;
    }
    if (waited_s >= config->session_config.wait_for_clients.max_wait_s) {
        session_end(session, SESSION_FAILED, "%zu of %zu clients with the data set `%s` after %.1f s", found, wanted,
                    session_dataset(session), waited_s);
        return;
    }
    session_set_wait(session, poll_s > 0.05 ? poll_s : 0.05);
}
