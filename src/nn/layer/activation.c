/* Activations whose every value depends on one value: relu6, leaky_relu, gelu, tanh, sigmoid. The kernels do the work;
 * here stands which one, and what its backward pass reads. */
#include "nn/layer/members.h"

struct args {
    double slope; /* leaky_relu */
};

static const struct rule {
    const struct layer_ops *ops;
    bool reads_x; /* backward reads the input; else the output */
} rules[NUM_ACTIVATIONS] = {
    [ACTIVATION_RELU6] = {&layer_relu6, false},     [ACTIVATION_LEAKY_RELU] = {&layer_leaky_relu, true},
    [ACTIVATION_GELU] = {&layer_gelu, true},        [ACTIVATION_TANH] = {&layer_tanh, false},
    [ACTIVATION_SIGMOID] = {&layer_sigmoid, false},
};

// clang-format off
static const struct param leaky_rows[] = {
    {.name = "slope", .alias = "negative_slope", .type = PARAM_DOUBLE, .offset = offsetof(struct args, slope), .fallback = "0.01",
     .help = "What negative values are multiplied by."},
};

static const struct param_table leaky_params = {
    .name = "leaky_relu", .help = "x where it is positive, slope times x elsewhere.",
    .rows = leaky_rows, .num_rows = sizeof leaky_rows / sizeof *leaky_rows, .size = sizeof(struct args),
};
// clang-format on

static int rule_of(const struct layer *layer)
{
    int i = 0;

    while (rules[i].ops != layer->ops)
        i++;
    return i;
}

static int build(struct layer *layer, struct layer_builder *builder)
{
    (void)builder;
    layer->out = layer->in;
    return OK;
}

static void plan(const struct layer *layer, int num_blocks, struct layer_needs *needs)
{
    (void)num_blocks;
    needs->x = rules[rule_of(layer)].reads_x;
    needs->y = !needs->x;
    needs->in_place = true;
}

static float argument(const struct layer *layer)
{
    return layer->args ? (float)((const struct args *)layer->args)->slope : 0;
}

static size_t floats(const struct layer *layer, const struct pass *pass)
{
    return (size_t)pass->num_blocks * layer->out_size * LANES;
}

static void forward(const struct layer *layer, const struct pass *pass)
{
    pass->kernels->activate[rule_of(layer)](pass->x, argument(layer), floats(layer, pass), pass->y);
}

static void backward(const struct layer *layer, const struct pass *pass)
{
    int i = rule_of(layer);

    if (pass->gx)
        pass->kernels->activate_backward[i](rules[i].reads_x ? pass->x : pass->y, pass->gy, argument(layer),
                                            floats(layer, pass), pass->gx);
}

#define ACTIVATION(word, table)                                                                                        \
    const struct layer_ops layer_##word = {                                                                            \
        .name = #word, .params = table, .build = build, .plan = plan, .forward = forward, .backward = backward}

ACTIVATION(relu6, NULL);
ACTIVATION(leaky_relu, &leaky_params);
ACTIVATION(gelu, NULL);
ACTIVATION(tanh, NULL);
ACTIVATION(sigmoid, NULL);
