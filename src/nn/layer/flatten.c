/* Only the shape changes: the values already lie in C, H, W order. */
#include <string.h>

#include "nn/layer/members.h"

static int build(struct layer *layer, struct layer_builder *builder)
{
    (void)builder;
    layer->out.num_dims = 1;
    layer->out.dims[0] = shape_count(&layer->in);
    return OK;
}

static void plan(const struct layer *layer, int num_blocks, struct layer_needs *needs)
{
    (void)layer, (void)num_blocks;
    needs->in_place = true;
    needs->same_values = true;
}

static void copy(const struct layer *layer, const struct pass *pass, const float *from, float *to)
{
    if (to && to != from)
        memcpy(to, from, (size_t)pass->num_blocks * layer->out_size * LANES * sizeof *to);
}

static void forward(const struct layer *layer, const struct pass *pass)
{
    copy(layer, pass, pass->x, pass->y);
}

static void backward(const struct layer *layer, const struct pass *pass)
{
    copy(layer, pass, pass->gy, pass->gx);
}

const struct layer_ops layer_flatten = {
    .name = "flatten",
    .build = build,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
