#include "nn/kernels/kernels.h"
#include "nn/optimizer/members.h"

struct args {
    double lr, momentum, dampening, weight_decay;
    bool nesterov, maximize;
};

// clang-format off
static const struct param rows[] = {
    {.name = "lr", .type = PARAM_DOUBLE, .offset = offsetof(struct args, lr), .min = 0, .max = 1e6,
     .help = "Learning rate; the session's by default."},
    {.name = "momentum", .type = PARAM_DOUBLE, .offset = offsetof(struct args, momentum), .fallback = "0", .min = 0, .max = 1e6,
     .help = "Share of the last step that goes on."},
    {.name = "dampening", .type = PARAM_DOUBLE, .offset = offsetof(struct args, dampening), .fallback = "0", .min = -1e6, .max = 1e6,
     .help = "Share of the gradient that momentum leaves out."},
    {.name = "weight_decay", .type = PARAM_DOUBLE, .offset = offsetof(struct args, weight_decay), .fallback = "0", .min = 0, .max = 1e6,
     .help = "L2 penalty added to the gradient."},
    {.name = "nesterov", .type = PARAM_BOOL, .offset = offsetof(struct args, nesterov), .fallback = "false",
     .help = "Nesterov momentum; needs momentum and no dampening."},
    MAXIMIZE_ROW,
};
// clang-format on

static const struct param_table params = {
    .name = "sgd",
    .help = "Stochastic gradient descent, with momentum as in Sutskever et al. 2013.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static int check(const void *opaque, struct error *err)
{
    const struct args *args = opaque;

    if (args->nesterov && (args->momentum <= 0 || args->dampening != 0))
        return FAIL(err, ERR_INVALID, "nesterov needs a momentum above 0 and a dampening of 0");
    return OK;
}

static size_t state_floats(const void *opaque)
{
    const struct args *args = opaque;

    return args->momentum != 0 ? 1 : 0;
}

static void step(const void *opaque, int64_t number, size_t n, float *values, const float *grads, float *state)
{
    const struct args *args = opaque;
    struct sgd_step s = {
        .lr = (float)args->lr,
        .momentum = (float)args->momentum,
        .dampening = (float)args->dampening,
        .weight_decay = (float)args->weight_decay,
        .nesterov = args->nesterov,
        .first = number == 1,
    };

    kernels_best()->sgd(&s, n, values, grads, args->momentum != 0 ? state : NULL);
}

const struct optimizer_ops optimizer_sgd = {
    .name = "sgd",
    .params = &params,
    .check = check,
    .state_floats = state_floats,
    .step = step,
};
