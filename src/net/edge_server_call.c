#include "net/edge_server_call.h"

#include <grpc/slice.h>
#include <stdlib.h>
#include <string.h>

/* --- operations --- */

/* Count a tag as given to gRPC. */
static void hold(struct edge_call *call)
{
    pthread_mutex_lock(&call->server->queue.mutex);
    call->pending++;
    pthread_mutex_unlock(&call->server->queue.mutex);
}

static void start(struct edge_call *call, const grpc_op *ops, size_t n, struct cq_tag *tag)
{
    grpc_call_error failure;

    hold(call);
    failure = grpc_call_start_batch(call->rpc, ops, n, tag, NULL);
    if (failure == GRPC_CALL_OK)
        return;
    log_write(call->server->log, LOG_WARN, "edge-server", "a call was dropped: %s", grpc_call_error_to_string(failure));
    pthread_mutex_lock(&call->server->queue.mutex);
    call->pending--;
    pthread_mutex_unlock(&call->server->queue.mutex);
    grpc_call_cancel(call->rpc, NULL);
}

static void start_receiving(struct edge_call *call)
{
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};

    op.data.recv_message.recv_message = &call->incoming;
    start(call, &op, 1, &call->received);
}

static void start_watching(struct edge_call *call)
{
    grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};

    op.data.recv_close_on_server.cancelled = &call->was_cancelled;
    start(call, &op, 1, &call->closed);
}

static void start_headers(struct edge_call *call, struct cq_tag *tag)
{
    grpc_op op = {.op = GRPC_OP_SEND_INITIAL_METADATA};

    call->headers_sent = true;
    start(call, &op, 1, tag);
}

static size_t status_op(grpc_op *op, const struct error *failure, grpc_slice *details)
{
    op->op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    op->data.send_status_from_server.status = (grpc_status_code)status_grpc_code(failure->status);
    op->data.send_status_from_server.status_details = details;
    return 1;
}

/* Send what the call was answered with. */
static void start_answer(struct edge_call *call)
{
    grpc_slice details = grpc_slice_from_copied_string(call->failure.message);
    grpc_byte_buffer *message = NULL;
    grpc_op ops[3] = {{0}};
    size_t n = 0;

    if (!call->headers_sent)
        ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
    if (call->failure.status == OK) {
        message = message_of_blobs(call->head, call->weights);
        call->head = call->weights = NULL;
        ops[n].op = GRPC_OP_SEND_MESSAGE;
        ops[n++].data.send_message.send_message = message;
    }
    n += status_op(&ops[n], &call->failure, &details);
    start(call, ops, n, &call->sent);
    grpc_byte_buffer_destroy(message); /* the call took its slices; NULL is legal */
    grpc_slice_unref(details);
}

/* --- end of a call --- */

static void free_call(struct edge_call *call)
{
    struct edge_server *server = call->server;

    edge_arena_free(call->arena);
    blob_unref(call->wire);
    blob_unref(call->head);
    blob_unref(call->weights);
    free(call);
    edge_server_unref(server);
}

static void free_rpc(struct edge_call *call)
{
    grpc_byte_buffer_destroy(call->incoming);
    call->incoming = NULL;
    grpc_metadata_array_destroy(&call->metadata);
    grpc_call_details_destroy(&call->details);
    if (call->rpc)
        grpc_call_unref(call->rpc);
    call->rpc = NULL;
}

/* A tag came back. When it was the last of a closed call, the call's gRPC part goes, and the call itself unless a
 * handler still has it. */
static void release(struct edge_call *call)
{
    struct edge_server *server = call->server;
    bool is_over, with_handler;

    pthread_mutex_lock(&server->queue.mutex);
    is_over = --call->pending == 0 && call->is_closed;
    with_handler = call->with_handler;
    if (is_over)
        free_rpc(call); /* before a handler may see that it is gone */
    pthread_mutex_unlock(&server->queue.mutex);
    if (!is_over)
        return;
    if (!with_handler)
        free_call(call);
    server->live--;
    if (!server->expected)
        edge_server_expect(server); /* there was no memory for it before */
    edge_server_end_if_idle(server);
}

/* Answer from the server's thread; `err` is OK when head and weights are set. */
static void answer(struct edge_call *call, const struct error *err)
{
    call->failure = *err;
    one_line(call->failure.message);
    start_answer(call);
}

/* --- answers of handlers, any thread --- */

static void hand_back(struct edge_call *call)
{
    struct edge_server *server = call->server;
    bool is_gone;

    pthread_mutex_lock(&server->queue.mutex);
    call->with_handler = false;
    is_gone = !call->rpc;
    if (!is_gone) {
        call->pending++;
        cq_thread_notify(call->rpc, &call->answered);
    }
    pthread_mutex_unlock(&server->queue.mutex);
    if (is_gone)
        free_call(call);
}

void edge_call_reply(struct edge_call *call, struct blob *head, struct blob *weights)
{
    call->head = head;
    call->weights = weights;
    hand_back(call);
}

void edge_call_fail(struct edge_call *call, const struct error *err)
{
    call->failure = *err;
    if (call->failure.status ==
        OK) /* an error without a status is our own bug; the peer must not take it for success */
        call->failure.status = ERR_INTERNAL;
    one_line(call->failure.message);
    hand_back(call);
}

void edge_call_drop_message(struct edge_call *call)
{
    blob_unref(call->wire);
    call->wire = NULL;
}

bool edge_call_is_cancelled(const struct edge_call *call)
{
    return atomic_load(&call->cancelled);
}

static void on_answered(void *owner, bool ok)
{
    struct edge_call *call = owner;

    (void)ok;
    if (!call->is_closed)
        start_answer(call);
    release(call);
}

/* --- tags, server's thread --- */

static void on_sent(void *owner, bool ok)
{
    (void)ok; /* whether the peer got it is told by `closed` */
    release(owner);
}

static void on_closed(void *owner, bool ok)
{
    struct edge_call *call = owner;

    (void)ok;
    call->is_closed = true;
    if (call->was_cancelled)
        atomic_store(&call->cancelled, true);
    release(call);
}

/* The headers of an upload's answer went out, or could not because the peer broke off: only the latter looks different
 * from an honest end of the stream. */
static void on_ended(void *owner, bool ok)
{
    struct edge_call *call = owner;
    struct error err = ERROR_INIT;

    err.status = edge_call_upload_end(call, ok, &err);
    answer(call, &err);
    release(call);
}

static void take_upload_part(struct edge_call *call)
{
    struct error err = ERROR_INIT;

    if (!call->wire && call->upload_open) {
        start_headers(call, &call->ended);
    } else if ((err.status = edge_call_upload_part(call, &err))) {
        edge_call_upload_end(call, false, NULL);
        answer(call, &err);
    } else {
        start_receiving(call);
    }
}

static void take_request(struct edge_call *call)
{
    struct error err = ERROR_INIT;

    if ((err.status = edge_call_dispatch(call, &err)))
        answer(call, &err);
}

static void on_received(void *owner, bool ok)
{
    struct edge_call *call = owner;
    struct error err = ERROR_INIT;
    bool whole = true;

    (void)ok; /* a failed receive gives no message */
    blob_unref(call->wire);
    call->wire = NULL;
    if (call->incoming) {
        whole = (call->wire = message_take_blob(call->incoming)) != NULL;
        grpc_byte_buffer_destroy(call->incoming);
        call->incoming = NULL;
    }
    if (!whole) {
        edge_call_upload_end(call, false, NULL);
        FAIL(&err, ERR_MEMORY, "out of memory for the message");
        answer(call, &err);
    } else if (call->method == EDGE_STREAM_FILE) {
        take_upload_part(call);
    } else {
        take_request(call);
    }
    release(call);
}

static unsigned find_method(grpc_slice path)
{
    for (unsigned i = 0; i < EDGE_NUM_METHODS; i++)
        if (grpc_slice_str_cmp(path, edge_method_path((enum edge_method)i)) == 0)
            return i;
    return METHOD_UNKNOWN;
}

static void begin(struct edge_call *call)
{
    struct error err = ERROR_INIT;

    call->server->live++;
    call->method = find_method(call->details.method);
    start_watching(call);
    if (call->method != METHOD_UNKNOWN) {
        start_receiving(call);
        return;
    }
    FAIL(&err, ERR_UNIMPLEMENTED, "EdgeService has no such method");
    answer(call, &err);
}

static void on_arrived(void *owner, bool ok)
{
    struct edge_call *call = owner;
    struct edge_server *server = call->server;

    server->expected = NULL;
    if (ok) {
        begin(call);
        edge_server_expect(server);
    } else { /* the server is stopping */
        free_rpc(call);
        free_call(call);
        edge_server_end_if_idle(server);
    }
}

static struct edge_call *new_call(struct edge_server *server)
{
    struct edge_call *call = calloc(1, sizeof *call);

    if (!call)
        return NULL;
    call->server = server;
    call->arrived = (struct cq_tag){on_arrived, call};
    call->received = (struct cq_tag){on_received, call};
    call->answered = (struct cq_tag){on_answered, call};
    call->sent = (struct cq_tag){on_sent, call};
    call->ended = (struct cq_tag){on_ended, call};
    call->closed = (struct cq_tag){on_closed, call};
    atomic_init(&call->cancelled, false);
    grpc_call_details_init(&call->details);
    grpc_metadata_array_init(&call->metadata);
    pthread_mutex_lock(&server->queue.mutex);
    server->refs++;
    pthread_mutex_unlock(&server->queue.mutex);
    return call;
}

void edge_server_expect(struct edge_server *server)
{
    struct edge_call *call = server->stopping ? NULL : new_call(server);
    grpc_call_error failure;

    if (!call)
        return;
    failure = grpc_server_request_call(server->server, &call->rpc, &call->details, &call->metadata, server->queue.cq,
                                       server->queue.cq, &call->arrived);
    if (failure == GRPC_CALL_OK) {
        server->expected = call;
        return;
    }
    log_write(server->log, LOG_ERROR, "edge-server", "cannot take calls: %s", grpc_call_error_to_string(failure));
    free_rpc(call);
    free_call(call);
}
