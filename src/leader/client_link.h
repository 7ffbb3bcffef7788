/* How leader logic reaches a client, and the only way: gRPC is the first member; a virtual client and a sub-leader that
 * stands for many clients can be others. Each request answers by exactly one event on the loop's thread, also on
 * failure. Loop thread only; no slot may block. */
#ifndef FLOSIM_LEADER_CLIENT_LINK_H
#define FLOSIM_LEADER_CLIENT_LINK_H

#include "codec/edge_messages.h"
#include "util/error.h"
#include "util/span.h"

struct client_link;

/* A reply that carries weights holds one of the link's credits (so that few are in memory at once). It goes back when
 * the callback returns, unless the callback calls keep_credit(reply) (NULL: it holds none); then
 * release_credit(credit_owner) gives it back later. */
struct link_reply {
    struct error error;   /* .status == OK on success */
    struct span body;     /* the encoded response; valid during the callback … */
    struct blob *storage; /* … or for as long as a reference to this is held */
    double elapsed_s;
    size_t bytes_sent, bytes_received;
    void (*keep_credit)(struct link_reply *reply);
    void (*release_credit)(void *owner); /* any thread */
    void *credit_owner;
    void *credit_reply; /* the member's own, for keep_credit */
};

typedef void (*link_callback)(void *context, struct link_reply *reply);

/* What an echo sends, and what must come back. */
#define LINK_ECHO_TEXT "flosim"

/* Each request slot: OK and then exactly one callback, never from within the call; or a status < 0 and no callback. */
struct link_ops {
    const char *name;
    int (*echo)(struct client_link *link, double timeout_s, link_callback done, void *context);
    /* One file of the model folder. `data` borrowed for the call (take a reference to keep it). */
    int (*send_model)(struct client_link *link, const char *model_id, const char *file_name, struct blob *data,
                      double timeout_s, link_callback done, void *context);
    int (*benchmark)(struct client_link *link, const struct bench_request *request, double timeout_s,
                     link_callback done, void *context);
    int (*train)(struct client_link *link, const struct train_request *request, struct blob *weights, double timeout_s,
                 link_callback done, void *context);
    int (*validate)(struct client_link *link, const struct validation_request *request, struct blob *weights,
                    double timeout_s, link_callback done, void *context);
    int (*abort)(struct client_link *link, const struct abort_request *request, link_callback done, void *context);
    void (*close)(struct client_link *link); /* what is open is answered soon, not from within the
 call, with ERR_CANCELLED; the link is gone */
};

struct client_link {
    const struct link_ops *ops;
};

#endif
