/* What the strategy tests share: a base to build instances on, clients to select from, updates to merge. */
#ifndef TESTS_LEADER_STRATEGY_WORLD_H
#define TESTS_LEADER_STRATEGY_WORLD_H

#include "leader/strategy_host.h"

/* The last weights are a buffer. */
enum { WORLD_CLIENTS = 20, WORLD_WEIGHTS = 57, WORLD_PARAMETERS = 50 };

struct strategy_world {
    struct layout layout;
    struct state *state;
    struct state_batch *pending; /* of store: nobody commits it, nobody needs to */
    struct store *store;
    struct strategy_base base;
    struct flosim_client clients[WORLD_CLIENTS];
    char ids[WORLD_CLIENTS][16];
    struct flosim_metric metrics[WORLD_CLIENTS]; /* "initial_loss" */
};

void strategy_world_init(struct strategy_world *world, uint64_t seed);
void strategy_world_fini(struct strategy_world *world);

/* Arguments from YAML text ("" for none); exits the test where they are refused. */
struct strategy_args *strategy_world_args(const char *name, const struct flosim_params *params, const char *yaml);

/* How many complaints the text gives. */
size_t strategy_world_complaints(const char *name, const struct flosim_params *params, const char *yaml);

/* Legal arguments for every member of the registries that needs some; "" for the others. */
const char *strategy_world_good_args(const char *name);

/* Asks the selector; fills action [WORLD_CLIENTS]. The world's clients train in one cohort. */
struct flosim_choice strategy_world_select(struct selector *selector, const struct flosim_selection *selection,
                                           unsigned char *action);

struct flosim_selection strategy_world_selection(struct strategy_world *world, int64_t round);

/* An update of client i, pseudo-random but fixed. Fills weights [WORLD_WEIGHTS]. */
struct flosim_update strategy_world_update(const struct strategy_world *world, size_t i, float *weights);

#endif
