/* Several rounds of an aggregator, the same whenever they are told: what the contract of aggregations is checked on,
 * and what their formulas are. Each round, every client of STORY_CLIENTS either answers or fails, in a given order;
 * with members that work in cohorts, client i is of cohort i % STORY_COHORTS. */
#ifndef TESTS_LEADER_AGGREGATION_STORY_H
#define TESTS_LEADER_AGGREGATION_STORY_H

#include "strategy_world.h"

enum { STORY_CLIENTS = 12, STORY_ROUNDS = 4, STORY_COHORTS = 3, STORY_STEPS = STORY_CLIENTS * STORY_ROUNDS };

struct story {
    struct strategy_world world;
    const struct flosim_aggregator_ops *ops;
    const char *yaml;
    struct aggregator aggregator;
    size_t order[STORY_CLIENTS];
    float global[WORLD_WEIGHTS]; /* the newest model */
    float base[WORLD_WEIGHTS];   /* of the round under way: what clients train on */
    int64_t version, base_version;
    size_t models;                                  /* made so far */
    float correction[STORY_CLIENTS][WORLD_WEIGHTS]; /* that prepare gave at the latest round's begin */
    struct flosim_request asked;                    /* of the last client */
};

/* yaml: arguments, or NULL for the ones that the contract test takes. training NULL: the world's. */
void story_init(struct story *story, const struct flosim_aggregator_ops *ops, const char *yaml,
                const struct flosim_training *training);
void story_fini(struct story *story);

/* The member anew on the same store, as a restarted leader has it. */
void story_restart(struct story *story);

/* Steps [from, to) of STORY_STEPS. */
void story_run(struct story *story, size_t from, size_t to);

/* Single steps. A round begins (clients are prepared); client i's update of a round on story->base; giving it. */
void story_begin_round(struct story *story);
struct flosim_update story_update(const struct story *story, size_t i, int64_t round, float *weights);
int story_give(struct story *story, const struct flosim_update *update, size_t i, bool complete);
int story_fail(struct story *story, size_t i, bool complete);
bool story_fails(size_t i, int64_t round); /* does client i fail in that round of story_run? */

#endif
