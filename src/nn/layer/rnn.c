#include "nn/layer/members.h"
#include "nn/layer/recurrent.h"

static const char *const nonlinearities[] = {"tanh", "relu", NULL};

// clang-format off
static const struct param rows[] = {
    RECURRENT_ROWS,
    {.name = "nonlinearity", .type = PARAM_CHOICE, .offset = offsetof(struct recurrent_args, nonlinearity), .fallback = "tanh",
     .choices = nonlinearities, .help = "What a step makes of its sums."},
};
// clang-format on

static const struct param_table params = {
    .name = "rnn",
    .help = "Recurrent network with tanh or relu (Elman 1990), PyTorch's RNN.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct recurrent_args),
};

static int build(struct layer *layer, struct layer_builder *builder)
{
    return recurrent_build(layer, builder, &recurrent_rnn);
}

const struct layer_ops layer_rnn = {
    .name = "rnn",
    .params = &params,
    .build = build,
    .fini = recurrent_fini,
    .plan = recurrent_plan,
    .forward = recurrent_forward,
    .backward = recurrent_backward,
    .init = recurrent_init,
    .flops = recurrent_flops,
};
