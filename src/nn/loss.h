/* Losses: a pluggable kind, with Flotilla's names. The value is the mean over predictions (over their values too where
 * targets are values, as PyTorch's `mean`). */
#ifndef FLOSIM_NN_LOSS_H
#define FLOSIM_NN_LOSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

/* What a batch should have given: class numbers, or values. One of them is NULL. Every label must be in [0, O): whoever
 * brings model and data together has checked that the data has no more classes than the model has outputs. */
struct targets {
    const int32_t *labels; /* [N] */
    const float *values;   /* [N, O] */
};

/* Sums over predictions, so that means over a data set are exact. */
struct loss_sums {
    double loss;
    int64_t predictions;
    int64_t correct;       /* where the loss counts them */
    double absolute_error; /* of values; each prediction's mean over its O */
    double squared_error;
    double squared_loss; /* of each prediction; where the loss counts correct ones */
};

struct loss_ops {
    const char *name;
    const char *help;
    bool wants_values;   /* targets are values; labels are turned into them by targets_from_labels */
    bool counts_correct; /* accuracy means something */
    /* N predictions (samples, or samples x time steps), y [N, O]; fills gy [N, O] with d(mean loss)/dy unless NULL;
     * adds to *sums. */
    void (*evaluate)(const float *y, struct targets target, size_t N, size_t O, float *gy, struct loss_sums *sums);
};

extern const struct loss_ops *const losses[]; /* NULL-terminated */
const struct loss_ops *loss_find(const char *name);

/* Labels as values: the label itself where O is 1, else 1 for the label's class and 0 elsewhere. Fills values [N, O].
 */
void targets_from_labels(const int32_t *labels, size_t N, size_t O, float *values);

#endif
