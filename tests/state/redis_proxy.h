/* Stands between a client and Redis, and cuts the connection at a bad moment. One connection at a time. */
#ifndef TESTS_STATE_REDIS_PROXY_H
#define TESTS_STATE_REDIS_PROXY_H

#include <pthread.h>
#include <stdatomic.h>

enum redis_proxy_cut {
    CUT_NEVER,
    CUT_BEFORE_EXEC, /* Redis has MULTI and what follows it, but no EXEC */
    CUT_AFTER_EXEC   /* Redis has done it, but nobody hears of it */
};

struct redis_proxy {
    int fd, port, to_port;
    atomic_int cut; /* of the next EXEC; CUT_NEVER again once it is done */
    atomic_int cuts;
    atomic_bool ending;
    pthread_t thread;
};

void redis_proxy_start(struct redis_proxy *proxy, int to_port);
void redis_proxy_stop(struct redis_proxy *proxy); /* after its clients are gone */

#endif
