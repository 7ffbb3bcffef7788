/* A selector at work: asked, its clients answer at once, asked again, as a session does. */
#ifndef TESTS_LEADER_SELECTION_LIFE_H
#define TESTS_LEADER_SELECTION_LIFE_H

#include "strategy_world.h"

struct selection_life {
    struct strategy_world world;
    struct selector selector;
    struct flosim_selection selection; /* of world.clients; num_clients may be lowered */
    struct flosim_choice choice;       /* the latest; it points to the two below */
    unsigned char action[WORLD_CLIENTS], cohort[WORLD_CLIENTS];
    const char *yaml;
    struct flosim_label labels[WORLD_CLIENTS][2];
};

/* The world's clients, with labels: client i has 60 % of label i % 4 and 40 % of the next one. */
void life_init(struct selection_life *life, const char *name, const char *yaml, uint64_t seed);
void life_fini(struct selection_life *life);

/* Asks; returns the op's status. Nobody who is not selectable is chosen, or the test ends. */
int life_ask(struct selection_life *life);

/* How many of the latest choice are to do `what`. */
size_t life_count(const struct selection_life *life, enum flosim_action what);

/* Who was chosen works now (life_start), and answers with figures that follow from its number and the round
 * (life_answer). */
void life_start(struct selection_life *life);
void life_answer(struct selection_life *life, size_t client);

/* Asks, and everybody chosen answers; a selector that is asked while clients train gets the answers one by one. A
 * finished training ends the round. Returns the status of the (last) asking. */
int life_step(struct selection_life *life);

/* A fresh selector takes over from what the old one saved. */
void life_restart(struct selection_life *life);

#endif
