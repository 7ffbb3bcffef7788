#include "leader/client_link_grpc.h"

#include <stdbool.h>
#include <stdlib.h>

/* A link outlives its close by the calls that are still to be answered. */
struct grpc_link {
    struct client_link base;
    const struct grpc_links *links;
    struct edge_channel *channel; /* NULL: closed */
    size_t open_calls;
};

struct grpc_call {
    struct grpc_link *link;
    link_callback done;
    void *context;
};

static struct grpc_link *grpc_link_of(struct client_link *link)
{
    return CONTAINER_OF(link, struct grpc_link, base);
}

static void release_credit(void *owner)
{
    edge_credit_release(owner);
}

static void keep_credit(struct link_reply *reply)
{
    edge_reply_keep_credit(reply->credit_reply);
}

static void free_if_over(struct grpc_link *link)
{
    if (!link->channel && link->open_calls == 0)
        free(link);
}

static void answered(void *context, struct edge_reply *reply)
{
    struct grpc_call *call = context;
    struct grpc_link *link = call->link;
    struct link_reply answer = {
        .error = reply->error,
        .body = blob_span(reply->body),
        .storage = reply->body,
        .elapsed_s = reply->elapsed_s,
        .bytes_sent = reply->bytes_sent,
        .bytes_received = reply->bytes_received,
        .keep_credit = reply->holds_credit ? keep_credit : NULL,
        .release_credit = release_credit,
        .credit_owner = reply->client,
        .credit_reply = reply,
    };

    call->done(call->context, &answer);
    free(call);
    link->open_calls--;
    free_if_over(link);
}

static struct grpc_call *new_call(struct client_link *link, link_callback done, void *context)
{
    struct grpc_call *call = malloc(sizeof *call);

    if (!call)
        return NULL;
    *call = (struct grpc_call){grpc_link_of(link), done, context};
    call->link->open_calls++;
    return call;
}

/* Takes the head; the weights are shared. */
static int start(struct client_link *link, enum edge_method method, struct blob *head, struct blob *weights,
                 double timeout_s, link_callback done, void *context)
{
    struct grpc_call *call = new_call(link, done, context);

    if (!call) {
        blob_unref(head);
        return ERR_MEMORY;
    }
    if (edge_call_unary(call->link->channel, method, head, blob_ref(weights), timeout_s, answered, call))
        return OK;
    call->link->open_calls--;
    free(call);
    return ERR_MEMORY;
}

static int echo(struct client_link *link, double timeout_s, link_callback done, void *context)
{
    struct blob *head;
    int status = edge_encode_text(LINK_ECHO_TEXT, &head, NULL);

    return status == OK ? start(link, EDGE_ECHO, head, NULL, timeout_s, done, context) : status;
}

static int send_model(struct client_link *link, const char *model_id, const char *file_name, struct blob *data,
                      double timeout_s, link_callback done, void *context)
{
    struct grpc_call *call = new_call(link, done, context);

    if (!call)
        return ERR_MEMORY;
    if (edge_call_upload(call->link->channel, model_id, file_name, blob_ref(data), call->link->links->chunk_size,
                         timeout_s, answered, call))
        return OK;
    call->link->open_calls--;
    free(call);
    return ERR_MEMORY;
}

static int benchmark(struct client_link *link, const struct bench_request *request, double timeout_s,
                     link_callback done, void *context)
{
    struct blob *head;
    int status = edge_encode_bench_request(request, &head, NULL);

    return status == OK ? start(link, EDGE_INIT_BENCH, head, NULL, timeout_s, done, context) : status;
}

static int train(struct client_link *link, const struct train_request *request, struct blob *weights, double timeout_s,
                 link_callback done, void *context)
{
    struct blob *head;
    int status = edge_encode_train_request(request, blob_size(weights), &head, NULL);

    return status == OK ? start(link, EDGE_START_TRAINING, head, weights, timeout_s, done, context) : status;
}

static int validate(struct client_link *link, const struct validation_request *request, struct blob *weights,
                    double timeout_s, link_callback done, void *context)
{
    struct blob *head;
    int status = edge_encode_validation_request(request, blob_size(weights), &head, NULL);

    return status == OK ? start(link, EDGE_START_VALIDATION, head, weights, timeout_s, done, context) : status;
}

static int abort_work(struct client_link *link, const struct abort_request *request, link_callback done, void *context)
{
    enum { ABORT_TIMEOUT_S = 2 };
    struct blob *head;
    int status = edge_encode_abort_request(request, &head, NULL);

    return status == OK ? start(link, EDGE_ABORT, head, NULL, ABORT_TIMEOUT_S, done, context) : status;
}

static void close_link(struct client_link *base)
{
    struct grpc_link *link = grpc_link_of(base);
    struct edge_channel *channel = link->channel;

    link->channel = NULL;
    edge_channel_close(channel); /* its calls are answered later, on the loop */
    free_if_over(link);
}

static const struct link_ops grpc_link_ops = {
    .name = "grpc",
    .echo = echo,
    .send_model = send_model,
    .benchmark = benchmark,
    .train = train,
    .validate = validate,
    .abort = abort_work,
    .close = close_link,
};

static int open_link(void *context, const char *endpoint, bool ours, struct client_link **out, struct error *err)
{
    const struct grpc_links *links = context;
    struct grpc_link *link = calloc(1, sizeof *link);
    int status;

    *out = NULL;
    if (!link)
        return FAIL(err, ERR_MEMORY, "no memory for a link to %s", endpoint);
    link->base.ops = &grpc_link_ops;
    link->links = links;
    status = edge_channel_open(links->client, endpoint, ours, &link->channel, err);
    if (status != OK) {
        free(link);
        return status;
    }
    *out = &link->base;
    return OK;
}

struct link_factory grpc_link_factory(struct grpc_links *links)
{
    return (struct link_factory){open_link, links};
}
