/* Losses: a pluggable kind. Names are Flotilla's (crossentropy first). The value is the mean over the batch. */
#ifndef FLOSIM_NN_LOSS_H
#define FLOSIM_NN_LOSS_H

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

/* What a batch should have given: class numbers, or values. One of them is NULL. Every label must be in [0, O): whoever
 * brings model and data together has checked that the data has no more classes than the model has outputs. */
struct targets {
    const int32_t *labels; /* [N] (later [N, T]) */
    const float *values;   /* [N, O] */
};

struct loss_ops {
    const char *name;
    /* y [N, O]; fills gy [N, O] with d(mean loss)/dy unless NULL; returns the SUM over the batch (so that means over a
     * data set are exact); counts correct predictions into *correct where that means something. */
    double (*evaluate)(const float *y, struct targets target, int N, size_t O, float *gy, int64_t *correct);
};

extern const struct loss_ops *const losses[]; /* NULL-terminated */
const struct loss_ops *loss_find(const char *name);

#endif
