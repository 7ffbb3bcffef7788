/* What the tests of EdgeService stand on: a loop, the toy server, the real client. Plain programs, because they must
 * run under ThreadSanitizer too; a failed check ends the program. */
#ifndef FLOSIM_TESTS_NET_EDGE_STAND_H
#define FLOSIM_TESTS_NET_EDGE_STAND_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/edge_client.h"
#include "tests/net/edge_toy_server.h"

#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                                            \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fputc('\n', stderr);                                                                                       \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

struct stand {
    struct loop *loop;
    struct toy_server toy;
    struct edge_client *client;
    struct edge_channel *channel;
    struct loop_timer alarm, poll;
    bool (*condition)(struct stand *stand);
    bool has_toy;
};

struct outcome { /* of one call */
    struct stand *stand;
    int calls_back;
    struct edge_reply reply;
    struct blob *body;
};

/* port 0: with a toy server in this process; else the client alone, towards that port. */
void stand_open(struct stand *stand, const struct edge_client_options *options, int port, int keepalive);
void stand_close(struct stand *stand);

/* Run the loop until loop_stop, or until the condition holds; not for ever. */
void run(struct stand *stand);
void run_until(struct stand *stand, bool (*condition)(struct stand *stand));

/* An edge_callback: fills the outcome and stops the loop. */
void keep_outcome(void *context, struct edge_reply *reply);

/* Checks a failure and clears the outcome for the next call. `part` stands in its message. */
void expect_failure(struct outcome *outcome, int status, const char *part);

/* Start a training at the toy server (see there for model_id); `weights` are taken. */
struct edge_request *start_train(struct outcome *outcome, const char *model_id, struct blob *weights, double timeout_s);

/* One Echo, start to end. */
void echo(struct outcome *outcome, const char *text);

struct blob *pattern(size_t size);
bool same(struct span a, const struct blob *b);

struct test_case {
    const char *name;
    void (*run)(void);
};

/* main: runs all cases, or those that are named as arguments. */
int run_cases(const struct test_case *cases, size_t n, int argc, char **argv);

#endif
