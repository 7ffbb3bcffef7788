#include <math.h>

#include "nn/optimizer/members.h"

struct args {
    double lr, lr_decay, weight_decay, initial_accumulator_value, eps;
    bool maximize;
};

// clang-format off
static const struct param rows[] = {
    {.name = "lr", .type = PARAM_DOUBLE, .offset = offsetof(struct args, lr), .min = 0, .max = 1e6,
     .help = "Learning rate; the session's by default."},
    {.name = "lr_decay", .type = PARAM_DOUBLE, .offset = offsetof(struct args, lr_decay), .fallback = "0", .min = 0, .max = 1e6,
     .help = "The rate of step t is lr / (1 + (t - 1) lr_decay)."},
    {.name = "weight_decay", .type = PARAM_DOUBLE, .offset = offsetof(struct args, weight_decay), .fallback = "0", .min = 0, .max = 1e6,
     .help = "L2 penalty added to the gradient."},
    {.name = "initial_accumulator_value", .type = PARAM_DOUBLE, .offset = offsetof(struct args, initial_accumulator_value), .fallback = "0", .min = 0, .max = 1e6,
     .help = "What the sum of squares begins with."},
    {.name = "eps", .type = PARAM_DOUBLE, .offset = offsetof(struct args, eps), .fallback = "1e-10", .min = 0, .max = 1e6,
     .help = "Added to the root of the sum."},
    MAXIMIZE_ROW,
};
// clang-format on

static const struct param_table params = {
    .name = "adagrad",
    .help = "AdaGrad (Duchi et al. 2011).",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static size_t state_floats(const void *opaque)
{
    (void)opaque;
    return 1;
}

static void step(const void *opaque, int64_t number, size_t n, float *values, const float *grads, float *state)
{
    const struct args *args = opaque;
    float rate = (float)(args->lr / (1 + (double)(number - 1) * args->lr_decay));
    float decay = (float)args->weight_decay, eps = (float)args->eps;
    float begin = number == 1 ? (float)args->initial_accumulator_value : 0;

    for (size_t i = 0; i < n; i++) {
        float grad = grads[i] + decay * values[i];

        state[i] += begin + grad * grad;
        values[i] -= rate * grad / (sqrtf(state[i]) + eps);
    }
}

const struct optimizer_ops optimizer_adagrad = {
    .name = "adagrad",
    .params = &params,
    .state_floats = state_floats,
    .step = step,
};
