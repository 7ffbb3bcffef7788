/* What one client's network is like: what its group has and what faults do to it, taken together. */
#ifndef FLOSIM_SIM_LINK_SHAPE_H
#define FLOSIM_SIM_LINK_SHAPE_H

#include <stdbool.h>

#include <stddef.h>

#include "sim/link_block.h"
#include "util/rng.h"

enum link_direction { LINK_UP, LINK_DOWN }; /* from the client; to it */

struct link_shape {
    double latency_s, jitter_s; /* one way; each piece is late by latency + U[0, jitter) */
    double rate[2];             /* bytes per second by direction; 0: no limit */
    double loss;                /* share of packets, which cost a retransmission's time */
    double drip;                /* bytes per second, one at a time; 0: no */
    bool is_partition;          /* nothing passes, nothing is lost */
    bool is_half_open;          /* what the client sends is lost, and ends are not told */
    double flaky_s;             /* mean time between two disconnects; 0: never */
};

/* `base` with what the block says at this moment: delays add, the lower rate counts, losses are independent. */
struct link_shape link_shape_of(const struct link_shape *base, struct link_block *block);

/* How long the packets of `bytes` that are sent together are late because some were lost. TCP sends a lost one again
 * when no acknowledgement comes, after 200 ms (Linux's least) and the way there and back, and waits twice as long each
 * time; several are sent again side by side, so that the latest counts. */
double link_stall_s(const struct link_shape *shape, size_t bytes, struct rng *rng);

/* Is anything to be done but passing on? */
bool link_shape_is_plain(const struct link_shape *shape);

/* The supervisor: this effect from now on, in place of an earlier one of its kind; and its end, where it is still this
 * fault's. Whoever has written calls link_changed. */
void link_set(struct link_block *block, enum link_effect effect, uint32_t fault, double p0, double p1);
void link_unset(struct link_block *block, enum link_effect effect, uint32_t fault);

#endif
