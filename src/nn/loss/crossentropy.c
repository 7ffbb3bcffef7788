/* Softmax and the negative log likelihood of the right class, in one (PyTorch's CrossEntropyLoss). */
#include <assert.h>
#include <math.h>

#include "nn/loss/members.h"
#include "nn/loss/values.h"

/* One sample; gy (may be NULL) gets (softmax - one hot) * scale. The maximum is taken out so that exp cannot overflow.
 */
static double sample(const float *y, size_t O, size_t label, size_t best, float scale, float *gy)
{
    float top = y[best], sum = 0;

    if (!gy) {
        for (size_t o = 0; o < O; o++)
            sum += expf(y[o] - top);
        return (double)logf(sum) - (double)(y[label] - top);
    }
    for (size_t o = 0; o < O; o++)
        sum += gy[o] = expf(y[o] - top);
    for (size_t o = 0; o < O; o++)
        gy[o] *= scale / sum;
    gy[label] -= scale;
    return (double)logf(sum) - (double)(y[label] - top);
}

static void evaluate(const float *y, struct targets target, size_t N, size_t O, float *gy, struct loss_sums *sums)
{
    double total = 0, squares = 0;

    for (size_t n = 0; n < N; n++, y += O, gy = gy ? gy + O : NULL) {
        size_t label = (size_t)target.labels[n], best = loss_largest(y, O);

        assert(label < O);
        sums->correct += best == label;
        double one = sample(y, O, label, best, 1 / (float)N, gy);

        total += one;
        squares += one * one;
    }
    sums->squared_loss += squares;
    sums->loss += total;
    sums->predictions += (int64_t)N;
}

const struct loss_ops loss_crossentropy = {
    .name = "crossentropy",
    .help = "Softmax, then the negative log likelihood of the right class.",
    .counts_correct = true,
    .evaluate = evaluate,
};
