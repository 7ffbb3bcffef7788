#include "net/edge_client.h"

#include <stdlib.h>

#include "net/edge_client_call.h"

enum {
    DEFAULT_CREDITS = 8,
    DEFAULT_RECEIVE_TIMEOUT_S = 10,
    DEFAULT_KEEPALIVE_MS = 30000,
    MIN_KEEPALIVE_MS = 1000, /* gRPC sends no more than a ping a second */
};

/* --- lists --- */

static void list_append(struct request_list *list, struct edge_request *request)
{
    request->next = NULL;
    request->previous = list->last;
    if (list->last)
        list->last->next = request;
    else
        list->first = request;
    list->last = request;
}

static void list_remove(struct request_list *list, struct edge_request *request)
{
    if (request->previous)
        request->previous->next = request->next;
    else
        list->first = request->next;
    if (request->next)
        request->next->previous = request->previous;
    else
        list->last = request->previous;
}

/* --- calls come and go --- */

void edge_client_add(struct edge_request *request)
{
    struct edge_client *client = request->client;

    pthread_mutex_lock(&client->queue.mutex);
    list_append(&client->active, request);
    client->num_active++;
    cq_thread_notify(request->rpc, &request->started);
    pthread_mutex_unlock(&client->queue.mutex);
}

void edge_client_unref(struct edge_client *client)
{
    size_t left;

    pthread_mutex_lock(&client->queue.mutex);
    left = --client->refs;
    pthread_mutex_unlock(&client->queue.mutex);
    if (left)
        return;
    cq_thread_fini(&client->queue);
    free(client);
}

void edge_client_deliver(struct edge_request *request)
{
    struct edge_client *client = request->client;
    bool must_post, was_last;

    pthread_mutex_lock(&client->queue.mutex);
    list_remove(&client->active, request);
    list_append(&client->done, request);
    was_last = --client->num_active == 0 && client->closing;
    must_post = !client->wake_posted && !client->closing;
    if (must_post) {
        client->wake_posted = true;
        client->refs++;
    }
    pthread_mutex_unlock(&client->queue.mutex);
    if (must_post)
        loop_post(client->loop, &client->wake);
    if (was_last)
        grpc_completion_queue_shutdown(client->queue.cq);
}

static struct edge_request *take_done(struct edge_client *client, bool *more)
{
    struct edge_request *request;

    pthread_mutex_lock(&client->queue.mutex);
    request = client->done.first;
    if (request)
        list_remove(&client->done, request);
    *more = client->done.first != NULL;
    pthread_mutex_unlock(&client->queue.mutex);
    return request;
}

static void call_back(struct edge_request *request)
{
    request->callback(request->context, &request->reply);
    if (request->reply.holds_credit)
        edge_credit_give(request->client);
    edge_request_free(request);
}

/* One reply an event, so that the loop gets to its other work in between. */
static void on_wake(struct loop_event *event)
{
    struct edge_client *client = CONTAINER_OF(event, struct edge_client, wake);
    struct edge_request *request;
    bool again;

    pthread_mutex_lock(&client->queue.mutex);
    client->wake_posted = false;
    pthread_mutex_unlock(&client->queue.mutex);
    request = take_done(client, &again);
    if (request)
        call_back(request);
    pthread_mutex_lock(&client->queue.mutex);
    again = client->done.first && !client->wake_posted && !client->closing;
    if (again) {
        client->wake_posted = true;
        client->refs++;
    }
    pthread_mutex_unlock(&client->queue.mutex);
    if (again)
        loop_post(client->loop, &client->wake);
    edge_client_unref(client);
}

/* --- life of the client --- */

static struct edge_client *allocate(const struct edge_client_options *options, struct loop *loop, const struct log *log)
{
    struct edge_client *client = calloc(1, sizeof *client);

    if (!client)
        return NULL;
    client->loop = loop;
    client->log = log;
    client->max_message_length = message_limit(options->max_message_length);
    client->credits = options->reply_credits > 0 ? options->reply_credits : DEFAULT_CREDITS;
    client->keepalive_ms = options->keepalive_ms > 0 ? options->keepalive_ms : DEFAULT_KEEPALIVE_MS;
    if (client->keepalive_ms < MIN_KEEPALIVE_MS)
        client->keepalive_ms = MIN_KEEPALIVE_MS;
    client->keepalive_timeout_ms =
        options->keepalive_timeout_ms > 0 ? options->keepalive_timeout_ms : DEFAULT_KEEPALIVE_MS;
    client->receive_timeout_s = options->receive_timeout_s > 0 ? options->receive_timeout_s : DEFAULT_RECEIVE_TIMEOUT_S;
    client->wake.handle = on_wake;
    edge_credit_watch_init(client);
    client->refs = 1;
    return client;
}

int edge_client_new(struct edge_client **out, const struct edge_client_options *options, struct loop *loop,
                    const struct log *log, struct error *err)
{
    struct edge_client *client = allocate(options, loop, log);
    int status;

    *out = NULL;
    if (!client)
        return FAIL(err, ERR_MEMORY, "out of memory for the gRPC client");
    grpc_runtime_open();
    cq_thread_init(&client->queue);
    if ((status = cq_thread_start(&client->queue, "edge-client", err))) {
        grpc_completion_queue_shutdown(client->queue.cq);
        cq_thread_run(&client->queue);
        grpc_completion_queue_destroy(client->queue.cq);
        grpc_runtime_close();
        edge_client_unref(client);
        return status;
    }
    *out = client;
    return OK;
}

void edge_client_cancel(struct edge_client *client, const struct edge_channel *channel)
{
    pthread_mutex_lock(&client->queue.mutex);
    for (struct edge_request *request = client->active.first; request; request = request->next) {
        if (channel && request->channel != channel)
            continue;
        request->channel = NULL;
        if (request->rpc)
            grpc_call_cancel(request->rpc, NULL);
    }
    pthread_mutex_unlock(&client->queue.mutex);
}

static void stop_thread(struct edge_client *client)
{
    bool is_idle;

    edge_client_cancel(client, NULL);
    pthread_mutex_lock(&client->queue.mutex);
    client->closing = true;
    is_idle = client->num_active == 0;
    pthread_mutex_unlock(&client->queue.mutex);
    if (is_idle) /* else the thread shuts the queue down after its last call */
        grpc_completion_queue_shutdown(client->queue.cq);
    pthread_join(client->queue.thread, NULL);
}

void edge_client_free(struct edge_client *client)
{
    struct edge_request *request;
    bool more;

    if (!client)
        return;
    stop_thread(client);
    loop_timer_cancel(client->loop, &client->watch);
    while (client->channels)
        edge_channel_close(client->channels);
    while ((request = take_done(client, &more)))
        call_back(request);
    grpc_completion_queue_destroy(client->queue.cq);
    grpc_runtime_close();
    edge_client_unref(client);
}
