/* Softmax and the negative log likelihood of the right class, in one (PyTorch's CrossEntropyLoss). */
#include <assert.h>
#include <math.h>

#include "nn/loss/members.h"

static size_t largest(const float *y, size_t O)
{
    size_t best = 0;

    for (size_t o = 1; o < O; o++)
        if (y[o] > y[best])
            best = o;
    return best;
}

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

static double evaluate(const float *y, struct targets target, int N, size_t O, float *gy, int64_t *correct)
{
    double total = 0;

    for (size_t n = 0; n < (size_t)N; n++, y += O, gy = gy ? gy + O : NULL) {
        size_t label = (size_t)target.labels[n], best = largest(y, O);

        assert(label < O);
        if (correct && best == label)
            ++*correct;
        total += sample(y, O, label, best, 1 / (float)N, gy);
    }
    return total;
}

const struct loss_ops loss_crossentropy = {
    .name = "crossentropy",
    .evaluate = evaluate,
};
