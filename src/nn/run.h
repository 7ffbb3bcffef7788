/* Running a model over data: one training step, and evaluation of a whole set. Data comes through a batch source, so
 * this room knows no data set. */
#ifndef FLOSIM_NN_RUN_H
#define FLOSIM_NN_RUN_H

#include "nn/loss.h"
#include "nn/model.h"
#include "nn/optimizer.h"

/* A batch as it is fetched: inputs and what they should give. */
struct batch {
    float *x;        /* [capacity, input_size] */
    int32_t *labels; /* [capacity, rows] */
    float *values;   /* [capacity, output_size]; NULL where neither the data nor the loss has values */
};

/* Room for `capacity` samples of data whose targets are labels or values. */
int batch_init(struct batch *batch, const struct model *model, const struct loss_ops *loss, bool has_values,
               size_t capacity, struct error *err);
void batch_fini(struct batch *batch);

/* The targets of N fetched samples as the loss wants them. */
struct targets batch_targets(struct batch *batch, const struct model *model, const struct loss_ops *loss,
                             bool has_values, int N);

struct batch_source {
    size_t num_items;
    bool has_values;
    /* Fill x [count, input_size] and labels [count, rows] or values [count, output_size] with items first …
     * first+count-1. Thread safe. */
    void (*fetch)(const void *context, size_t first, size_t count, float *x, int32_t *labels, float *values);
    /* Does item i go on where item i - 1 ended, in the same text? Asked for models that carry their state only; NULL:
     * all do. 0 < i < num_items. */
    bool (*follows)(const void *context, size_t i);
    const void *context;
};

/* forward, loss, backward, step. x [N, input_size]; grads [num_parameters] is scratch. Adds to *sums. */
void train_step(const struct model *model, struct workspace *ws, const struct loss_ops *loss,
                struct optimizer *optimizer, float *params, float *grads, const float *x, struct targets target, int N,
                struct rng *rng, struct loss_sums *sums);

/* Figures of a training or of an evaluation; NaN where one means nothing for this model and loss. */
struct evaluation {
    double loss;       /* mean */
    double accuracy;   /* percent of predictions */
    double perplexity; /* e^loss, of cross-entropy over tokens */
    double mae, mse;   /* where targets are values */
    int64_t num_items;
};

struct evaluation evaluation_of(const struct model *model, const struct loss_ops *loss, const struct loss_sums *sums);

/* Evaluate params [P] over a source in batches of `batch`. The sums are taken in a fixed order over fixed chunks, so
 * the result does not depend on `threads` (1: the calling thread alone). Where the model carries its state the source
 * is read in `batch` columns side by side (columns.h), each from an empty state: with batch 1 the whole text in a row,
 * with more what PyTorch gives for a text laid out in that many columns. `stop` (may be NULL) is asked between batches;
 * when it turns true ERR_CANCELLED is returned. */
int evaluate(const struct model *model, const struct loss_ops *loss, const float *params,
             const struct batch_source *source, int batch, int threads, bool (*stop)(const void *context),
             const void *stop_context, struct evaluation *out, struct error *err);

#endif
