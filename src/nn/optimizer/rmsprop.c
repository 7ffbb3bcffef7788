#include <math.h>

#include "nn/optimizer/members.h"

struct args {
    double lr, alpha, eps, weight_decay, momentum;
    bool centered, maximize;
};

// clang-format off
static const struct param rows[] = {
    {.name = "lr", .type = PARAM_DOUBLE, .offset = offsetof(struct args, lr), .min = 0, .max = 1e6,
     .help = "Learning rate; the session's by default."},
    {.name = "alpha", .type = PARAM_DOUBLE, .offset = offsetof(struct args, alpha), .fallback = "0.99", .min = 0, .max = 1,
     .help = "How much of the mean square is kept each step."},
    {.name = "eps", .type = PARAM_DOUBLE, .offset = offsetof(struct args, eps), .fallback = "1e-8", .min = 0, .max = 1e6,
     .help = "Added to the root of the mean square."},
    {.name = "weight_decay", .type = PARAM_DOUBLE, .offset = offsetof(struct args, weight_decay), .fallback = "0", .min = 0, .max = 1e6,
     .help = "L2 penalty added to the gradient."},
    {.name = "momentum", .type = PARAM_DOUBLE, .offset = offsetof(struct args, momentum), .fallback = "0", .min = 0, .max = 1e6,
     .help = "Share of the last step that goes on."},
    {.name = "centered", .type = PARAM_BOOL, .offset = offsetof(struct args, centered), .fallback = "false",
     .help = "Divide by an estimate of the variance instead of the mean square."},
    MAXIMIZE_ROW,
};
// clang-format on

static const struct param_table params = {
    .name = "rmsprop",
    .help = "RMSprop (Tieleman & Hinton 2012), plain, with momentum, or centred (Graves 2013).",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static size_t state_floats(const void *opaque)
{
    const struct args *args = opaque;

    return 1 + (args->centered ? 1U : 0U) + (args->momentum > 0 ? 1U : 0U);
}

static void step(const void *opaque, int64_t number, size_t n, float *values, const float *grads, float *state)
{
    const struct args *args = opaque;
    float rate = (float)args->lr, alpha = (float)args->alpha, rest = (float)(1 - args->alpha), eps = (float)args->eps;
    float decay = (float)args->weight_decay, momentum = (float)args->momentum;
    float *means = args->centered ? state + n : NULL,
          *steps = momentum > 0 ? state + (args->centered ? 2 : 1) * n : NULL;

    (void)number;
    for (size_t i = 0; i < n; i++) {
        float grad = grads[i] + decay * values[i], variance, move;

        state[i] = alpha * state[i] + rest * grad * grad;
        variance = state[i];
        if (means) {
            means[i] = alpha * means[i] + rest * grad;
            variance -= means[i] * means[i];
        }
        move = grad / (sqrtf(variance) + eps);
        if (steps)
            move = steps[i] = momentum * steps[i] + move;
        values[i] -= rate * move;
    }
}

const struct optimizer_ops optimizer_rmsprop = {
    .name = "rmsprop",
    .params = &params,
    .state_floats = state_floats,
    .step = step,
};
