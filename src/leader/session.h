/* One training session: wait for clients, echo, benchmark, then select -> distribute -> train -> aggregate -> validate
 * until a termination condition holds. Synchronous and asynchronous strategies run the same loop.
 *
 * A dead, hung or failing client costs a round at most its deadline; a round in which nobody answered is selected anew
 * and counted as lost. Every request for an update ends in exactly one of merged, refused, failed, dropped: their sum
 * is what was sent once the session is over (what is under way when it ends counts as failed; dropped are the surplus
 * of over-selection, and updates of rounds that missed their quorum). Loop thread only; heavy work runs on the
 * executor. */
#ifndef FLOSIM_LEADER_SESSION_H
#define FLOSIM_LEADER_SESSION_H

#include "leader/leader.h"
#include "leader/refusal.h"
#include "leader/roster.h"
#include "leader/session_setup.h"
#include "state/state.h"
#include "util/executor.h"

struct session;

/* Checkpoints of all sessions of a leader. Loop thread. */
struct checkpoint_tally {
    int64_t written, failed;
    int64_t round; /* the last one written; 0: none */
    double seconds, bytes;
};

struct session_env { /* all borrowed for the session's life */
    const struct leader_config *config;
    const struct leader_host *host; /* may be NULL */
    const struct log *log;
    struct loop *loop;
    struct executor *executor;
    struct roster *roster;
    struct state *state;
    struct checkpoint_tally *checkpoints; /* may be NULL */
    uint64_t leader_term;
    bool keeps_updates; /* the state outlives the leader: updates of a round under way are worth keeping there */
    /* The session has learnt, says `who`, that another leader has taken over; it is to be abandoned. Loop thread. NULL:
     * it abandons itself. */
    void (*replaced)(void *context, const char *who);
    void *replaced_context;
};

enum session_status { SESSION_WAITING, SESSION_RUNNING, SESSION_FINISHED, SESSION_FAILED, SESSION_STOPPED };

/* "waiting" … */
const char *session_status_text(enum session_status status);

/* Called once, when the session is over and its folder is written; may free the session. */
typedef void (*session_over)(void *context, struct session *session);

/* Takes the setup on success. May run on the compute thread (it allocates and encodes the weights). */
int session_new(struct session **out, const struct session_env *env, struct session_setup *setup, session_over over,
                void *context, struct error *err);
void session_set_over(struct session *session, session_over over, void *context);
void session_start(struct session *session);

/* Let the running round end (DELETE), or break off (the leader leaves). `over` follows in either case. */
void session_stop_after_round(struct session *session, const char *reason);
void session_stop_now(struct session *session, const char *reason);

/* Break off without a trace: another leader goes on with this session. Nothing more is written, nobody is told to stop.
 * `over` follows. */
void session_abandon(struct session *session, const char *reason);

/* Only after `over`, or before session_start. */
void session_free(struct session *session);

const char *session_id(const struct session *session);
enum session_status session_state(const struct session *session);
const char *session_reason(const struct session *session); /* why it ended */

/* GET /v1/sessions/{id}; `whole`: with rounds and config. New reference; NULL when out of memory. */
json_t *session_json(const struct session *session, bool whole);

/* The newest global model as safetensors; borrowed. */
struct blob *session_model(const struct session *session);

struct session_ledger {
    int64_t sent, merged, refused, failed, dropped, lost_rounds;
    int64_t refused_for[NUM_REFUSALS]; /* their sum is `refused` */
};

const struct session_ledger *session_ledger(const struct session *session);

/* An event for observers and events.jsonl that comes from outside of the session (the roster's). Fields are borrowed.
 */
void session_note_event(struct session *session, const char *name, json_t *fields);

#endif
