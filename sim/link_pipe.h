/* One direction of a connection through the link: what was read from one socket waits here until its time has come and
 * is written to the other. Order is kept, as TCP does. Memory is bounded: while too much waits nothing is read, and the
 * sender notices as it would on a slow line. The link's thread only; sockets do not block. */
#ifndef FLOSIM_SIM_LINK_PIPE_H
#define FLOSIM_SIM_LINK_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/link_shape.h"
#include "util/rng.h"

#define LINK_NEVER UINT64_MAX

enum {
    LINK_CHUNK = 256 * 1024,       /* read at a time, at most */
    LINK_MAX_QUEUED = 1024 * 1024, /* bytes that wait in one direction, at most (and one chunk) */
};

enum pipe_status {
    PIPE_OK,
    PIPE_FROM_BROKEN, /* the socket that is read */
    PIPE_TO_BROKEN,   /* the socket that is written */
};

struct link_segment;

struct link_pipe {
    int from, to; /* borrowed; to = -1: what comes is thrown away */
    enum link_direction direction;
    struct link_segment *first, *last; /* in the order of their release */
    size_t queued;                     /* bytes in them, with their heads */
    uint64_t line_free_ns;             /* with a rate: when the line has sent what it was given */
    uint64_t last_release_ns;
    bool from_ended; /* the sender has sent its last */
    bool end_told;   /* and the receiver knows */
    bool is_blocked; /* the receiver's socket is full */
    bool has_lost;   /* bytes, or an end, that the receiver will never see */
    struct rng rng;  /* of jitter and loss */
};

void pipe_init(struct link_pipe *pipe, int from, int to, enum link_direction direction, const struct rng *rng);
void pipe_fini(struct link_pipe *pipe);

/* Move what can be moved now. `scratch` has LINK_CHUNK bytes. */
enum pipe_status pipe_run(struct link_pipe *pipe, const struct link_shape *shape, unsigned char *scratch,
                          uint64_t now_ns);

/* The shape is another one: nobody waits longer than the new one would have it. */
void pipe_reshape(struct link_pipe *pipe, const struct link_shape *shape, uint64_t now_ns);

/* What it waits for: the sender's socket to be readable, the receiver's to be writable, a time (LINK_NEVER: none). */
bool pipe_wants_input(const struct link_pipe *pipe, const struct link_shape *shape, uint64_t now_ns);
bool pipe_wants_output(const struct link_pipe *pipe, const struct link_shape *shape);
uint64_t pipe_due_ns(const struct link_pipe *pipe, const struct link_shape *shape, uint64_t now_ns);

#endif
