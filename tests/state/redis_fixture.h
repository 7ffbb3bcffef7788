/* A private redis-server on a free port of 127.0.0.1; it ends with the test's process. */
#ifndef TESTS_STATE_REDIS_FIXTURE_H
#define TESTS_STATE_REDIS_FIXTURE_H

#include <stddef.h>
#include <sys/types.h>

struct redis_fixture {
    int port;
    pid_t pid;  /* 0: down */
    int log_fd; /* what it writes */
    char dir[64];
};

void redis_fixture_start(struct redis_fixture *redis, const char *option, const char *value); /* NULL: none */
void redis_fixture_restart(struct redis_fixture *redis); /* on the same port, with what its folder holds */
/* The same, and every command that it reads from its folder takes so long. Returns while it does (LOADING). */
void redis_fixture_restart_slowly(struct redis_fixture *redis, const char *us_per_command);
void redis_fixture_kill(struct redis_fixture *redis);
void redis_fixture_halt(struct redis_fixture *redis); /* SIGSTOP: its port still takes connections */
void redis_fixture_go_on(struct redis_fixture *redis);
void redis_fixture_forget(struct redis_fixture *redis); /* its data; while it is down */
void redis_fixture_stop(struct redis_fixture *redis);   /* and remove its folder */

/* One command as a person would type it; the first `size` - 1 bytes of the answer. */
void redis_fixture_ask(const struct redis_fixture *redis, const char *line, char *answer, size_t size);
/* The same, whose answer must begin with `answer`. */
void redis_fixture_do(const struct redis_fixture *redis, const char *line, const char *answer);

int free_port(void);

#endif
