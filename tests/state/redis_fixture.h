/* A private redis-server on a free port of 127.0.0.1; it ends with the test's process. */
#ifndef TESTS_STATE_REDIS_FIXTURE_H
#define TESTS_STATE_REDIS_FIXTURE_H

#include <sys/types.h>

struct redis_fixture {
    int port;
    pid_t pid; /* 0: down */
    char dir[64];
};

void redis_fixture_start(struct redis_fixture *redis, const char *option, const char *value); /* NULL: none */
void redis_fixture_restart(struct redis_fixture *redis); /* on the same port, with what its folder holds */
void redis_fixture_kill(struct redis_fixture *redis);
void redis_fixture_forget(struct redis_fixture *redis); /* its data; while it is down */
void redis_fixture_stop(struct redis_fixture *redis);   /* and remove its folder */

#endif
