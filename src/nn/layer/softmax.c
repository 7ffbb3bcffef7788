/* softmax and log_softmax over one dimension: D vectors that lie a fixed step apart. */
#include <stdlib.h>

#include "nn/layer/members.h"

struct args {
    int64_t dim;
};

struct geometry {
    size_t outer, D, inner; /* dimensions before, over which, and behind, multiplied */
};

static const struct param rows[] = {
    {.name = "dim",
     .type = PARAM_INT,
     .offset = offsetof(struct args, dim),
     .fallback = "-1",
     .min = -TENSOR_MAX_DIMS,
     .max = TENSOR_MAX_DIMS,
     .help = "Over which dimension, the batch being 0 as in PyTorch: 1 for the channels of [C, H, W]; -1 is the last."},
};

#define TABLE(variable, word, sentence)                                                                                \
    static const struct param_table variable = {.name = word,                                                          \
                                                .help = sentence,                                                      \
                                                .rows = rows,                                                          \
                                                .num_rows = sizeof rows / sizeof *rows,                                \
                                                .size = sizeof(struct args)}

TABLE(softmax_params, "softmax", "Values become shares of 1: e^x over their sum.");
TABLE(log_softmax_params, "log_softmax", "The logarithm of softmax.");

static int build(struct layer *layer, struct layer_builder *builder)
{
    const struct args *args = layer->args;
    int64_t dim = args->dim < 0 ? layer->in.num_dims + args->dim : args->dim - 1;
    struct geometry *g = layer->state = calloc(1, sizeof *g);

    if (!g)
        return layer_error(layer, builder, "out of memory");
    if (dim < 0 || dim >= layer->in.num_dims)
        return layer_error(layer, builder, "dim must be 1 to %d or -%d to -1 here (0 is the batch), not %lld",
                           layer->in.num_dims, layer->in.num_dims, (long long)args->dim);
    g->outer = g->D = g->inner = 1;
    for (int i = 0; i < layer->in.num_dims; i++)
        *(i < dim ? &g->outer : i == dim ? &g->D : &g->inner) *= (size_t)layer->in.dims[i];
    layer->out = layer->in;
    return OK;
}

static void fini(struct layer *layer)
{
    free(layer->state);
}

static void plan(const struct layer *layer, int num_blocks, struct layer_needs *needs)
{
    (void)layer, (void)num_blocks;
    needs->y = true;
    needs->in_place = true;
}

/* Where the i-th run of D vectors begins. */
static size_t run_at(const struct geometry *g, size_t i)
{
    return (i / g->inner * g->D * g->inner + i % g->inner) * LANES;
}

static void forward(const struct layer *layer, const struct pass *pass)
{
    const struct geometry *g = layer->state;
    size_t runs = g->outer * g->inner * (size_t)pass->num_blocks, step = g->inner * LANES;
    bool logarithm = layer->ops == &layer_log_softmax;

    for (size_t i = 0; i < runs; i++)
        (logarithm ? pass->kernels->log_softmax : pass->kernels->softmax)(pass->x + run_at(g, i), g->D, step,
                                                                          pass->y + run_at(g, i));
}

static void backward(const struct layer *layer, const struct pass *pass)
{
    const struct geometry *g = layer->state;
    size_t runs = g->outer * g->inner * (size_t)pass->num_blocks, step = g->inner * LANES;
    bool logarithm = layer->ops == &layer_log_softmax;

    for (size_t i = 0; pass->gx && i < runs; i++)
        (logarithm ? pass->kernels->log_softmax_backward : pass->kernels->softmax_backward)(
            pass->y + run_at(g, i), pass->gy + run_at(g, i), g->D, step, pass->gx + run_at(g, i));
}

#define SOFTMAX(word)                                                                                                  \
    const struct layer_ops layer_##word = {.name = #word,                                                              \
                                           .params = &word##_params,                                                   \
                                           .build = build,                                                             \
                                           .fini = fini,                                                               \
                                           .plan = plan,                                                               \
                                           .forward = forward,                                                         \
                                           .backward = backward}

SOFTMAX(softmax);
SOFTMAX(log_softmax);
