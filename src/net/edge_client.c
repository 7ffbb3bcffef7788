#include "net/edge_client.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/edge_client_call.h"

enum {
    DEFAULT_CREDITS = 8,
    DEFAULT_KEEPALIVE_MS = 30000,
    MIN_KEEPALIVE_MS = 1000, /* gRPC sends no more than a ping a second */
    CONNECT_TIMEOUT_MS = 5000,
    FIRST_BACKOFF_MS = 100,
    MAX_BACKOFF_MS = 1000,
    LOOKAHEAD_BYTES = 64 * 1024, /* what a worker may send of a reply that nobody reads yet */
    DEFAULT_CHUNK_SIZE = 64 * 1024,
    TARGET_MAX = 300,
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

/* --- replies to the loop --- */

void edge_client_unref(struct edge_client *client)
{
    size_t left;

    pthread_mutex_lock(&client->mutex);
    left = --client->refs;
    pthread_mutex_unlock(&client->mutex);
    if (left)
        return;
    pthread_mutex_destroy(&client->mutex);
    free(client);
}

void edge_client_deliver(struct edge_request *request)
{
    struct edge_client *client = request->client;
    bool must_post, was_last;

    pthread_mutex_lock(&client->mutex);
    list_remove(&client->active, request);
    list_append(&client->done, request);
    was_last = --client->num_active == 0 && client->closing;
    must_post = !client->wake_posted && !client->closing;
    if (must_post) {
        client->wake_posted = true;
        client->refs++;
    }
    pthread_mutex_unlock(&client->mutex);
    if (must_post)
        loop_post(client->loop, &client->wake);
    if (was_last)
        grpc_completion_queue_shutdown(client->cq);
}

static struct edge_request *take_done(struct edge_client *client, bool *more)
{
    struct edge_request *request;

    pthread_mutex_lock(&client->mutex);
    request = client->done.first;
    if (request)
        list_remove(&client->done, request);
    *more = client->done.first != NULL;
    pthread_mutex_unlock(&client->mutex);
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

    pthread_mutex_lock(&client->mutex);
    client->wake_posted = false;
    pthread_mutex_unlock(&client->mutex);
    request = take_done(client, &again);
    if (request)
        call_back(request);
    pthread_mutex_lock(&client->mutex);
    again = client->done.first && !client->wake_posted && !client->closing;
    if (again) {
        client->wake_posted = true;
        client->refs++;
    }
    pthread_mutex_unlock(&client->mutex);
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
    client->wake.handle = on_wake;
    client->refs = 1;
    pthread_mutex_init(&client->mutex, NULL);
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
    client->cq = grpc_completion_queue_create_for_next(NULL);
    if ((status = cq_thread_start(&client->thread, client->cq, "edge-client", err))) {
        grpc_completion_queue_shutdown(client->cq);
        cq_run(client->cq);
        grpc_completion_queue_destroy(client->cq);
        grpc_runtime_close();
        edge_client_unref(client);
        return status;
    }
    *out = client;
    return OK;
}

/* Mutex held. NULL as channel: all calls. */
static void cancel_calls(struct edge_client *client, const struct edge_channel *channel)
{
    for (struct edge_request *request = client->active.first; request; request = request->next) {
        if (channel && request->channel != channel)
            continue;
        request->channel = NULL;
        if (request->rpc)
            grpc_call_cancel(request->rpc, NULL);
    }
}

static void stop_thread(struct edge_client *client)
{
    bool is_idle;

    pthread_mutex_lock(&client->mutex);
    client->closing = true;
    cancel_calls(client, NULL);
    is_idle = client->num_active == 0;
    pthread_mutex_unlock(&client->mutex);
    if (is_idle) /* else the thread shuts the queue down after its last call */
        grpc_completion_queue_shutdown(client->cq);
    pthread_join(client->thread, NULL);
}

void edge_client_free(struct edge_client *client)
{
    struct edge_request *request;
    bool more;

    if (!client)
        return;
    stop_thread(client);
    while (client->channels)
        edge_channel_close(client->channels);
    while ((request = take_done(client, &more)))
        call_back(request);
    grpc_completion_queue_destroy(client->cq);
    grpc_runtime_close();
    edge_client_unref(client);
}

/* --- channels --- */

/* The endpoint is an advert's text. Only host and port may come through: gRPC's own names reach farther (unix:, xds:).
 */
static int target_of(const char *endpoint, char target[TARGET_MAX], struct error *err)
{
    const char *colon = strrchr(endpoint, ':');
    size_t host_size = colon ? (size_t)(colon - endpoint) : 0;
    char host[TARGET_MAX - 40];
    unsigned char address[sizeof(struct in6_addr)];
    char *end = NULL;
    long port = colon && isdigit((unsigned char)colon[1]) ? strtol(colon + 1, &end, 10) : 0;

    if (port < 1 || port > 65535 || !end || *end || host_size == 0 || host_size >= sizeof host)
        return FAIL(err, ERR_INVALID, "\"%.64s\" is not an endpoint: host:port is wanted", endpoint);
    memcpy(host, endpoint, host_size);
    host[host_size] = '\0';
    if (host[0] == '[' && host[host_size - 1] == ']') {
        host[host_size - 1] = '\0';
        if (inet_pton(AF_INET6, host + 1, address) == 1) {
            snprintf(target, TARGET_MAX, "ipv6:[%s]:%ld", host + 1, port);
            return OK;
        }
    } else if (inet_pton(AF_INET, host, address) == 1) {
        snprintf(target, TARGET_MAX, "ipv4:%s:%ld", host, port);
        return OK;
    } else if (strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == host_size) {
        snprintf(target, TARGET_MAX, "dns:///%s:%ld", host, port);
        return OK;
    }
    return FAIL(err, ERR_INVALID, "\"%.64s\" is not an endpoint: host:port is wanted", endpoint);
}

static grpc_channel *create_channel(const struct edge_client *client, const char *target, int keepalive)
{
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    grpc_arg list[] = {
        int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, client->max_message_length),
        int_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, client->max_message_length),
        int_arg(GRPC_ARG_ENABLE_RETRIES, 0), /* the leader decides what is tried again */
        int_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0), int_arg(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1),
        int_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1), /* a connection dies with its channel */
        int_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, CONNECT_TIMEOUT_MS),
        int_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, FIRST_BACKOFF_MS),
        int_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, MAX_BACKOFF_MS),
        /* A fixed small window until a reply is read: otherwise gRPC's estimator lets megabytes in unasked. */
        int_arg(GRPC_ARG_HTTP2_BDP_PROBE, 0), int_arg(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, LOOKAHEAD_BYTES),
        int_arg(GRPC_ARG_ENABLE_CHANNELZ, 0), int_arg(GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE, 0),
        int_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        int_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, client->keepalive_timeout_ms),
        int_arg(GRPC_ARG_KEEPALIVE_TIME_MS, client->keepalive_ms), /* last: left out without keepalive */
    };
    grpc_channel_args args = {sizeof list / sizeof *list - (keepalive ? 0 : 1), list};
    grpc_channel *channel = grpc_channel_create(target, credentials, &args);

    grpc_channel_credentials_release(credentials);
    return channel;
}

int edge_channel_open(struct edge_client *client, const char *endpoint, int keepalive, struct edge_channel **out,
                      struct error *err)
{
    char target[TARGET_MAX];
    struct edge_channel *channel;
    int status;

    *out = NULL;
    if ((status = target_of(endpoint, target, err)))
        return status;
    if (!(channel = calloc(1, sizeof *channel)))
        return FAIL(err, ERR_MEMORY, "out of memory for a channel");
    channel->client = client;
    channel->grpc = create_channel(client, target, keepalive);
    channel->next = client->channels;
    if (channel->next)
        channel->next->previous = channel;
    client->channels = channel;
    *out = channel;
    return OK;
}

void edge_channel_close(struct edge_channel *channel)
{
    struct edge_client *client;

    if (!channel)
        return;
    client = channel->client;
    pthread_mutex_lock(&client->mutex);
    cancel_calls(client, channel);
    pthread_mutex_unlock(&client->mutex);
    if (channel->previous)
        channel->previous->next = channel->next;
    else
        client->channels = channel->next;
    if (channel->next)
        channel->next->previous = channel->previous;
    grpc_channel_destroy(channel->grpc);
    free(channel);
}

/* --- calls --- */

static gpr_timespec deadline_after(double timeout_s)
{
    if (!(timeout_s > 0) || timeout_s > 1e9)
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos((int64_t)(timeout_s * 1e9), GPR_TIMESPAN));
}

static void begin(struct edge_request *request, double timeout_s)
{
    struct edge_client *client = request->client;
    grpc_slice path = grpc_slice_from_static_string(edge_method_path(request->method));

    edge_request_init(request);
    request->started_ns = clock_now_ns(loop_clock(client->loop));
    request->reply.bytes_sent = blob_size(request->head) + blob_size(request->weights) + blob_size(request->data);
    request->rpc = grpc_channel_create_call(request->channel->grpc, NULL, GRPC_PROPAGATE_DEFAULTS, client->cq, path,
                                            NULL, deadline_after(timeout_s), NULL);
    pthread_mutex_lock(&client->mutex);
    list_append(&client->active, request);
    client->num_active++;
    cq_thread_notify(request->rpc, &request->started);
    pthread_mutex_unlock(&client->mutex);
}

/* NULL when out of memory or closing; nothing is taken then. */
static struct edge_request *new_request(struct edge_channel *channel, enum edge_method method, edge_callback callback,
                                        void *context)
{
    struct edge_request *request = channel->client->closing ? NULL : calloc(1, sizeof *request);

    if (!request)
        return NULL;
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
    struct edge_request *request = new_request(channel, method, callback, context);

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
    struct edge_request *request = new_request(channel, EDGE_STREAM_FILE, callback, context);

    if (!request || edge_encode_upload_head(model_id, file_name, &request->head, NULL)) {
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
    pthread_mutex_lock(&request->client->mutex);
    if (request->rpc)
        grpc_call_cancel(request->rpc, NULL);
    pthread_mutex_unlock(&request->client->mutex);
}
