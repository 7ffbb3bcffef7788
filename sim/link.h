/* The link: a forwarder between clients and everybody else, so that a client's network can be made as bad as a scenario
 * wants, on real sockets and without root. For each client it listens on two ports of the loopback: one stands for the
 * client's gRPC server (the leader connects there), one for the broker (the client connects there). Each connection is
 * two pipes (link_pipe.h) between two sockets; shared memory says what is done to it (link_block.h).
 *
 * It runs in a process of its own, forked by the supervisor: one thread, one epoll. It looks at shared memory before
 * every event that it handles: what is sent after a change meets the change. */
#ifndef FLOSIM_SIM_LINK_H
#define FLOSIM_SIM_LINK_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "sim/link_shape.h"
#include "util/error.h"

struct link;

struct link_setup { /* all borrowed for the link's life */
    size_t num_clients;
    struct link_block *(*block)(void *context, size_t client);
    struct link_shape (*base)(void *context, size_t client); /* without faults */
    void *context;
    _Atomic uint32_t *changes; /* grows after any block's */
    int wake_fd;               /* an eventfd, kicked then; it is read here */
    const int *listeners;      /* [2 * num_clients]: gRPC and MQTT of each, not blocking */
    struct sockaddr_storage broker;
    socklen_t broker_size;
    uint64_t seed; /* jitter, loss and flaky are drawn by (seed, "link", client, connection) */
};

int link_new(struct link **out, const struct link_setup *setup, struct error *err);
void link_free(struct link *link); /* resets all connections; the listeners stay */

/* Wait for something to do, max_wait_ms at most (-1: as long as it takes), and do it. */
int link_step(struct link *link, int max_wait_ms, struct error *err);

size_t link_num_connections(const struct link *link);

#endif
