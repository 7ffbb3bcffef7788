/* One leader's worth of surroundings for sessions in this process: real messages, real event loop and compute thread,
 * no network. For plain programs, which also run under ThreadSanitizer: what is not as it should be ends them. */
#ifndef TESTS_LEADER_SESSION_WORLD_H
#define TESTS_LEADER_SESSION_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leader/session.h"
#include "memory_link.h"

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s: not true: %s\n", __FILE__, __LINE__, __func__, #condition);                    \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { MAX_CLIENTS = 200, DEADLINE_S = 60 };

/* One leader's worth of surroundings, and what came of a session. */
struct world {
    struct loop *loop;
    struct executor *executor;
    struct roster *roster;
    struct state *state;
    struct leader_config config;
    struct layout layout;
    struct memory_client clients[MAX_CLIENTS];
    struct memory_net net;
    struct leader_host host;
    struct session *session;
    struct session_ledger ledger;
    enum session_status status;
    char reason[512];
    struct blob *model;
    json_t *json;
    struct loop_timer deadline;
    /* Options of a test. */
    void (*observe)(struct world *world, const char *event, const json_t *fields);
    const char *dir;
    bool keeps_updates;
    bool asynchronous; /* rounds overlap: only the whole balances */
    int updates;       /* counted by an observer */
};

struct wish {
    const char *aggregator, *selection, *fraction, *more, *skip_benchmark, *timeout;
    int rounds;
    const char *selection_args; /* in place of client_fraction; NULL: that */
};

extern const struct wish plain; /* fedavg, half of the clients, 5 rounds */

/* A validator whose figures follow from the weights: enough to see when and on what it is called. */
extern struct validator measuring;

void world_init(struct world *world, size_t clients);
void everybody_advertises(struct world *world);
void world_fini(struct world *world);

/* Makes and starts the session; a refusal ends the program, or fills `refusal` [640] where that is not NULL. */
void begin(struct world *world, const struct wish *wish, struct validator *validator);
bool begin_restored(struct world *world, const struct wish *wish, struct validator *validator,
                    const struct session_restore *restore, char *refusal);

/* Whatever happened: every update that was asked for came to exactly one end. */
void check_ledger(const struct world *world);

/* All of it: advertise, begin, run to the end, check. */
void run(struct world *world, const struct wish *wish, bool validated);
size_t rounds_done(const struct world *world);
bool same_model(const struct world *a, const struct world *b);

#endif
