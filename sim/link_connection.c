#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "sim/link_internal.h"

/* --- closing --- */

static void close_end(struct link_connection *connection, struct link_end *end, bool reset)
{
    const struct linger at_once = {.l_onoff = 1};

    if (end->source.fd < 0)
        return;
    link_watch(connection->client->link, &end->source, 0);
    if (reset)
        setsockopt(end->source.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(end->source.fd);
    end->source.fd = -1;
}

static void forget(struct link_connection *connection)
{
    struct link_client *client = connection->client;
    struct link_connection **at = &client->connections;

    while (*at != connection)
        at = &(*at)->next;
    *at = connection->next;
    client->num_connections--;
    client->link->num_connections--;
    connection->is_closed = true;
    connection->next = client->link->closed;
    client->link->closed = connection;
    pipe_fini(&connection->forth);
    pipe_fini(&connection->back);
}

static void close_both(struct link_connection *connection, bool reset)
{
    close_end(connection, &connection->accepted, reset);
    close_end(connection, &connection->target, reset);
    forget(connection);
}

void connection_reset(struct link_connection *connection)
{
    close_both(connection, true);
}

/* One side is gone without a word, and the other is not to know: what it still sends is thrown away. */
static void bury_end(struct link_connection *connection, struct link_end *end)
{
    bool is_target = end == &connection->target;
    struct link_pipe *from = is_target ? &connection->back : &connection->forth;
    struct link_pipe *to = is_target ? &connection->forth : &connection->back;

    close_end(connection, end, false);
    pipe_fini(from);
    pipe_fini(to);
    from->from_ended = from->has_lost = true;
    to->to = -1;
    to->has_lost = true;
    to->is_blocked = false;
}

static void side_is_gone(struct link_connection *connection, struct link_end *end)
{
    struct link_end *other = end == &connection->target ? &connection->accepted : &connection->target;

    if (connection->client->shape.is_half_open && !connection->is_connecting && other->source.fd >= 0)
        bury_end(connection, end);
    else
        close_both(connection, true);
}

/* --- opening --- */

static int start_connecting(const struct link_listener *listener)
{
    const struct link_setup *setup = &listener->client->link->setup;
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                              .sin_port = htons((uint16_t)atomic_load(&listener->client->block->port))};
    const struct sockaddr *address =
        listener->is_mqtt ? (const struct sockaddr *)&setup->broker : (const struct sockaddr *)&own;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 && connect(fd, address, listener->is_mqtt ? setup->broker_size : (socklen_t)sizeof own) &&
        errno != EINPROGRESS) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void refuse(int fd)
{
    const struct linger at_once = {.l_onoff = 1};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

static void send_at_once(int fd)
{
    const int yes = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

/* The client is at the target's end of gRPC and at the accepted end of MQTT. */
static void make_pipes(struct link_connection *connection, bool is_mqtt)
{
    struct link_client *client = connection->client;
    int accepted = connection->accepted.source.fd, target = connection->target.source.fd;
    struct rng rng;

    rng_init(&rng, client->link->setup.seed ^ client->number, "link", is_mqtt ? "mqtt" : "grpc", client->num_accepted);
    pipe_init(&connection->forth, accepted, target, is_mqtt ? LINK_UP : LINK_DOWN, &rng);
    rng_init(&rng, client->link->setup.seed ^ client->number, "link-back", is_mqtt ? "mqtt" : "grpc",
             client->num_accepted);
    pipe_init(&connection->back, target, accepted, is_mqtt ? LINK_DOWN : LINK_UP, &rng);
    client->num_accepted++;
}

void connection_open(struct link_listener *listener, int fd, uint64_t now_ns)
{
    struct link_client *client = listener->client;
    struct link_connection *connection = NULL;
    int target = client->num_connections < LINK_MAX_CONNECTIONS ? start_connecting(listener) : -1;

    if (target >= 0)
        connection = calloc(1, sizeof *connection);
    if (!connection) {
        refuse(fd);
        if (target >= 0)
            close(target);
        return;
    }
    send_at_once(fd);
    send_at_once(target);
    connection->client = client;
    connection->accepted = (struct link_end){{SOURCE_END, fd, 0}, connection};
    connection->target = (struct link_end){{SOURCE_END, target, 0}, connection};
    connection->is_connecting = true;
    make_pipes(connection, listener->is_mqtt);
    connection->next = client->connections;
    client->connections = connection;
    client->num_connections++;
    client->link->num_connections++;
    connection_run(connection, now_ns);
}

/* Is the target there? 1: yes, 0: not yet, -1: no. */
static int ask_target(const struct link_connection *connection)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer, error_size = sizeof(int);
    int error = 0;

    if (getsockopt(connection->target.source.fd, SOL_SOCKET, SO_ERROR, &error, &error_size) || error)
        return -1;
    return getpeername(connection->target.source.fd, (struct sockaddr *)&peer, &size) == 0;
}

/* --- running --- */

static void wait_for_events(struct link_connection *connection, uint64_t now_ns)
{
    struct link_client *client = connection->client;
    const struct link_shape *shape = &client->shape;
    const struct link_pipe *forth = &connection->forth, *back = &connection->back;
    uint32_t accepted =
        (pipe_wants_input(forth, shape, now_ns) ? EPOLLIN : 0) | (pipe_wants_output(back, shape) ? EPOLLOUT : 0);
    uint32_t target =
        (pipe_wants_input(back, shape, now_ns) ? EPOLLIN : 0) | (pipe_wants_output(forth, shape) ? EPOLLOUT : 0);
    uint64_t due_forth = pipe_due_ns(forth, shape, now_ns), due_back = pipe_due_ns(back, shape, now_ns);

    link_watch(client->link, &connection->accepted.source, accepted);
    link_watch(client->link, &connection->target.source, target);
    if (due_forth < client->due_ns)
        client->due_ns = due_forth;
    if (due_back < client->due_ns)
        client->due_ns = due_back;
}

/* Returns whether the connection is still what it was. */
static bool run_pipe(struct link_connection *connection, struct link_pipe *pipe, struct link_end *from,
                     struct link_end *to, uint64_t now_ns)
{
    switch (pipe_run(pipe, &connection->client->shape, connection->client->link->scratch, now_ns)) {
    case PIPE_FROM_BROKEN:
        side_is_gone(connection, from);
        return false;
    case PIPE_TO_BROKEN:
        side_is_gone(connection, to);
        return false;
    default:
        return true;
    }
}

static bool has_ended(const struct link_connection *connection)
{
    bool told = connection->forth.end_told && connection->back.end_told;
    bool half_open = connection->client->shape.is_half_open;

    return connection->forth.from_ended && connection->back.from_ended && (told || half_open);
}

static bool is_connected(struct link_connection *connection)
{
    int answer = connection->is_connecting ? ask_target(connection) : 1;

    if (answer < 0)
        connection_reset(connection);
    else if (answer == 0)
        link_watch(connection->client->link, &connection->target.source, EPOLLOUT);
    else
        connection->is_connecting = false;
    return answer > 0;
}

void connection_run(struct link_connection *connection, uint64_t now_ns)
{
    if (connection->is_closed || !is_connected(connection))
        return;
    run_pipe(connection, &connection->forth, &connection->accepted, &connection->target, now_ns);
    if (!connection->is_closed)
        run_pipe(connection, &connection->back, &connection->target, &connection->accepted, now_ns);
    if (!connection->is_closed && has_ended(connection))
        close_both(connection, false);
    if (!connection->is_closed)
        wait_for_events(connection, now_ns);
}

void connection_reshape(struct link_connection *connection, bool was_half_open, uint64_t now_ns)
{
    bool has_lost = connection->forth.has_lost || connection->back.has_lost;

    if (was_half_open && !connection->client->shape.is_half_open && has_lost) {
        connection_reset(connection);
        return;
    }
    pipe_reshape(&connection->forth, &connection->client->shape, now_ns);
    pipe_reshape(&connection->back, &connection->client->shape, now_ns);
    connection_run(connection, now_ns);
}
