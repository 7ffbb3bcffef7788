/* Running a model over data: one training step, and evaluation of a whole set. Data comes through a batch source, so
 * this room knows no data set. */
#ifndef FLOSIM_NN_RUN_H
#define FLOSIM_NN_RUN_H

#include "nn/loss.h"
#include "nn/model.h"
#include "nn/optimizer.h"

struct batch_source {
    size_t num_items;
    /* Fill x [count, input_size] and labels [count] with items first … first+count-1. Thread safe. */
    void (*fetch)(const void *context, size_t first, size_t count, float *x, int32_t *labels);
    const void *context;
};

struct step_result {
    double loss_sum; /* over the batch */
    int64_t correct;
};

/* forward, loss, backward, step. x [N, input_size]; grads [num_parameters] is scratch. */
struct step_result train_step(const struct model *model, struct workspace *ws, const struct loss_ops *loss,
                              struct optimizer *optimizer, float *params, float *grads, const float *x,
                              struct targets target, int N, struct rng *rng);

struct evaluation {
    double loss, accuracy; /* mean; percent */
    int64_t num_items;
};

/* Evaluate params [P] over a source in batches of `batch`. The sums are taken in a fixed order over fixed chunks, so
 * the result does not depend on `threads` (1: the calling thread alone). `stop` (may be NULL) is asked between
 * batches; when it turns true ERR_CANCELLED is returned. */
int evaluate(const struct model *model, const struct loss_ops *loss, const float *params,
             const struct batch_source *source, int batch, int threads, bool (*stop)(const void *context),
             const void *stop_context, struct evaluation *out, struct error *err);

#endif
