#include "nn/loss.h"

#include <string.h>

#include "nn/loss/members.h"

const struct loss_ops *const losses[] = {
    // clang-format off
    &loss_crossentropy,
    &loss_mean_square_error,
    &loss_binary_crossentropy,
    &loss_binary_kldiv,
    &loss_binary_l1loss,
    NULL,
    // clang-format on
};

void targets_from_labels(const int32_t *labels, size_t N, size_t O, float *values)
{
    for (size_t n = 0; n < N; n++)
        for (size_t o = 0; o < O; o++)
            values[n * O + o] = O == 1 ? (float)labels[n] : labels[n] == (int32_t)o;
}

const struct loss_ops *loss_find(const char *name)
{
    for (size_t i = 0; losses[i]; i++)
        if (strcmp(losses[i]->name, name) == 0)
            return losses[i];
    return NULL;
}
