#include <math.h>

#include "nn/kernels/kernels.h"
#include "nn/optimizer/members.h"

struct args {
    double lr;
    struct double_list betas;
    double eps, weight_decay;
    bool amsgrad, maximize;
};

// clang-format off
#define ADAM_ROWS(decay, decay_help)                                                                                   \
    {.name = "lr", .type = PARAM_DOUBLE, .offset = offsetof(struct args, lr), .min = 0, .max = 1e6,                    \
     .help = "Learning rate; the session's by default."},                                                              \
    {.name = "betas", .type = PARAM_DOUBLES, .offset = offsetof(struct args, betas), .fallback = "[0.9, 0.999]",       \
     .min = 0, .max = 1, .help = "How much of the gradient's mean and square is kept each step; both below 1."},       \
    {.name = "eps", .type = PARAM_DOUBLE, .offset = offsetof(struct args, eps), .fallback = "1e-8", .min = 0,          \
     .max = 1e6, .help = "Added to the root of the square."},                                                          \
    {.name = "weight_decay", .type = PARAM_DOUBLE, .offset = offsetof(struct args, weight_decay), .fallback = decay,   \
     .min = 0, .max = 1e6, .help = decay_help},                                                                        \
    {.name = "amsgrad", .type = PARAM_BOOL, .offset = offsetof(struct args, amsgrad), .fallback = "false",             \
     .help = "Divide by the largest mean square so far (Reddi et al. 2018)."},                                         \
    MAXIMIZE_ROW

static const struct param rows[] = {
    ADAM_ROWS("0", "L2 penalty added to the gradient."),
};

static const struct param rows_w[] = {
    ADAM_ROWS("0.01", "Share of a parameter, times the learning rate, that every step takes off."),
};
// clang-format on

static const struct param_table params = {
    .name = "adam",
    .help = "Adam (Kingma & Ba 2015).",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static const struct param_table params_w = {
    .name = "adamw",
    .help = "Adam with weight decay of its own, apart from the gradient (Loshchilov & Hutter 2019).",
    .rows = rows_w,
    .num_rows = sizeof rows_w / sizeof *rows_w,
    .size = sizeof(struct args),
};

static int check(const void *opaque, struct error *err)
{
    const struct args *args = opaque;

    if (args->betas.n != 2 || args->betas.items[0] >= 1 || args->betas.items[1] >= 1)
        return FAIL(err, ERR_INVALID, "betas must be two numbers from 0 to below 1");
    return OK;
}

static size_t state_floats(const void *opaque)
{
    const struct args *args = opaque;

    return args->amsgrad ? 3 : 2;
}

static void run(const struct args *args, double weight_decay, int64_t number, size_t n, float *values,
                const float *grads, float *state)
{
    double beta1 = args->betas.items[0], beta2 = args->betas.items[1];
    struct adam_step s = {
        .beta1 = (float)beta1,
        .beta2 = (float)beta2,
        .rest1 = (float)(1 - beta1),
        .rest2 = (float)(1 - beta2),
        .eps = (float)args->eps,
        .weight_decay = (float)weight_decay,
        .step_size = (float)(args->lr / (1 - pow(beta1, (double)number))),
        .root_scale = (float)(1 / sqrt(1 - pow(beta2, (double)number))),
    };

    kernels_best()->adam(&s, n, values, grads, state, state + n, args->amsgrad ? state + 2 * n : NULL);
}

static void step(const void *opaque, int64_t number, size_t n, float *values, const float *grads, float *state)
{
    const struct args *args = opaque;

    run(args, args->weight_decay, number, n, values, grads, state);
}

static void step_w(const void *opaque, int64_t number, size_t n, float *values, const float *grads, float *state)
{
    const struct args *args = opaque;
    float rest = (float)(1 - args->lr * args->weight_decay);

    for (size_t i = 0; i < n; i++)
        values[i] *= rest;
    run(args, 0, number, n, values, grads, state);
}

const struct optimizer_ops optimizer_adam = {
    .name = "adam",
    .params = &params,
    .check = check,
    .state_floats = state_floats,
    .step = step,
};

const struct optimizer_ops optimizer_adamw = {
    .name = "adamw",
    .params = &params_w,
    .check = check,
    .state_floats = state_floats,
    .step = step_w,
};
