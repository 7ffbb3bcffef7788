#include <math.h>

#include "nn/optimizer/members.h"

struct args {
    double lr, rho, eps, weight_decay;
    bool maximize;
};

// clang-format off
static const struct param rows[] = {
    {.name = "lr", .type = PARAM_DOUBLE, .offset = offsetof(struct args, lr), .min = 0, .max = 1e6,
     .help = "Learning rate; the session's by default."},
    {.name = "rho", .type = PARAM_DOUBLE, .offset = offsetof(struct args, rho), .fallback = "0.9", .min = 0, .max = 1,
     .help = "How much of the mean squares is kept each step."},
    {.name = "eps", .type = PARAM_DOUBLE, .offset = offsetof(struct args, eps), .fallback = "1e-6", .min = 0, .max = 1e6,
     .help = "Added to the mean squares before their roots."},
    {.name = "weight_decay", .type = PARAM_DOUBLE, .offset = offsetof(struct args, weight_decay), .fallback = "0", .min = 0, .max = 1e6,
     .help = "L2 penalty added to the gradient."},
    MAXIMIZE_ROW,
};
// clang-format on

static const struct param_table params = {
    .name = "adadelta",
    .help = "Adadelta (Zeiler 2012).",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static size_t state_floats(const void *opaque)
{
    (void)opaque;
    return 2;
}

static void step(const void *opaque, int64_t number, size_t n, float *values, const float *grads, float *state)
{
    const struct args *args = opaque;
    float rate = (float)args->lr, rho = (float)args->rho, rest = (float)(1 - args->rho), eps = (float)args->eps;
    float decay = (float)args->weight_decay, *squares = state, *deltas = state + n;

    (void)number;
    for (size_t i = 0; i < n; i++) {
        float grad = grads[i] + decay * values[i], delta;

        squares[i] = rho * squares[i] + rest * grad * grad;
        delta = sqrtf(deltas[i] + eps) / sqrtf(squares[i] + eps) * grad;
        deltas[i] = rho * deltas[i] + rest * delta * delta;
        values[i] -= rate * delta;
    }
}

const struct optimizer_ops optimizer_adadelta = {
    .name = "adadelta",
    .params = &params,
    .state_floats = state_floats,
    .step = step,
};
