#include "net/edge_client_call.h"

#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- operations, client's thread --- */

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

static void start_receiving(struct edge_request *request)
{
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};

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

static bool carries_weights(const struct edge_request *request)
{
    return request->method == EDGE_START_TRAINING;
}

static void describe_failure(struct edge_request *request, struct error *err)
{
    char *details = grpc_slice_to_c_string(request->details);
    int status = request->code ? status_from_grpc((int)request->code) : ERR_INTERNAL;

    if (!request->code)
        FAIL(err, status, "the peer answered without a message");
    else if (!*details)
        FAIL(err, status, "%s", status_text(status));
    else
        FAIL(err, status, "%s", details);
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
    } else if (!(reply->body = message_to_blob(request->incoming))) {
        FAIL(&reply->error, ERR_MEMORY, "out of memory for a reply of %zu bytes",
             grpc_byte_buffer_length(request->incoming));
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
    pthread_mutex_lock(&request->client->mutex); /* edge_request_cancel may look */
    if (request->rpc)
        grpc_call_unref(request->rpc);
    request->rpc = NULL;
    pthread_mutex_unlock(&request->client->mutex);
}

/* A tag came back: when none is left, the call is over. */
static void end_if_over(struct edge_request *request)
{
    bool is_over;

    pthread_mutex_lock(&request->client->mutex);
    is_over = request->pending == 0 && request->status_known && !request->is_waiting && !request->grant_posted;
    pthread_mutex_unlock(&request->client->mutex);
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
    pthread_mutex_lock(&request->client->mutex);
    request->grant_posted = false;
    pthread_mutex_unlock(&request->client->mutex);
    if (!request->status_known) /* else fill_reply gives the credit back */
        start_receiving(request);
    end_if_over(request);
}

static void on_received(void *owner, bool ok)
{
    struct edge_request *request = owner;

    (void)ok; /* a failed receive gives no message, and the status says why */
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
    pthread_mutex_lock(&client->mutex);
    still_waits = request->is_waiting;
    pthread_mutex_unlock(&client->mutex);
    if (still_waits)
        edge_credit_drop(request);
    end_if_over(request);
}

static void on_started(void *owner, bool ok)
{
    struct edge_request *request = owner;
    struct blob *head, *weights;

    (void)ok;
    pthread_mutex_lock(&request->client->mutex); /* sees what the loop's thread wrote */
    head = request->head;
    weights = request->weights;
    request->head = request->weights = NULL;
    pthread_mutex_unlock(&request->client->mutex);
    start_status(request);
    start_headers(request);
    if (!carries_weights(request))
        start_receiving(request);
    start_sending(request, head, weights, true, all_sent(request));
    end_if_over(request);
}

/* --- life --- */

void edge_request_init(struct edge_request *request)
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

void edge_request_free(struct edge_request *request)
{
    grpc_metadata_array_destroy(&request->initial_metadata);
    grpc_metadata_array_destroy(&request->trailing_metadata);
    grpc_slice_unref(request->details);
    blob_unref(request->head);
    blob_unref(request->weights);
    blob_unref(request->data);
    blob_unref(request->reply.body);
    free(request);
}
