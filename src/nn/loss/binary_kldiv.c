/* Kullback-Leibler divergence of the targets from the outputs, which are logarithms of probabilities, averaged over
 * every element (PyTorch's KLDivLoss as it comes). */
#include <math.h>

#include "nn/loss/members.h"
#include "nn/loss/values.h"

static void evaluate(const float *y, struct targets target, size_t N, size_t O, float *gy, struct loss_sums *sums)
{
    float scale = 1 / ((float)N * (float)O);
    double total = 0;

    for (size_t i = 0; i < N * O; i++) {
        double t = (double)target.values[i];

        total += t > 0 ? t * (log(t) - (double)y[i]) : -t * (double)y[i];
        if (gy)
            gy[i] = -target.values[i] * scale;
    }
    sums->loss += total / (double)O;
    loss_add_errors(y, target.values, N, O, sums);
    loss_add_correct(y, target.values, N, O, -0.6931472F, sums);
}

const struct loss_ops loss_binary_kldiv = {
    .name = "binary_kldiv",
    .help = "Kullback-Leibler divergence; outputs are log probabilities: end the network with log_softmax.",
    .wants_values = true,
    .counts_correct = true,
    .evaluate = evaluate,
};
