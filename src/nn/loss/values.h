/* What losses have in common. */
#ifndef FLOSIM_NN_LOSS_VALUES_H
#define FLOSIM_NN_LOSS_VALUES_H

#include "nn/loss.h"

/* Which of O values is the largest; the first of equal ones. */
size_t loss_largest(const float *y, size_t O);

/* Add predictions and absolute and squared errors; y, values [N, O]. */
void loss_add_errors(const float *y, const float *values, size_t N, size_t O, struct loss_sums *sums);

/* Add correct predictions: the largest output is where the largest target is; of a single output, both lie on the same
 * side of `threshold`. */
void loss_add_correct(const float *y, const float *values, size_t N, size_t O, float threshold, struct loss_sums *sums);

#endif
