/* Between the files of the link: its loop (link.c) and its connections (link_connection.c). */
#ifndef FLOSIM_SIM_LINK_INTERNAL_H
#define FLOSIM_SIM_LINK_INTERNAL_H

#include "sim/link.h"
#include "sim/link_pipe.h"

enum { LINK_MAX_CONNECTIONS = 64 }; /* of one client; more are refused */

enum link_source_kind { SOURCE_WAKE, SOURCE_LISTENER, SOURCE_END };

struct link_source { /* what an event of the epoll is about */
    enum link_source_kind kind;
    int fd;            /* -1: closed */
    uint32_t interest; /* 0: not in the epoll, so that a dead socket nobody looks at wakes nobody */
};

struct link_client;
struct link_connection;

struct link_listener {
    struct link_source source;
    struct link_client *client;
    bool is_mqtt;
};

struct link_end {
    struct link_source source;
    struct link_connection *connection;
};

struct link_connection {
    struct link_client *client;
    struct link_end accepted, target;
    struct link_pipe forth, back; /* accepted -> target, target -> accepted */
    bool is_connecting;           /* the target has not answered yet */
    bool is_closed;               /* both sockets are; freed when the step is over */
    struct link_connection *next;
};

struct link_client {
    struct link *link;
    size_t number;
    struct link_block *block;
    struct link_listener grpc, mqtt;
    struct link_shape base, shape;
    uint32_t seen_changes, seen_disconnects;
    uint64_t due_ns;       /* when one of its pipes is to be run; LINK_NEVER: at an event only */
    uint64_t breaks_at_ns; /* flaky: the next disconnect; LINK_NEVER: none */
    struct rng rng;        /* of flaky */
    uint64_t num_accepted; /* so far */
    size_t num_connections;
    struct link_connection *connections;
};

struct link {
    struct link_setup setup;
    int epoll_fd;
    struct link_source wake;
    struct link_client *clients; /* [num_clients] */
    uint32_t seen_changes;
    uint64_t accepts_again_ns; /* descriptors ran out; LINK_NEVER: they did not */
    size_t num_connections;
    struct link_connection *closed; /* to be freed */
    unsigned char *scratch;         /* [LINK_CHUNK] */
};

/* Watch for these events; 0: for none. */
void link_watch(struct link *link, struct link_source *source, uint32_t interest);

/* A connection that was accepted on `fd` (taken): begins to connect to its target. */
void connection_open(struct link_listener *listener, int fd, uint64_t now_ns);

/* Move what can be moved, pass ends on, and say what is waited for. */
void connection_run(struct link_connection *connection, uint64_t now_ns);

/* The client's shape is another one. `was_half_open`: what was lost then cannot be made good. */
void connection_reshape(struct link_connection *connection, bool was_half_open, uint64_t now_ns);

/* RST to both. */
void connection_reset(struct link_connection *connection);

#endif
