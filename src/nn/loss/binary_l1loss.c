#include "nn/loss/members.h"
#include "nn/loss/values.h"

static void evaluate(const float *y, struct targets target, size_t N, size_t O, float *gy, struct loss_sums *sums)
{
    float scale = 1 / ((float)N * (float)O);
    double before = sums->absolute_error;

    for (size_t i = 0; gy && i < N * O; i++) {
        float error = y[i] - target.values[i];

        gy[i] = error > 0 ? scale : error < 0 ? -scale : error; /* NaN stays */
    }
    loss_add_errors(y, target.values, N, O, sums);
    loss_add_correct(y, target.values, N, O, 0.5F, sums);
    sums->loss += sums->absolute_error - before;
}

const struct loss_ops loss_binary_l1loss = {
    .name = "binary_l1loss",
    .help = "The mean of the absolute errors.",
    .wants_values = true,
    .counts_correct = true,
    .evaluate = evaluate,
};
