#include "net/edge_server_call.h"

/* Give the decoded request to its handler, which answers when it likes. */
static void give(struct edge_call *call, struct edge_arena *arena)
{
    call->arena = arena;
    pthread_mutex_lock(&call->server->queue.mutex);
    call->with_handler = true;
    pthread_mutex_unlock(&call->server->queue.mutex);
}

static int not_served(enum edge_method method, struct error *err)
{
    return FAIL(err, ERR_UNIMPLEMENTED, "%s is not served here", edge_method_path(method));
}

/* At once, whatever the handlers are doing. */
static int serve_echo(struct edge_call *call, struct error *err)
{
    const struct edge_handlers *handlers = &call->server->handlers;
    struct text_message message;
    struct blob *head = NULL;
    int status = edge_decode_text(blob_span(call->wire), &message, err);

    if (!status)
        status = edge_encode_text(message.text, &head, err);
    if (status) {
        edge_arena_free(message.arena);
        return status;
    }
    if (handlers->echoed)
        handlers->echoed(handlers->context);
    give(call, message.arena);
    edge_call_reply(call, head, NULL);
    return OK;
}

static int serve_bench(struct edge_call *call, struct error *err)
{
    const struct edge_handlers *handlers = &call->server->handlers;
    int status;

    if (!handlers->bench)
        return not_served(EDGE_INIT_BENCH, err);
    if ((status = edge_decode_bench_request(blob_span(call->wire), &call->request.bench, err)))
        return status;
    give(call, call->request.bench.arena);
    handlers->bench(handlers->context, call, &call->request.bench);
    return OK;
}

static int serve_train(struct edge_call *call, struct error *err)
{
    const struct edge_handlers *handlers = &call->server->handlers;
    int status;

    if (!handlers->train)
        return not_served(EDGE_START_TRAINING, err);
    if ((status = edge_decode_train_request(blob_span(call->wire), &call->request.train, err)))
        return status;
    give(call, call->request.train.arena);
    handlers->train(handlers->context, call, &call->request.train);
    return OK;
}

static int serve_validate(struct edge_call *call, struct error *err)
{
    const struct edge_handlers *handlers = &call->server->handlers;
    int status;

    if (!handlers->validate)
        return not_served(EDGE_START_VALIDATION, err);
    if ((status = edge_decode_validation_request(blob_span(call->wire), &call->request.validate, err)))
        return status;
    give(call, call->request.validate.arena);
    handlers->validate(handlers->context, call, &call->request.validate);
    return OK;
}

static int serve_abort(struct edge_call *call, struct error *err)
{
    const struct edge_handlers *handlers = &call->server->handlers;
    int status;

    if (!handlers->abort)
        return not_served(EDGE_ABORT, err);
    if ((status = edge_decode_abort_request(blob_span(call->wire), &call->request.abort, err)))
        return status;
    give(call, call->request.abort.arena);
    handlers->abort(handlers->context, call, &call->request.abort);
    return OK;
}

int edge_call_dispatch(struct edge_call *call, struct error *err)
{
    // clang-format off
    static int (*const serve[EDGE_NUM_METHODS])(struct edge_call *call, struct error *err) = {
        [EDGE_ECHO]             = serve_echo,
        [EDGE_INIT_BENCH]       = serve_bench,
        [EDGE_START_TRAINING]   = serve_train,
        [EDGE_START_VALIDATION] = serve_validate,
        [EDGE_ABORT]            = serve_abort, /* StreamFile has a file of its own */
    };
    // clang-format on

    if (!call->wire)
        return FAIL(err, ERR_INVALID, "%s: a call without a message", edge_method_path((enum edge_method)call->method));
    return serve[call->method](call, err);
}
