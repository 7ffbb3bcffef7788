/* Cross-entropy of probabilities (PyTorch's BCELoss): the outputs must lie in [0, 1], as after a sigmoid. */
#include <math.h>

#include "nn/loss/members.h"
#include "nn/loss/values.h"

/* PyTorch bounds the logarithms, so that a sure and wrong answer costs 100 instead of infinity. */
static double bounded_log(double x)
{
    double value = log(x);

    return value < -100 ? -100 : value;
}

static void evaluate(const float *y, struct targets target, size_t N, size_t O, float *gy, struct loss_sums *sums)
{
    float scale = 1 / ((float)N * (float)O);
    double total = 0;

    for (size_t i = 0; i < N * O; i++) {
        float p = y[i], t = target.values[i], slope = (1 - p) * p;

        total -= (double)t * bounded_log((double)p) + (1 - (double)t) * bounded_log(1 - (double)p);
        if (gy)
            gy[i] = (p - t) / (slope < 1e-12F ? 1e-12F : slope) * scale;
    }
    sums->loss += total / (double)O;
    loss_add_errors(y, target.values, N, O, sums);
    loss_add_correct(y, target.values, N, O, 0.5F, sums);
}

const struct loss_ops loss_binary_crossentropy = {
    .name = "binary_crossentropy",
    .help = "Cross-entropy of probabilities: end the network with a sigmoid.",
    .wants_values = true,
    .counts_correct = true,
    .evaluate = evaluate,
};
