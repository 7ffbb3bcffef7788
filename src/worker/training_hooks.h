/* Where a worker's host may have a hand in a training. A deployed worker has none of it. All are called on the compute
 * thread, in this order, with the round of the request; any may be NULL: the host keeps out. */
#ifndef FLOSIM_WORKER_TRAINING_HOOKS_H
#define FLOSIM_WORKER_TRAINING_HOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/span.h"

struct training_hooks {
    /* The model as it came, weights [n], before the first step: another may be put in its place. */
    void (*model)(void *context, int64_t round, float *weights, size_t n);

    /* A mini-batch before its step: x [count, shape of an item], labels [count, num_targets] (what they hold is
     * undefined where the data has values instead). */
    void (*batch)(void *context, int64_t round, float *x, int32_t *labels, size_t count);

    /* What was trained, before it is encoded: `received` and `weights` [n] are the model that the training began with
     * and what came of it. Only where `alters` said so when the training began. */
    bool (*alters)(void *context, int64_t round);
    void (*alter)(void *context, int64_t round, const float *received, float *weights, size_t n);

    /* The encoded weights: another blob may take their place (the old one is then the host's to drop). */
    void (*image)(void *context, int64_t round, struct blob **image);

    /* The encoded answer, head and weights: others may take their place. false: it is never sent; the training is not
     * over for the one who asked until he gives up. */
    bool (*answer)(void *context, int64_t round, struct blob **head, struct blob **weights);
};

#endif
