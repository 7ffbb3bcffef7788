#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http_internal.h"
#include "util/sync.h"

enum { IDLE_TIMEOUT_S = 15, HEADER_MEMORY = 32 << 10, DEFAULT_CONNECTIONS = 256, BACKLOG = 128 };

static int listen_at(const struct addrinfo *address)
{
    int on = 1, fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!bind(fd, address->ai_addr, address->ai_addrlen) && !listen(fd, BACKLOG))
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int open_socket(const char *host, int port, int *fd, struct error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
    char service[16];

    snprintf(service, sizeof service, "%d", port);
    int code = getaddrinfo(host, service, &hints, &found);
    if (code)
        return FAIL(err, ERR_SETUP, "cannot listen at '%s': %s", host, gai_strerror(code));
    *fd = -1;
    for (const struct addrinfo *address = found; address && *fd < 0; address = address->ai_next)
        *fd = listen_at(address);
    int saved = errno;
    freeaddrinfo(found);
    if (*fd >= 0)
        return OK;
    if (saved == EADDRINUSE)
        return FAIL(err, ERR_SETUP, "port %d at %s is in use: stop the other program or choose another port", port,
                    host);
    return FAIL(err, ERR_SETUP, "cannot listen at %s:%d: %s", host, port, strerror(saved));
}

static int port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char service[16];

    if (getsockname(fd, (struct sockaddr *)&address, &size) ||
        getnameinfo((struct sockaddr *)&address, size, NULL, 0, service, sizeof service, NI_NUMERICSERV))
        return 0;
    return atoi(service);
}

__attribute__((format(printf, 2, 0))) static void log_mhd(void *context, const char *format, va_list args)
{
    const struct http_server *server = context;
    char line[512];

    vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\n")] = '\0';
    log_write(server->log, LOG_DEBUG, "http", "%s", line);
}

/* The server's thread takes no signals. */
static struct MHD_Daemon *start_daemon(struct http_server *server, int fd, int max_connections)
{
    const unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    sigset_t before;

    sync_block_signals(&before);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, http_on_access, server, MHD_OPTION_EXTERNAL_LOGGER, log_mhd, server,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, server,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)(max_connections > 0 ? max_connections : DEFAULT_CONNECTIONS),
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HEADER_MEMORY, MHD_OPTION_END);
    sync_restore_signals(&before);
    return daemon;
}

static struct http_server *new_server(const struct http_server_options *options, struct error *err)
{
    struct http_server *server = calloc(1, sizeof *server);

    if (server && options->bearer_token)
        server->token = strdup(options->bearer_token);
    if (!server || (options->bearer_token && !server->token) || sync_init(&server->mutex, &server->changed)) {
        if (server)
            free(server->token);
        free(server);
        FAIL(err, ERR_MEMORY, "out of memory for an HTTP server");
        return NULL;
    }
    server->max_body = options->max_body;
    server->references = 1;
    return server;
}

static int open_server(struct http_server *server, const struct http_server_options *options, struct error *err)
{
    int fd, status = open_socket(options->host, options->port, &fd, err);

    if (status)
        return status;
    server->port = port_of(fd);
    server->daemon = start_daemon(server, fd, options->max_connections);
    if (server->daemon)
        return OK;
    close(fd);
    return FAIL(err, ERR_SETUP, "cannot start the HTTP server at %s:%d", options->host, options->port);
}

int http_server_new(struct http_server **out, const struct http_server_options *options, http_handler handler,
                    void *context, struct loop *loop, const struct log *log, struct error *err)
{
    struct http_server *server = new_server(options, err);

    *out = NULL;
    if (!server)
        return ERR_MEMORY;
    server->handler = handler;
    server->context = context;
    server->loop = loop;
    server->log = log;
    int status = open_server(server, options, err);
    if (status) {
        pthread_mutex_lock(&server->mutex);
        http_server_unref_locked(server);
        return status;
    }
    *out = server;
    return OK;
}

int http_server_port(const struct http_server *server)
{
    return server->port;
}

/* MHD cannot stop while connections are suspended: whoever still waits is told. */
static void answer_waiting_locked(struct http_server *server)
{
    for (struct http_exchange *exchange = server->exchanges; exchange; exchange = exchange->next) {
        if (exchange->state != WAITING)
            continue;
        exchange->status = MHD_HTTP_SERVICE_UNAVAILABLE;
        exchange->response = http_message_response("this server is closing");
        exchange->state = ANSWERED;
        MHD_resume_connection(exchange->connection);
    }
}

static void wait_until_sent_locked(struct http_server *server, int timeout_ms)
{
    struct timespec deadline = sync_deadline_in_ms(timeout_ms);

    while (server->exchanges && !pthread_cond_timedwait(&server->changed, &server->mutex, &deadline))
        ;
}

void http_server_free(struct http_server *server, int timeout_ms)
{
    if (!server)
        return;
    int fd = MHD_quiesce_daemon(server->daemon);
    pthread_mutex_lock(&server->mutex);
    server->closing = true;
    answer_waiting_locked(server);
    wait_until_sent_locked(server, timeout_ms);
    pthread_mutex_unlock(&server->mutex);
    MHD_stop_daemon(server->daemon); /* http_on_completed runs for every exchange that is left */
    if (fd >= 0)
        close(fd);
    pthread_mutex_lock(&server->mutex);
    http_server_unref_locked(server);
}
