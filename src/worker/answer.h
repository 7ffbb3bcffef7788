/* An answer that is ready to send, as often as it is asked for. */
#ifndef FLOSIM_WORKER_ANSWER_H
#define FLOSIM_WORKER_ANSWER_H

#include "net/edge_server.h"
#include "util/error.h"
#include "util/span.h"

struct answer {
    struct error error;   /* .status == OK: head (and weights) hold the message; else the failure */
    struct blob *head;    /* the encoded message, up to the weights */
    struct blob *weights; /* NULL: none */
};

void answer_fini(struct answer *answer);
void answer_send(const struct answer *answer, struct edge_call *call);

/* A second owner of the same bytes. */
struct answer answer_share(const struct answer *answer);

#endif
