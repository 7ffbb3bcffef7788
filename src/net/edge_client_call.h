/* One call of the client: a small state machine on the client's thread. Private to edge_client*.c.
 *
 *   started ─► sent (each message of an upload) ┐
 *        ├───► headers ─► (a credit) ─► received ├─► all back and status known: the reply, to the loop
 *        └───► status ──────────────────────────┘
 *
 * A reply with weights is not read before it has a credit; until then flow control keeps it at the worker. */
#ifndef FLOSIM_NET_EDGE_CLIENT_CALL_H
#define FLOSIM_NET_EDGE_CLIENT_CALL_H

#include <pthread.h>
#include <stdbool.h>

#include "net/edge_client.h"
#include "net/grpc_runtime.h"

enum {
    EDGE_SMALL_REPLY = 1 << 20, /* the most that a reply has besides weights */
    EDGE_TARGET_MAX = 300,
};

/* A gRPC channel with a bound for replies, which gRPC takes for a channel's whole life only. Kept by the channel and by
 * each of its calls. Loop's thread. */
struct edge_connection {
    grpc_channel *grpc;
    size_t refs;
    int max_reply; /* bytes of a reply with weights */
};

struct edge_channel {
    struct edge_client *client;
    struct edge_channel *previous, *next;
    struct edge_connection *connection; /* the latest; NULL: no call yet */
    int keepalive;
    char target[EDGE_TARGET_MAX];
};

struct request_list {
    struct edge_request *first, *last;
};

struct edge_client {
    struct loop *loop;
    const struct log *log;
    int max_message_length, keepalive_ms, keepalive_timeout_ms;
    struct cq_thread queue;
    struct edge_channel *channels; /* loop's thread only */
    struct loop_event wake;        /* a reply is in `done` */
    struct loop_timer watch;       /* for replies that come too slowly; set while calls are active */
    double receive_timeout_s;

    /* Guarded by the queue's mutex. */
    size_t refs; /* the owner, the wake event while posted, each credit that was kept */
    bool closing, wake_posted;
    size_t num_active;
    struct request_list active;  /* started, not yet in `done` */
    struct request_list waiting; /* for a credit, in order; linked by next_waiting */
    struct request_list done;
    int credits;
};

struct edge_request {
    struct edge_request *previous, *next; /* in `active`, then in `done` */
    struct edge_request *next_waiting;
    struct edge_client *client;
    struct edge_channel *channel; /* guarded; NULL once closed */
    struct edge_connection *connection;
    enum edge_method method;
    edge_callback callback;
    void *context;
    grpc_call *rpc; /* guarded; NULL once over */
    struct cq_tag started, sent, headers, granted, received, status;

    /* What to send: `head` and then, for an upload, `data` in chunks. */
    struct blob *head, *weights, *data;
    size_t chunk_size, data_sent;

    /* The client's thread only. */
    int pending; /* tags that gRPC holds */
    bool status_known;
    grpc_byte_buffer *incoming;
    grpc_metadata_array initial_metadata, trailing_metadata;
    grpc_status_code code;
    grpc_slice details;

    /* Guarded. */
    bool is_waiting, grant_posted, has_credit;
    uint64_t receive_due_ns; /* by then the reply must have come, for others wait for its credit; 0: not receiving */

    uint64_t started_ns;
    struct edge_reply reply; /* filled when the call is over */
};

/* edge_client_call.c */
void edge_request_free(struct edge_request *request);

/* edge_channel.c. Loop's thread. A reference to a connection whose replies may be as large as so many bytes of weights:
 * the channel's, or a new one in its place. NULL: out of memory. */
struct edge_connection *edge_channel_connection(struct edge_channel *channel, size_t weights);
void edge_connection_unref(struct edge_connection *connection); /* NULL is legal */

/* edge_client.c. Loop's thread: the call is ready; hand it to the client's thread. */
void edge_client_add(struct edge_request *request);
/* Client's thread: the reply is filled; hand it to the loop. */
void edge_client_deliver(struct edge_request *request);
/* Loop's thread: cancel the calls of a channel, or all (NULL). */
void edge_client_cancel(struct edge_client *client, const struct edge_channel *channel);
void edge_client_unref(struct edge_client *client);

/* edge_client_credit.c. Client's thread: read the reply now, or wait for a credit. True: a credit is held. */
bool edge_credit_take(struct edge_request *request);
/* The call is over without a reply to read. */
void edge_credit_drop(struct edge_request *request);
/* Any thread: to the next who waits, or back to the client. */
void edge_credit_give(struct edge_client *client);
/* Loop's thread: see that what holds a credit moves, while calls are active. */
void edge_credit_watch(struct edge_client *client);
void edge_credit_watch_init(struct edge_client *client);

#endif
