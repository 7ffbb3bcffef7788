#include "net/edge_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grpc/grpc_security.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/edge_server_call.h"

enum { HOST_MAX = 256, ADDRESS_MAX = HOST_MAX + 16, MAX_STREAMS = 64 };

/* --- options --- */

static grpc_server *create_server(const struct edge_server_options *options)
{
    int limit = message_limit(options->max_message_length);
    // clang-format off
    grpc_arg list[] = {
        int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, limit),
        int_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, limit),
        int_arg(GRPC_ARG_MAX_CONCURRENT_STREAMS, MAX_STREAMS),
        int_arg(GRPC_ARG_ALLOW_REUSEPORT, 0), /* a port in use must be noticed */
        /* Leaders may ping as often as they like: gRPC's default hangs up on the third ping without data. */
        int_arg(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 0),
        int_arg(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0),
        int_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        /* What only costs memory, a thousand times on a machine that simulates. */
        int_arg(GRPC_ARG_ENABLE_CHANNELZ, 0),
        int_arg(GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE, 0),
    };
    // clang-format on
    grpc_channel_args args = {sizeof list / sizeof *list, list};

    return grpc_server_create(&args, NULL);
}

/* gRPC does not tell why a port cannot be opened: try it once more with plain sockets. */
static const char *why_not_bound(const char *host, int port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found;
    const char *reason = "the address cannot be used";
    char service[16];
    int failure, fd, on = 1;

    snprintf(service, sizeof service, "%d", port);
    if ((failure = getaddrinfo(host, service, &hints, &found)))
        return gai_strerror(failure);
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(fd, found->ai_addr, found->ai_addrlen) || listen(fd, 1))
            reason = errno == EADDRINUSE ? "the port is in use" : strerror(errno);
        close(fd);
    }
    freeaddrinfo(found);
    return reason;
}

static int bind_port(struct edge_server *server, const struct edge_server_options *options, struct error *err)
{
    const char *host = options->bind;
    bool bare_ipv6 = strchr(host, ':') && host[0] != '[';
    grpc_server_credentials *credentials;
    char address[ADDRESS_MAX];

    if (strlen(host) > HOST_MAX || strchr(host, '/') || options->port < 0 || options->port > 65535)
        return FAIL(err, ERR_INVALID, "cannot listen on \"%.64s\" port %d: not an address", host, options->port);
    snprintf(address, sizeof address, bare_ipv6 ? "[%s]:%d" : "%s:%d", host, options->port);
    credentials = grpc_insecure_server_credentials_create();
    server->port = grpc_server_add_http2_port(server->server, address, credentials);
    grpc_server_credentials_release(credentials);
    if (server->port <= 0)
        return FAIL(err, ERR_SETUP, "cannot listen on %s: %s", address, why_not_bound(host, options->port));
    return OK;
}

/* --- life --- */

/* The queue ends only when every tag is back, so that nothing that gRPC still points to is ever freed. */
void edge_server_end_if_idle(struct edge_server *server)
{
    if (server->stopping && server->live == 0 && !server->expected)
        grpc_completion_queue_shutdown(server->queue.cq);
}

static void on_stopped(void *owner, bool ok)
{
    struct edge_server *server = owner;

    (void)ok;
    server->stopping = true;
    edge_server_end_if_idle(server);
}

void edge_server_unref(struct edge_server *server)
{
    size_t left;

    pthread_mutex_lock(&server->queue.mutex);
    left = --server->refs;
    pthread_mutex_unlock(&server->queue.mutex);
    if (left)
        return;
    cq_thread_fini(&server->queue);
    free(server);
}

int edge_server_port(const struct edge_server *server)
{
    return server->port;
}

static void destroy(struct edge_server *server)
{
    grpc_server_destroy(server->server);
    grpc_completion_queue_destroy(server->queue.cq);
    grpc_runtime_close();
    edge_server_unref(server);
}

/* Before its thread runs, the queue is served here. */
static void abandon(struct edge_server *server)
{
    grpc_server_shutdown_and_notify(server->server, server->queue.cq, &server->stopped);
    cq_thread_run(&server->queue);
    destroy(server);
}

static struct edge_server *allocate(const struct edge_handlers *handlers, const struct log *log)
{
    struct edge_server *server = calloc(1, sizeof *server);

    if (!server)
        return NULL;
    server->handlers = *handlers;
    server->log = log;
    server->stopped = (struct cq_tag){on_stopped, server};
    server->refs = 1;
    return server;
}

static int open_server(struct edge_server *server, const struct edge_server_options *options, struct error *err)
{
    int status;

    server->server = create_server(options);
    grpc_server_register_completion_queue(server->server, server->queue.cq, NULL);
    status = bind_port(server, options, err);
    if (!status) {
        grpc_server_start(server->server);
        edge_server_expect(server);
        status = server->expected ? cq_thread_start(&server->queue, "edge-server", err)
                                  : FAIL(err, ERR_MEMORY, "out of memory for the gRPC server");
    }
    return status;
}

int edge_server_new(struct edge_server **out, const struct edge_server_options *options,
                    const struct edge_handlers *handlers, const struct log *log, struct error *err)
{
    struct edge_server *server = allocate(handlers, log);
    sigset_t saved;
    int status;

    *out = NULL;
    if (!server)
        return FAIL(err, ERR_MEMORY, "out of memory for the gRPC server");
    grpc_runtime_open();
    cq_thread_init(&server->queue);
    signals_block(&saved);
    status = open_server(server, options, err);
    signals_restore(&saved);
    if (status)
        abandon(server);
    else
        *out = server;
    return status;
}

void edge_server_free(struct edge_server *server)
{
    if (!server)
        return;
    grpc_server_shutdown_and_notify(server->server, server->queue.cq, &server->stopped);
    grpc_server_cancel_all_calls(server->server);
    pthread_join(server->queue.thread, NULL);
    destroy(server);
}
