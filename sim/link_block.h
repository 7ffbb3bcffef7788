/* What the supervisor tells the link process of one client's network, in shared memory. Each effect has a place of its
 * own, so that they combine; link_shape.h says how. */
#ifndef FLOSIM_SIM_LINK_BLOCK_H
#define FLOSIM_SIM_LINK_BLOCK_H

#include <stdatomic.h>
#include <stdint.h>

enum link_effect {                 /* p[0], p[1] */
                   LINK_LATENCY,   /* seconds one way */
                   LINK_JITTER,    /* up to so many seconds more */
                   LINK_BANDWIDTH, /* bytes per second up, down; 0: no limit */
                   LINK_LOSS,      /* share of the packets */
                   LINK_SLOW_DRIP, /* bytes per second, one at a time */
                   LINK_PARTITION, /* - */
                   LINK_HALF_OPEN, /* - */
                   LINK_FLAKY,     /* mean seconds between two disconnects */
                   NUM_LINK_EFFECTS
};

struct link_setting {
    _Atomic uint32_t fault; /* which one it comes from; 0: not in force. Written last */
    _Atomic double p[2];
};

struct link_block {
    /* the supervisor */
    struct link_setting settings[NUM_LINK_EFFECTS];
    _Atomic uint32_t disconnects; /* grows: all connections are reset */
    _Atomic uint32_t changes;     /* grows after any change of the above */
    int grpc_port, mqtt_port;     /* where the link listens for this client; 0: there is no link */
    /* the client */
    _Atomic uint32_t port; /* its own gRPC port; 0: not open yet */
};

#endif
