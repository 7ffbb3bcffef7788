#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sim/fault.h"

/* A socket that listens on a port of the loopback, as another program would: without SO_REUSEPORT. */
static int take_port(int *fd, int *port, struct error *err)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)*port)};
    socklen_t size = sizeof address;

    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd >= 0 && !bind(*fd, (struct sockaddr *)&address, size) && !listen(*fd, 1) &&
        !getsockname(*fd, (struct sockaddr *)&address, &size)) {
        *port = ntohs(address.sin_port);
        return OK;
    }
    FAIL(err, ERR_UNAVAILABLE, "cannot listen on a port of the loopback: %s", strerror(errno));
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return ERR_UNAVAILABLE;
}

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    struct held_port *held = &world->held_ports[victim->client];
    int port = 0, status = held->fd < 0 ? take_port(&held->fd, &port, err) : OK;

    if (status)
        return status;
    if (port)
        atomic_store(&shared_client(world->shared, victim->client)->port, port);
    held->starts = victim->starts;
    if (fault_process_has_ended(world, victim))
        return fault_try_held_port(world, victim->client, err);
    return fault_kill_process(world, victim, args, err);
}

int fault_try_held_port(struct fault_world *world, size_t client, struct error *err)
{
    struct held_port *held = world->held_ports ? &world->held_ports[client] : NULL;
    struct process *process = &world->clients[client];

    if (!held || held->fd < 0 || process->starts != held->starts)
        return OK;
    int status = world->start_client(world->context, client, err);
    process->end_expected = true;
    return status;
}

/* It was started again and gave up. */
static bool struck(const struct fault_world *world, const struct victim *victim)
{
    return fault_process_has_ended(world, victim) && fault_process(world, victim)->starts != victim->starts;
}

static int undo(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    struct held_port *held = &world->held_ports[victim->client];

    if (held->fd >= 0)
        close(held->fd);
    held->fd = -1;
    return fault_start_process(world, victim, args, err);
}

const struct fault_ops fault_port_taken = {
    .name = "port-taken",
    .help = "SIGKILL, and the new process finds its port in use by somebody else: it says so and ends. After `for:` "
            "the port is free again, and "
            "one is started that takes it.",
    .takes_for = FOR_OPTIONAL,
    .takes_ports = true,
    .strike = strike,
    .struck = struck,
    .noticed = fault_was_missed,
    .undo = undo,
    .recovered = fault_came_back,
};
