/* A posted session on its way: parsed, checked and made on the compute thread. Only sessions.c uses this. */
#ifndef FLOSIM_LEADER_SUBMISSION_H
#define FLOSIM_LEADER_SUBMISSION_H

#include "leader/leader_internal.h"

/* A request on its way through the compute thread. The body's bytes belong to the exchange, which stays open. */
struct submission {
    struct executor_task task;
    struct leader *leader;
    struct http_exchange *exchange; /* NULL: answered already */
    struct span text;
    bool blocking, made;
    bool resume; /* of the leader itself: its unfinished session goes on; nobody waits for an answer */

    struct session *session;
    char *session_id;
    char *from;                    /* where the state of a session that goes on comes from, in words; NULL: a new one */
    char *kept_config;             /* the session as it was posted, of the state; or NULL */
    struct state_batch *staged;    /* of a checkpoint: memory shows it, the store is told once the session is made */
    struct state_snapshot *before; /* what memory had in its place; NULL: nothing */
    double max_wait_s;
    char *warnings; /* what was wrong, one a line; or NULL */
    int status;
    struct error error;
};

/* Compute thread: from the text to a session that can begin (status OK), or to what is wrong with it. */
void submission_make(struct submission *self);
/* submission_state.c, compute thread: bring the session's state to memory, and say in `from` where it was. `name` NULL:
 * the session's newest checkpoint. */
int submission_load(struct submission *self);
int submission_load_file(struct submission *self, const char *name);
/* What came from a checkpoint becomes the session's state, or what was there before is there again. */
void submission_settle(struct submission *self);
/* The session that a leader left unfinished: fills session_id, kept_config. ERR_NOT_FOUND: there is none. */
int submission_find_unfinished(struct submission *self);
int submission_take_config(struct submission *self, const char *config_json);

void submission_free(struct submission *self);

#endif
