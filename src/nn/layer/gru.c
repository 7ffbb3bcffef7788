#include "nn/layer/members.h"
#include "nn/layer/recurrent.h"

// clang-format off
static const struct param rows[] = {
    RECURRENT_ROWS,
};
// clang-format on

static const struct param_table params = {
    .name = "gru",
    .help = "Gated recurrent unit (Cho et al. 2014), PyTorch's GRU.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct recurrent_args),
};

static int build(struct layer *layer, struct layer_builder *builder)
{
    return recurrent_build(layer, builder, &recurrent_gru);
}

const struct layer_ops layer_gru = {
    .name = "gru",
    .params = &params,
    .build = build,
    .fini = recurrent_fini,
    .plan = recurrent_plan,
    .forward = recurrent_forward,
    .backward = recurrent_backward,
    .init = recurrent_init,
    .flops = recurrent_flops,
};
