/* EdgeService as a client, on gRPC core's C API: one completion queue and thread for any number of channels.
 * Every answer comes as a callback on the loop's thread. Knows messages, not models. */
#ifndef FLOSIM_NET_EDGE_CLIENT_H
#define FLOSIM_NET_EDGE_CLIENT_H

#include <stddef.h>

#include "codec/edge_messages.h"
#include "util/error.h"
#include "util/log.h"
#include "util/loop.h"
#include "util/span.h"

struct edge_client;
struct edge_channel; /* one worker; kept open between calls */
struct edge_request; /* one call in progress */

struct edge_client_options {
    size_t max_message_length; /* bytes, both ways; 0: 1,048,576,000 */
    int reply_credits;         /* replies with weights that may be in memory or in transfer at once; 0: 8 */
    double receive_timeout_s;  /* for a reply in transfer, besides 2 s for each megabyte that was sent; 0: 10 */
    int keepalive_ms;          /* between pings on channels with keepalive, at least 1,000; 0: 30,000 */
    int keepalive_timeout_ms;  /* an unanswered ping ends the connection; 0: 30,000 */
};

/* `loop` and `log` are borrowed; the loop must outlive the client. ERR_SETUP, ERR_MEMORY. */
int edge_client_new(struct edge_client **out, const struct edge_client_options *options, struct loop *loop,
                    const struct log *log, struct error *err);

/* Cancels what is in progress (its callbacks come first, with ERR_CANCELLED), closes all channels, frees. Credits that
 * were kept may still be given back afterwards. Loop thread, but not in a callback. NULL is legal. */
void edge_client_free(struct edge_client *client);

/* Never blocks; connecting happens with the first call. `endpoint` is untrusted: "host:port" or "[ipv6]:port", else
 * ERR_INVALID. `keepalive`: send pings (only towards our own workers). Loop thread, as all that follows. */
int edge_channel_open(struct edge_client *client, const char *endpoint, int keepalive, struct edge_channel **out,
                      struct error *err);
void edge_channel_close(struct edge_channel *channel); /* cancels its calls; NULL is legal */

/* An answer. `body` holds the message's bytes (decode with codec/edge_messages.h, in place); NULL on failure.
 * A body that carries weights holds one of the client's credits (see edge_reply_keep_credit). */
struct edge_reply {
    struct error error; /* .status == OK on success; else what went wrong, with the peer's sentence */
    struct blob *body;  /* borrowed for the callback unless taken with blob_ref */
    struct edge_client *client;
    int holds_credit;
    double elapsed_s;
    size_t bytes_sent, bytes_received;
};

typedef void (*edge_callback)(void *context, struct edge_reply *reply);

/* Start a unary call. `head` and `weights` (may be NULL) are taken. A reply of training has at most as many weights as
 * were sent, or 8 MiB, any other reply is at most 1 MiB; what is larger, or comes too slowly, fails the call. The
 * callback runs exactly once, on the loop's thread, also on failure, cancellation or deadline (timeout_s <= 0: none). A
 * peer that cannot be reached or goes away is ERR_UNAVAILABLE at once. Returns the call for edge_request_cancel, valid
 * until the callback; NULL, and no callback, when out of memory. */
struct edge_request *edge_call_unary(struct edge_channel *channel, enum edge_method method, struct blob *head,
                                     struct blob *weights, double timeout_s, edge_callback callback, void *context);

/* StreamFile: head message, then `data` in chunks of chunk_size. `data` is taken. */
struct edge_request *edge_call_upload(struct edge_channel *channel, const char *model_id, const char *file_name,
                                      struct blob *data, size_t chunk_size, double timeout_s, edge_callback callback,
                                      void *context);
void edge_request_cancel(struct edge_request *request);

/* In the callback: keep the credit beyond it (the merge runs elsewhere); give it back later with edge_credit_release,
 * from any thread. Without a keep the credit returns when the callback does. Returns 1, or 0 when the reply holds none
 * (a failure, a reply without weights) and nothing must be given back. */
int edge_reply_keep_credit(struct edge_reply *reply);
void edge_credit_release(struct edge_client *client);

#endif
