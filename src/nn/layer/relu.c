#include "nn/layer/members.h"

static int build(struct layer *layer, struct layer_builder *builder)
{
    (void)builder;
    layer->out = layer->in;
    return OK;
}

static void plan(const struct layer *layer, int num_blocks, struct layer_needs *needs)
{
    (void)layer, (void)num_blocks;
    needs->y = true;
    needs->in_place = true;
}

static void forward(const struct layer *layer, const struct pass *pass)
{
    pass->kernels->relu(pass->x, pass->y, (size_t)pass->num_blocks * layer->out_size * LANES);
}

static void backward(const struct layer *layer, const struct pass *pass)
{
    if (pass->gx)
        pass->kernels->relu_backward(pass->y, pass->gy, pass->gx, (size_t)pass->num_blocks * layer->out_size * LANES);
}

const struct layer_ops layer_relu = {
    .name = "relu",
    .build = build,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
