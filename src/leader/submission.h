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

    struct session *session;
    char *session_id;
    double max_wait_s;
    char *warnings; /* what was wrong, one a line; or NULL */
    int status;
    struct error error;
};

/* Compute thread: from the text to a session that can begin (status OK), or to what is wrong with it. */
void submission_make(struct submission *self);
void submission_free(struct submission *self);

#endif
