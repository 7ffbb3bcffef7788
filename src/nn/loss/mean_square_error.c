#include "nn/loss/members.h"
#include "nn/loss/values.h"

static void evaluate(const float *y, struct targets target, size_t N, size_t O, float *gy, struct loss_sums *sums)
{
    float scale = 2 / ((float)N * (float)O);
    double before = sums->squared_error;

    for (size_t i = 0; gy && i < N * O; i++)
        gy[i] = (y[i] - target.values[i]) * scale;
    loss_add_errors(y, target.values, N, O, sums);
    sums->loss += sums->squared_error - before;
}

const struct loss_ops loss_mean_square_error = {
    .name = "mean_square_error",
    .help = "The mean of the squared errors.",
    .wants_values = true,
    .evaluate = evaluate,
};
