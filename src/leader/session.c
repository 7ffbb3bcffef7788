#include "leader/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leader/session_internal.h"

uint64_t session_now_ns(const struct session *session)
{
    return clock_now_ns(loop_clock(session->env.loop));
}

double session_seconds_since(const struct session *session, uint64_t then_ns)
{
    uint64_t now_ns = session_now_ns(session);

    return now_ns > then_ns ? (double)(now_ns - then_ns) * 1e-9 : 0;
}

double session_elapsed_s(const struct session *session)
{
    return session->kept.elapsed_s + (session->began_ns ? session_seconds_since(session, session->began_ns) : 0);
}

const char *session_dataset(const struct session *session)
{
    return session->setup->config.client_training_config.dataset;
}

int64_t session_num_rounds(const struct session *session)
{
    return session->setup->config.server_training_config.num_training_rounds;
}

const char *session_status_text(enum session_status status)
{
    static const char *const texts[] = {"waiting", "running", "finished", "failed", "stopped"};

    return texts[status];
}

const char *session_id(const struct session *session)
{
    return session->setup->session_id;
}

enum session_status session_state(const struct session *session)
{
    return session->phase == PHASE_OVER || session->phase < PHASE_ENDING ? session->status : SESSION_RUNNING;
}

const char *session_reason(const struct session *session)
{
    return session->reason;
}

struct blob *session_model(const struct session *session)
{
    return session->image;
}

const struct session_ledger *session_ledger(const struct session *session)
{
    return &session->ledger;
}

/* ---- events ---- */

void session_note_event(struct session *session, const char *name, json_t *fields)
{
    if (!session->abandoned)
        report_event(&session->setup->report, name, json_incref(fields));
}

void session_emit(struct session *session, const char *name, json_t *fields)
{
    const struct leader_host *host = session->env.host;

    if (fields && host && host->observe)
        host->observe(host->context, name, fields);
    if (session->abandoned)
        json_decref(fields);
    else
        report_event(&session->setup->report, name, fields);
}

/* Whoever goes out of contact fails what it has in hand; whoever comes may be selected. */
static void roster_changed(struct roster_listener *listener, struct roster_client *client, enum roster_change change)
{
    struct session *session = CONTAINER_OF(listener, struct session, listener);
    struct session_job *next;
    struct error err = ERROR_INIT;

    if (change != ROSTER_INACTIVE) {
        if (session->phase == PHASE_WAITING)
            session_wait_for_clients(session);
        else if (change == ROSTER_ACTIVE)
            session_ask(session);
        return;
    }
    FAIL(&err, ERR_UNAVAILABLE, "out of contact: %s", client->reason);
    for (struct session_job *job = session->jobs; job; job = next) {
        next = job->next;
        if (job->client == client)
            session_job_fail(job, &err);
    }
}

/* ---- life ---- */

int session_new(struct session **out, const struct session_env *env, struct session_setup *setup, session_over over,
                void *context, struct error *err)
{
    struct session *session = calloc(1, sizeof *session);
    int status;

    *out = NULL;
    if (!session)
        return FAIL(err, ERR_MEMORY, "no memory for a session");
    session->env = *env;
    session->setup = setup;
    session->over = over;
    session->over_context = context;
    session->answers_tail = &session->answers;
    session->due_tail = &session->due;
    session->keeps_updates = env->keeps_updates && (setup->strategies.selector->flags & FLOSIM_KEEPS_UPDATES);
    session->listener.changed = roster_changed;
    session->rounds = json_array();
    loop_timer_init(&session->wait_timer, session_wait_over);
    session_hold_init(&session->control, session);
    session_hold_init(&session->training_hold, session);
    status = session->rounds ? session_compute_init(session, err) : FAIL(err, ERR_MEMORY, "no memory for a session");
    if (status == OK)
        status = session_take_up(session, err);
    if (status != OK) {
        session->setup = NULL;
        session_free(session);
        return status;
    }
    *out = session;
    return OK;
}

void session_set_over(struct session *session, session_over over, void *context)
{
    session->over = over;
    session->over_context = context;
}

void session_start(struct session *session)
{
    session->wait_began_ns = session_now_ns(session);
    roster_hold(session->env.roster); /* until finished: tallies and jobs point to its clients */
    roster_listen(session->env.roster, &session->listener);
    if (!session->kept.mode)
        session_begin_record(session);
    session_wait_for_clients(session);
}

void session_stop_after_round(struct session *session, const char *reason)
{
    if (session->phase >= PHASE_ENDING)
        return;
    snprintf(session->stop_reason, sizeof session->stop_reason, "%s", reason);
    session->stop_after_round = true;
    if (session->phase != PHASE_RUNNING)
        session_end(session, SESSION_STOPPED, "%s", reason);
    else
        session_ask(session);
}

void session_stop_now(struct session *session, const char *reason)
{
    session_end(session, SESSION_STOPPED, "%s", reason);
    session->compute.broken_off = true;
}

void session_abandon(struct session *session, const char *reason)
{
    session->abandoned = true;
    session_stop_now(session, reason);
}

void session_free(struct session *session)
{
    if (!session)
        return;
    session_compute_fini(session);
    session_checkpoints_fini(session);
    blob_unref(session->image);
    state_batch_free(session->first);
    free(session->clients_text);
    session_kept_fini(&session->kept);
    free(session->tallies);
    json_decref(session->rounds);
    session_setup_free(session->setup);
    free(session);
}

/* ---- GET /v1/sessions/{id} ---- */

json_t *session_ledger_json(const struct session_ledger *ledger)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "sent", (json_int_t)ledger->sent, "merged",
                     (json_int_t)ledger->merged, "refused", (json_int_t)ledger->refused, "failed",
                     (json_int_t)ledger->failed, "dropped", (json_int_t)ledger->dropped, "refused_for",
                     session_refusals_json(ledger->refused_for));
}

json_t *session_json(const struct session *session, bool whole)
{
    const struct round_counts *counts = &session->counts;
    json_t *json = json_pack("{s:s, s:s, s:s, s:I, s:I}", "session_id", session_id(session), "status",
                             session_status_text(session_state(session)), "reason", session->reason, "round",
                             (json_int_t)session->version, "num_rounds", (json_int_t)session_num_rounds(session));

    if (!json || !whole)
        return json;
    json_object_set_new(json, "progress",
                        json_pack("{s:I, s:I}", "selected", (json_int_t)counts->selected, "done",
                                  (json_int_t)(counts->merged + counts->refused + counts->failed + counts->dropped)));
    json_object_set_new(json, "lost_rounds", json_integer((json_int_t)session->ledger.lost_rounds));
    json_object_set_new(json, "ledger", session_ledger_json(&session->ledger));
    json_object_set(json, "rounds", session->rounds);
    json_object_set_new(json, "config", json_loads(session->setup->config_json, 0, NULL));
    return json;
}
