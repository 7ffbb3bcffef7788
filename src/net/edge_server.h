/* EdgeService as a server, on gRPC core's C API: one completion queue, one thread. Knows messages, not models.
 * Echo is answered at once by that thread. The other methods are handed to `handlers` ON THE SERVER'S THREAD, which
 * must not block: they post to their loop and answer later through the call. */
#ifndef FLOSIM_NET_EDGE_SERVER_H
#define FLOSIM_NET_EDGE_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "codec/edge_messages.h"
#include "util/error.h"
#include "util/log.h"
#include "util/span.h"

struct edge_server;
struct edge_call; /* one call in progress; lives until it is answered */

struct edge_handlers {
    void *context;
    void (*echoed)(void *context); /* somebody reached us; may be NULL */

    /* The request and all it points to stay valid until the call is answered. Each must be answered exactly once by
     * edge_call_reply or edge_call_fail. */
    void (*bench)(void *context, struct edge_call *call, const struct bench_request *request);
    void (*train)(void *context, struct edge_call *call, const struct train_request *request);
    void (*validate)(void *context, struct edge_call *call, const struct validation_request *request);
    void (*abort)(void *context, struct edge_call *call, const struct abort_request *request);

    /* An upload, in order on the server's thread (small files; writing them there is fine). begin returns a status and
     * sets *upload; a failure answers the call with it. end(commit) is called exactly once after a successful begin:
     * commit false when the peer broke off. */
    int (*upload_begin)(void *context, const char *model_id, const char *file_name, void **upload, struct error *err);
    int (*upload_chunk)(void *upload, struct span chunk, struct error *err);
    int (*upload_end)(void *upload, bool commit, struct error *err);
};

struct edge_server_options {
    const char *bind;          /* host or address: "127.0.0.1", "0.0.0.0" */
    int port;                  /* 0: a free one */
    size_t max_message_length; /* bytes, both ways; 0: 1,048,576,000 */
};

/* Everything in options is copied; handlers are copied, their context is borrowed. A port in use is ERR_SETUP and says
 * so. Returns when the port is open. */
int edge_server_new(struct edge_server **out, const struct edge_server_options *options,
                    const struct edge_handlers *handlers, const struct log *log, struct error *err);
int edge_server_port(const struct edge_server *server);

/* Refuse new calls, cancel those in progress, join the thread, free. Calls that a handler still has must be answered
 * all the same, before or after; an answer after the end only gives the request's memory back. Not on the server's
 * thread. */
void edge_server_free(struct edge_server *server);

/* Any thread. Answer with a message: `head` (taken) and, for training, the shared weights slice behind it (taken; may
 * be NULL). The call is gone afterwards. */
void edge_call_reply(struct edge_call *call, struct blob *head, struct blob *weights);
void edge_call_fail(struct edge_call *call, const struct error *err);

/* By whom the call is with, before the answer: the received bytes may go. Of the request only strings and numbers may
 * be read afterwards, no span (a span's size is a number). */
void edge_call_drop_message(struct edge_call *call);

/* Any thread: has the peer gone or given up? */
bool edge_call_is_cancelled(const struct edge_call *call);

#endif
