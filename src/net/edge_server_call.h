/* One call at the server: a small state machine on the server's thread. Private to edge_server*.c.
 *
 *   arrived ─► received ─► handler ┄► edge_call_reply (any thread) ─► answered ─► sent
 *        └───────────────────────────────────────────────► closed (peer gone, or all done)
 *
 * The gRPC part (`rpc`) goes when nothing is pending and the call is closed; the rest when the handler has answered
 * too, which may be after the server's own end. */
#ifndef FLOSIM_NET_EDGE_SERVER_CALL_H
#define FLOSIM_NET_EDGE_SERVER_CALL_H

#include <pthread.h>
#include <stdatomic.h>

#include "net/edge_server.h"
#include "net/grpc_runtime.h"

struct edge_server {
    struct edge_handlers handlers;
    const struct log *log;
    grpc_server *server;
    struct cq_thread queue; /* its mutex guards what says so */
    int port;
    struct cq_tag stopped;

    /* The server's thread only. */
    struct edge_call *expected; /* waits for somebody to call */
    size_t live;                /* calls that hold their rpc */
    bool stopping;

    size_t refs; /* guarded: the owner and every call that exists */
};

enum { METHOD_UNKNOWN = EDGE_NUM_METHODS };

struct edge_call {
    struct edge_server *server;
    struct cq_tag arrived, received, answered, sent, ended, closed;
    unsigned method; /* enum edge_method or METHOD_UNKNOWN */

    /* The server's thread only. */
    grpc_call_details details;
    grpc_metadata_array metadata;
    grpc_byte_buffer *incoming;
    int was_cancelled; /* gRPC writes it with `closed` */
    bool is_closed, headers_sent;
    void *upload;
    bool upload_open;

    /* With the handler until it answers. */
    struct blob *wire; /* the request points into it */
    union {
        struct bench_request bench;
        struct train_request train;
        struct validation_request validate;
        struct abort_request abort;
    } request;
    struct edge_arena *arena; /* of the request */

    atomic_bool cancelled;

    /* Guarded. */
    grpc_call *rpc;
    int pending;       /* tags that gRPC holds of this call */
    bool with_handler; /* given out, not answered yet */
    struct blob *head, *weights;
    struct error failure; /* status OK: answer with head and weights */
};

/* Server's thread. Wait for the next call; without memory this is tried again when a call ends. */
void edge_server_expect(struct edge_server *server);

/* Server's thread: shut the queue down once the server has stopped and no call holds its rpc any more. */
void edge_server_end_if_idle(struct edge_server *server);

void edge_server_unref(struct edge_server *server);

/* edge_server_methods.c. Server's thread: decode the message in call->wire and hand it on; a failure is the answer. */
int edge_call_dispatch(struct edge_call *call, struct error *err);

/* edge_server_upload.c: one message of StreamFile in call->wire; the end of the stream (`whole`: the peer meant it). */
int edge_call_upload_part(struct edge_call *call, struct error *err);
int edge_call_upload_end(struct edge_call *call, bool whole, struct error *err);

#endif
