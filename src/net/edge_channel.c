/* The connection to one worker. */
#include <grpc/grpc_security.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/endpoint.h"
#include "net/edge_client_call.h"

enum {
    CONNECT_TIMEOUT_MS = 5000,
    FIRST_BACKOFF_MS = 100,
    MAX_BACKOFF_MS = 1000,
    LOOKAHEAD_BYTES = 64 * 1024, /* what a worker may send of a reply that nobody reads yet */
    SMALL_MODEL_BYTES = 8 << 20, /* replies with so many weights need no connection of their own kind */
};

/* Replies are bounded by what can be in them, because any worker may send what it likes: those without weights by a
 * mebibyte (EDGE_SMALL_REPLY), training's by its connection's limit. */
static char service_config[] = "{\"methodConfig\": ["
                               "{\"name\": [{\"service\": \"EdgeService\"}], \"maxResponseMessageBytes\": 1048576},"
                               "{\"name\": [{\"service\": \"EdgeService\", \"method\": \"StartTraining\"}]}]}";

/* Only host and port come through: gRPC's own names reach farther (unix:, xds:). */
static int target_of(const char *text, char target[EDGE_TARGET_MAX], struct error *err)
{
    static const char *const formats[] = {
        [HOST_NAME] = "dns:///%s:%d", [HOST_IPV4] = "ipv4:%s:%d", [HOST_IPV6] = "ipv6:[%s]:%d"};
    struct endpoint endpoint;
    int status = endpoint_parse(text, &endpoint, err);

    if (status == OK)
        snprintf(target, EDGE_TARGET_MAX, formats[endpoint.kind], endpoint.host, endpoint.port);
    return status;
}

static grpc_channel *create_channel(const struct edge_channel *channel, int max_reply)
{
    enum { IDENTITY_ONLY = 1 }; /* a compressed reply may be of any size once it is unpacked */
    const struct edge_client *client = channel->client;
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    // clang-format off
    grpc_arg list[] = {
        int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, max_reply),
        int_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, client->max_message_length),
        int_arg(GRPC_ARG_ENABLE_RETRIES, 0), /* the leader decides what is tried again */
        int_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
        {.type = GRPC_ARG_STRING, .key = GRPC_ARG_SERVICE_CONFIG, .value.string = service_config},
        int_arg(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1),
        int_arg(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, IDENTITY_ONLY),
        int_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1), /* a connection dies with its channel */
        int_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, CONNECT_TIMEOUT_MS),
        int_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, FIRST_BACKOFF_MS),
        int_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, MAX_BACKOFF_MS),
        /* A fixed small window until a reply is read: otherwise gRPC's estimator lets megabytes in unasked. */
        int_arg(GRPC_ARG_HTTP2_BDP_PROBE, 0),
        int_arg(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, LOOKAHEAD_BYTES),
        int_arg(GRPC_ARG_ENABLE_CHANNELZ, 0),
        int_arg(GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE, 0),
        int_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        int_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, client->keepalive_timeout_ms),
        int_arg(GRPC_ARG_KEEPALIVE_TIME_MS, client->keepalive_ms), /* last: left out without keepalive */
    };
    // clang-format on
    grpc_channel_args args = {sizeof list / sizeof *list - (channel->keepalive ? 0 : 1), list};
    grpc_channel *grpc = grpc_channel_create(channel->target, credentials, &args);

    grpc_channel_credentials_release(credentials);
    return grpc;
}

static struct edge_connection *new_connection(const struct edge_channel *channel, int max_reply)
{
    struct edge_connection *connection = malloc(sizeof *connection);
    sigset_t saved;

    if (!connection)
        return NULL;
    signals_block(&saved);
    *connection = (struct edge_connection){create_channel(channel, max_reply), 1, max_reply};
    signals_restore(&saved);
    return connection;
}

void edge_connection_unref(struct edge_connection *connection)
{
    if (!connection || --connection->refs > 0)
        return;
    grpc_channel_destroy(connection->grpc);
    free(connection);
}

/* The largest reply to a request with so many bytes of weights: as many come back. */
static int reply_limit(const struct edge_channel *channel, size_t weights)
{
    size_t max = (size_t)channel->client->max_message_length;
    size_t limit = (weights > SMALL_MODEL_BYTES ? weights : SMALL_MODEL_BYTES) + EDGE_SMALL_REPLY;

    return (int)(limit < max ? limit : max);
}

struct edge_connection *edge_channel_connection(struct edge_channel *channel, size_t weights)
{
    int limit = reply_limit(channel, weights);
    struct edge_connection *connection = channel->connection;

    if (!connection || connection->max_reply < limit) {
        connection = new_connection(channel, limit);
        if (!connection)
            return NULL;
        edge_connection_unref(channel->connection);
        channel->connection = connection;
    }
    connection->refs++;
    return connection;
}

int edge_channel_open(struct edge_client *client, const char *endpoint, int keepalive, struct edge_channel **out,
                      struct error *err)
{
    char target[EDGE_TARGET_MAX];
    struct edge_channel *channel;
    int status;

    *out = NULL;
    if ((status = target_of(endpoint, target, err)))
        return status;
    if (!(channel = calloc(1, sizeof *channel)))
        return FAIL(err, ERR_MEMORY, "out of memory for a channel");
    channel->client = client;
    channel->keepalive = keepalive;
    memcpy(channel->target, target, sizeof target);
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
    edge_client_cancel(client, channel);
    if (channel->previous)
        channel->previous->next = channel->next;
    else
        client->channels = channel->next;
    if (channel->next)
        channel->next->previous = channel->previous;
    edge_connection_unref(channel->connection);
    free(channel);
}
