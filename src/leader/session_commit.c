/* A finished round on its way from the compute thread to the world: the loop adds its part to what the state is to keep
 * and hands it over as one batch; once the state has it for sure the round is announced, and the next may begin. With a
 * state in memory that is at once. */
#include <stdio.h>
#include <stdlib.h>

#include "leader/session_internal.h"

/* ---- what the state says ---- */

/* Told once when it begins, and again when it is over. */
static void note_durability(struct session *session, const struct finished_round *round)
{
    bool outage = !round->ticket.durable && state_is_durable(session->env.state);
    struct state_health health;

    if (outage == session->outage)
        return;
    session->outage = outage;
    state_health(session->env.state, &health);
    if (!outage) {
        session_emit(session, "state_recovered", json_pack("{s:I}", "round", (json_int_t)round->number));
        log_write(session->env.log, LOG_WARN, "session", "the state store has everything again round=%lld",
                  (long long)round->number);
        return;
    }
    session_emit(session, "state_outage",
                 json_pack("{s:I, s:s, s:b}", "round", (json_int_t)round->number, "reason", health.reason, "final",
                           health.refused));
    log_write(session->env.log, LOG_WARN, "session", "the session goes on in memory: %s; %s round=%lld", health.reason,
              health.refused ? "nothing more is written" : "what the store lacks is written when it is back",
              (long long)round->number);
}

static void acknowledged(struct loop_event *event)
{
    struct finished_round *round = CONTAINER_OF(event, struct finished_round, ticket.event);
    struct session *session = round->session;

    round->acknowledged = true;
    if (round->ticket.status == ERR_PRECONDITION)
        session_abandon(session, "another leader has taken over");
    else if (round->ticket.status != OK)
        session_end(session, SESSION_FAILED, "the state of a round cannot be kept");
    else
        note_durability(session, round);
    session_checkpoint_if_due(session, round->number);
    session_rounds_ready(session);
    session_task_done(session); /* the ticket */
}

/* The batch is taken; waits: the round's ticket comes back. Memory needs no waiting. */
static void commit(struct session *session, struct state_batch *batch, struct finished_round *round)
{
    if (!state_is_durable(session->env.state)) {
        state_commit(session->env.state, batch, NULL);
        round->acknowledged = true;
        session_checkpoint_if_due(session, round->number);
        session_rounds_ready(session);
        return;
    }
    round->ticket = (struct state_ticket){.event = {.handle = acknowledged}, .loop = session->env.loop};
    session->tasks++;
    state_commit(session->env.state, batch, &round->ticket);
}

/* ---- rounds ---- */

void session_free_round(struct finished_round *round)
{
    session_model_fini(&round->model);
    json_decref(round->metrics);
    free(round);
}

void session_commit_round(struct session *session, struct finished_round *round)
{
    struct state_batch *batch = round->model.batch;
    struct error err = ERROR_INIT;
    int status = session_record_round(session, batch, round->number, round->metrics, &err);

    if (status == OK && round->model.stop)
        status = session_record_status(session, batch, SESSION_RUNNING, round->model.stop_reason, &err);
    round->model.batch = NULL;
    *session->due_tail = round;
    session->due_tail = &round->next;
    if (status != OK) { /* out of memory, as good as always: a state with a part of a round would be worse than none */
        state_batch_free(batch);
        round->acknowledged = true;
        session_end(session, SESSION_FAILED, "the round's state cannot be kept: %s", err.message);
        session_rounds_ready(session);
        return;
    }
    commit(session, batch, round);
}

void session_rounds_ready(struct session *session)
{
    while (session->due && session->due->acknowledged &&
           !session_checkpoint_is_awaited(session, session->due->number)) {
        struct finished_round *round = session->due;

        session->due = round->next;
        if (!session->due)
            session->due_tail = &session->due;
        session_round_announce(session, round); /* takes it */
    }
}

/* ---- beginning and end ---- */

void session_begin_record(struct session *session)
{
    struct state_batch *batch = session->first;

    session->first = NULL;
    session->recorded = true;
    state_commit(session->env.state, batch, NULL);
}

struct end_record {
    struct state_ticket ticket;
    struct session *session;
    void (*then)(struct session *session);
};

static void end_recorded(struct loop_event *event)
{
    struct end_record *self = CONTAINER_OF(event, struct end_record, ticket.event);
    struct session *session = self->session;
    void (*then)(struct session *) = self->then;

    free(self);
    session_checkpoint_end(session, then);
}

/* Only how it ended: the rest stays as the last finished round left it, for whoever takes the session up again. */
void session_end_record(struct session *session, void (*then)(struct session *session))
{
    struct end_record *self = session->recorded && !session->abandoned ? calloc(1, sizeof *self) : NULL;
    struct state_batch *batch = self ? state_batch_new() : NULL;
    struct error err = ERROR_INIT;

    if (!batch || session_record_status(session, batch, session->status, session->reason, &err) != OK) {
        state_batch_free(batch);
        free(self);
        then(session);
        return;
    }
    *self = (struct end_record){
        .ticket = {.event = {.handle = end_recorded}, .loop = session->env.loop}, .session = session, .then = then};
    state_commit(session->env.state, batch, &self->ticket);
}
