/* A real mosquitto of the test's own on a free loopback port. Linux kills it when the test process dies.
 * Start it before anything that must not be forked (Paho, gRPC) is created. */
#ifndef FLOSIM_TESTS_NET_MOSQUITTO_FIXTURE_H
#define FLOSIM_TESTS_NET_MOSQUITTO_FIXTURE_H

#include <sys/types.h>

#include "util/error.h"

struct mosquitto {
    pid_t pid; /* 0: not running */
    int port;
    char dir[64]; /* configuration and log */
};

/* Returns when the broker answers. `port` 0: a free one. `more` (may be NULL) goes to the end of its configuration. */
int mosquitto_start(struct mosquitto *broker, int port, const char *more, struct error *err);

/* As an operator would (SIGTERM), or as a crash does (SIGKILL); waits for its end and removes its files. */
void mosquitto_stop(struct mosquitto *broker);
void mosquitto_kill(struct mosquitto *broker);

/* A TCP port of 127.0.0.1 that was free a moment ago; 0 on failure. */
int free_port(void);

#endif
