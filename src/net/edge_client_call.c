#include "net/edge_client_call.h"

#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_CHUNK_SIZE = 64 * 1024 };

/* --- operations, client's thread --- */

static bool carries_weights(const struct edge_request *request)
{
    return request->method == EDGE_START_TRAINING;
}

static void start(struct edge_request *request, const grpc_op *ops, size_t n, struct cq_tag *tag)
{
    grpc_call_error failure = grpc_call_start_batch(request->rpc, ops, n, tag, NULL);

    if (failure == GRPC_CALL_OK)
        request->pending++;
    else
        grpc_call_cancel_with_status(request->rpc, GRPC_STATUS_INTERNAL, grpc_call_error_to_string(failure), NULL);
}

static void start_headers(struct edge_request *request)
{
    grpc_op op = {.op = GRPC_OP_RECV_INITIAL_METADATA};

    op.data.recv_initial_metadata.recv_initial_metadata = &request->initial_metadata;
    start(request, &op, 1, &request->headers);
}

/* A reply that holds one of the few credits has a bounded time, the longer the more weights were sent (as many come
 * back): all at half a megabyte a second at least. */
static uint64_t receive_due_ns(const struct edge_request *request)
{
    double seconds = request->client->receive_timeout_s + (double)request->reply.bytes_sent / 0.5e6;

    return clock_now_ns(loop_clock(request->client->loop)) + (uint64_t)(seconds * 1e9);
}

static void start_receiving(struct edge_request *request)
{
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};

    if (carries_weights(request)) {
        pthread_mutex_lock(&request->client->queue.mutex);
        request->receive_due_ns = receive_due_ns(request);
        pthread_mutex_unlock(&request->client->queue.mutex);
    }
    op.data.recv_message.recv_message = &request->incoming;
    start(request, &op, 1, &request->received);
}

static void start_status(struct edge_request *request)
{
    grpc_op op = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};

    op.data.recv_status_on_client.trailing_metadata = &request->trailing_metadata;
    op.data.recv_status_on_client.status = &request->code;
    op.data.recv_status_on_client.status_details = &request->details;
    start(request, &op, 1, &request->status);
}

/* Send the headers (the first time), one message that is taken, and the end of the stream (the last time). */
static void start_sending(struct edge_request *request, struct blob *head, struct blob *tail, bool first, bool last)
{
    grpc_byte_buffer *message = message_of_blobs(head, tail);
    grpc_op ops[3] = {{0}};
    size_t n = 0;

    if (first)
        ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[n].op = GRPC_OP_SEND_MESSAGE;
    ops[n++].data.send_message.send_message = message;
    if (last)
        ops[n++].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    start(request, ops, n, &request->sent);
    grpc_byte_buffer_destroy(message); /* the call took its slices */
}

/* --- end --- */

/* The name of a code that no status of ours says in words: its sentence, often a stranger's, may not tell it. */
static const char *code_prefix(int code)
{
    switch (code) {
    case GRPC_STATUS_UNKNOWN:
        return "UNKNOWN: ";
    case GRPC_STATUS_ALREADY_EXISTS:
        return "ALREADY_EXISTS: ";
    case GRPC_STATUS_PERMISSION_DENIED:
        return "PERMISSION_DENIED: ";
    case GRPC_STATUS_ABORTED:
        return "ABORTED: ";
    case GRPC_STATUS_OUT_OF_RANGE:
        return "OUT_OF_RANGE: ";
    case GRPC_STATUS_UNIMPLEMENTED:
        return "UNIMPLEMENTED: ";
    case GRPC_STATUS_UNAUTHENTICATED:
        return "UNAUTHENTICATED: ";
    default:
        return "";
    }
}

static void describe_failure(struct edge_request *request, struct error *err)
{
    char *details = grpc_slice_to_c_string(request->details);
    int status = request->code ? status_from_grpc((int)request->code) : ERR_INTERNAL;

    if (!request->code)
        FAIL(err, status, "the peer answered without a message");
    else
        FAIL(err, status, "%s%s", code_prefix((int)request->code), *details ? details : status_text(status));
    one_line(err->message);
    gpr_free(details);
}

static void fill_reply(struct edge_request *request)
{
    struct edge_reply *reply = &request->reply;
    const struct clock *clock = loop_clock(request->client->loop);

    reply->client = request->client;
    reply->elapsed_s = (double)(clock_now_ns(clock) - request->started_ns) / 1e9;
    if (request->code != GRPC_STATUS_OK || !request->incoming) {
        describe_failure(request, &reply->error);
    } else if (!(reply->body = message_take_blob(request->incoming))) {
        FAIL(&reply->error, ERR_MEMORY, "out of memory for a reply");
    } else {
        reply->bytes_received = blob_size(reply->body);
        reply->holds_credit = carries_weights(request);
    }
    grpc_byte_buffer_destroy(request->incoming);
    request->incoming = NULL;
    if (carries_weights(request) && !reply->holds_credit)
        edge_credit_drop(request);
}

static void drop_rpc(struct edge_request *request)
{
    pthread_mutex_lock(&request->client->queue.mutex); /* edge_request_cancel may look */
    if (request->rpc)
        grpc_call_unref(request->rpc);
    request->rpc = NULL;
    pthread_mutex_unlock(&request->client->queue.mutex);
}

/* A tag came back: when none is left, the call is over. */
static void end_if_over(struct edge_request *request)
{
    bool is_over;

    pthread_mutex_lock(&request->client->queue.mutex);
    is_over = request->pending == 0 && request->status_known && !request->is_waiting && !request->grant_posted;
    pthread_mutex_unlock(&request->client->queue.mutex);
    if (!is_over)
        return;
    fill_reply(request);
    drop_rpc(request);
    edge_client_deliver(request);
}

/* --- tags --- */

static struct blob *next_chunk(struct edge_request *request)
{
    struct span data = blob_span(request->data);
    size_t left = data.size - request->data_sent;
    size_t size = left < request->chunk_size ? left : request->chunk_size;
    struct blob *chunk = NULL;

    edge_encode_upload_chunk(span_of((const char *)data.data + request->data_sent, size), &chunk, NULL);
    request->data_sent += size;
    return chunk;
}

static bool all_sent(const struct edge_request *request)
{
    return request->data_sent == blob_size(request->data);
}

static void on_sent(void *owner, bool ok)
{
    struct edge_request *request = owner;
    struct blob *chunk;

    request->pending--;
    if (ok && !all_sent(request)) {
        chunk = next_chunk(request);
        if (chunk)
            start_sending(request, chunk, NULL, false, all_sent(request));
        else
            grpc_call_cancel_with_status(request->rpc, GRPC_STATUS_RESOURCE_EXHAUSTED, "out of memory for a chunk",
                                         NULL);
    }
    end_if_over(request);
}

static void on_headers(void *owner, bool ok)
{
    struct edge_request *request = owner;

    (void)ok;
    request->pending--;
    if (carries_weights(request) && !request->status_known && edge_credit_take(request))
        start_receiving(request);
    end_if_over(request);
}

static void on_granted(void *owner, bool ok)
{
    struct edge_request *request = owner;

    (void)ok;
    pthread_mutex_lock(&request->client->queue.mutex);
    request->grant_posted = false;
    pthread_mutex_unlock(&request->client->queue.mutex);
    if (!request->status_known) /* else fill_reply gives the credit back */
        start_receiving(request);
    end_if_over(request);
}

static void on_received(void *owner, bool ok)
{
    struct edge_request *request = owner;

    (void)ok; /* a failed receive gives no message, and the status says why */
    pthread_mutex_lock(&request->client->queue.mutex);
    request->receive_due_ns = 0;
    pthread_mutex_unlock(&request->client->queue.mutex);
    request->pending--;
    end_if_over(request);
}

static void on_status(void *owner, bool ok)
{
    struct edge_request *request = owner;
    struct edge_client *client = request->client;
    bool still_waits;

    (void)ok;
    request->pending--;
    request->status_known = true;
    pthread_mutex_lock(&client->queue.mutex);
    still_waits = request->is_waiting;
    pthread_mutex_unlock(&client->queue.mutex);
    if (still_waits)
        edge_credit_drop(request);
    end_if_over(request);
}

static void on_started(void *owner, bool ok)
{
    struct edge_request *request = owner;
    struct blob *head = request->head, *weights = request->weights;

    (void)ok;
    request->head = request->weights = NULL;
    start_status(request);
    start_headers(request);
    if (!carries_weights(request))
        start_receiving(request);
    start_sending(request, head, weights, true, all_sent(request));
    end_if_over(request);
}

void edge_request_free(struct edge_request *request)
{
    grpc_metadata_array_destroy(&request->initial_metadata);
    grpc_metadata_array_destroy(&request->trailing_metadata);
    grpc_slice_unref(request->details);
    blob_unref(request->head);
    blob_unref(request->weights);
    blob_unref(request->data);
    blob_unref(request->reply.body);
    edge_connection_unref(request->connection);
    free(request);
}

/* --- starting and cancelling, loop's thread --- */

static gpr_timespec deadline_after(double timeout_s)
{
    if (!(timeout_s > 0) || timeout_s > 1e9)
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos((int64_t)(timeout_s * 1e9), GPR_TIMESPAN));
}

static void init_request(struct edge_request *request)
{
    request->started = (struct cq_tag){on_started, request};
    request->sent = (struct cq_tag){on_sent, request};
    request->headers = (struct cq_tag){on_headers, request};
    request->granted = (struct cq_tag){on_granted, request};
    request->received = (struct cq_tag){on_received, request};
    request->status = (struct cq_tag){on_status, request};
    grpc_metadata_array_init(&request->initial_metadata);
    grpc_metadata_array_init(&request->trailing_metadata);
    request->details = grpc_empty_slice();
}

static void begin(struct edge_request *request, double timeout_s)
{
    const struct edge_client *client = request->client;
    grpc_slice path = grpc_slice_from_static_string(edge_method_path(request->method));

    init_request(request);
    request->started_ns = clock_now_ns(loop_clock(client->loop));
    request->reply.bytes_sent = blob_size(request->head) + blob_size(request->weights) + blob_size(request->data);
    request->rpc = grpc_channel_create_call(request->connection->grpc, NULL, GRPC_PROPAGATE_DEFAULTS, client->queue.cq,
                                            path, NULL, deadline_after(timeout_s), NULL);
    edge_client_add(request);
    edge_credit_watch(request->client);
}

/* `weights`: bytes of them that go with the request. NULL when out of memory or closing; nothing is taken then. */
static struct edge_request *new_request(struct edge_channel *channel, enum edge_method method, size_t weights,
                                        edge_callback callback, void *context)
{
    struct edge_request *request = channel->client->closing ? NULL : calloc(1, sizeof *request);

    if (!request)
        return NULL;
    request->connection = edge_channel_connection(channel, weights);
    if (!request->connection) {
        free(request);
        return NULL;
    }
    request->client = channel->client;
    request->channel = channel;
    request->method = method;
    request->callback = callback;
    request->context = context;
    return request;
}

struct edge_request *edge_call_unary(struct edge_channel *channel, enum edge_method method, struct blob *head,
                                     struct blob *weights, double timeout_s, edge_callback callback, void *context)
{
    struct edge_request *request = new_request(channel, method, blob_size(weights), callback, context);

    if (!request) {
        blob_unref(head);
        blob_unref(weights);
        return NULL;
    }
    request->head = head;
    request->weights = weights;
    begin(request, timeout_s);
    return request;
}

struct edge_request *edge_call_upload(struct edge_channel *channel, const char *model_id, const char *file_name,
                                      struct blob *data, size_t chunk_size, double timeout_s, edge_callback callback,
                                      void *context)
{
    struct edge_request *request = new_request(channel, EDGE_STREAM_FILE, 0, callback, context);

    if (!request || edge_encode_upload_head(model_id, file_name, &request->head, NULL)) {
        if (request)
            edge_connection_unref(request->connection);
        free(request);
        blob_unref(data);
        return NULL;
    }
    request->data = data;
    request->chunk_size = chunk_size ? chunk_size : DEFAULT_CHUNK_SIZE;
    begin(request, timeout_s);
    return request;
}

void edge_request_cancel(struct edge_request *request)
{
    pthread_mutex_lock(&request->client->queue.mutex);
    if (request->rpc)
        grpc_call_cancel(request->rpc, NULL);
    pthread_mutex_unlock(&request->client->queue.mutex);
}
