/* A state over a private Redis, the loop that its tickets come back on, and what it tells and logs. */
#ifndef TESTS_STATE_REDIS_STAGE_H
#define TESTS_STATE_REDIS_STAGE_H

#include <pthread.h>

#include "redis_fixture.h"
#include "state/state.h"

struct redis_stage {
    struct redis_fixture redis;
    struct state_options options;
    struct state *state;
    struct loop *loop;
    struct log log;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int outages, recoveries, replacements;
    bool everything; /* of the latest recovery */
    char reason[STATE_REASON_MAX];
};

/* Starts Redis; opens nothing. */
void redis_stage_set(struct redis_stage *stage);
void redis_stage_open(struct redis_stage *stage); /* and takes the term */
void redis_stage_close(struct redis_stage *stage);
void redis_stage_strike(struct redis_stage *stage); /* closes and stops everything */

/* Puts `status` of session `id`, and waits for the answer: whether it is durable. */
bool redis_stage_commit(struct redis_stage *stage, const char *id, const char *text);
bool redis_stage_send(struct redis_stage *stage, struct state_batch *batch); /* the same of any batch */
void redis_stage_commit_unasked(struct redis_stage *stage, const char *id, const char *text); /* nobody waits */

void redis_stage_wait_recoveries(struct redis_stage *stage, int n);
void redis_stage_wait_replacements(struct redis_stage *stage, int n);
bool redis_stage_logged(const struct redis_stage *stage, const char *text);

/* A new leader finds `status` of session `id` in Redis. The stage is closed before, and open afterwards. */
void redis_stage_expect(struct redis_stage *stage, const char *id, const char *text);

#endif
