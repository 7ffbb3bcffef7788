/* softmax and log_softmax over the last dimension: D vectors that lie side by side. */
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

static size_t last_dim(const struct layer *layer)
{
    return (size_t)layer->in.dims[layer->in.num_dims - 1];
}

static void forward(const struct layer *layer, const struct pass *pass)
{
    size_t D = last_dim(layer), rows = layer->out_size / D * (size_t)pass->num_blocks;
    bool logarithm = layer->ops == &layer_log_softmax;

    for (size_t i = 0; i < rows; i++)
        (logarithm ? pass->kernels->log_softmax : pass->kernels->softmax)(pass->x + i * D * LANES, D,
                                                                          pass->y + i * D * LANES);
}

static void backward(const struct layer *layer, const struct pass *pass)
{
    size_t D = last_dim(layer), rows = layer->out_size / D * (size_t)pass->num_blocks;
    bool logarithm = layer->ops == &layer_log_softmax;

    for (size_t i = 0; pass->gx && i < rows; i++)
        (logarithm ? pass->kernels->log_softmax_backward : pass->kernels->softmax_backward)(
            pass->y + i * D * LANES, pass->gy + i * D * LANES, D, pass->gx + i * D * LANES);
}

#define SOFTMAX(word)                                                                                                  \
    const struct layer_ops layer_##word = {                                                                            \
        .name = #word, .build = build, .plan = plan, .forward = forward, .backward = backward}

SOFTMAX(softmax);
SOFTMAX(log_softmax);
