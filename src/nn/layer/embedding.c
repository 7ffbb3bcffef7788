/* y[t] = the row of the weights that token x[t] names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/layer/members.h"

struct args {
    int64_t dim, num_embeddings;
    double init_range;
};

struct state {
    int T, D, V;
};

// clang-format off
static const struct param rows[] = {
    {.name = "dim", .alias = "embedding_dim", .type = PARAM_INT, .offset = offsetof(struct args, dim), .min = 1, .max = 1 << 16,
     .flags = PARAM_REQUIRED, .help = "Values of one token."},
    {.name = "num_embeddings", .type = PARAM_INT, .offset = offsetof(struct args, num_embeddings), .fallback = "0", .min = 0, .max = 1 << 24,
     .help = "Number of different tokens; 0: the input's vocabulary."},
    {.name = "init_range", .type = PARAM_DOUBLE, .offset = offsetof(struct args, init_range), .fallback = "0", .min = 0, .max = 1e6,
     .help = "Begin with values from [-r, r) instead of the normal distribution N(0, 1); 0: normal."},
};
// clang-format on

static const struct param_table params = {
    .name = "embedding",
    .help = "A learned vector for each token, PyTorch's Embedding.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static int build(struct layer *layer, struct layer_builder *builder)
{
    const struct args *args = layer->args;
    struct state *s = layer->state = calloc(1, sizeof *s);
    int64_t vocabulary = layer_vocabulary(builder), count = args->num_embeddings ? args->num_embeddings : vocabulary;
    int status = layer_expect_dims(layer, builder, 1, "[T] of tokens");

    if (!s)
        return layer_error(layer, builder, "out of memory");
    if (status != OK)
        return status;
    if (count == 0)
        return layer_error(layer, builder, "needs num_embeddings where the input names no vocabulary");
    if (count < vocabulary)
        return layer_error(layer, builder, "has %lld embeddings for a vocabulary of %lld", (long long)count,
                           (long long)vocabulary);
    *s = (struct state){(int)layer->in.dims[0], (int)args->dim, (int)count};
    layer->out.num_dims = 2;
    layer->out.dims[0] = s->T;
    layer->out.dims[1] = s->D;
    return layer_add_tensor(layer, builder, "weight", 2, (int64_t[]){count, args->dim});
}

static void fini(struct layer *layer)
{
    free(layer->state);
}

static void plan(const struct layer *layer, int num_blocks, struct layer_needs *needs)
{
    (void)layer, (void)num_blocks;
    needs->x = true;
}

/* What is no token counts as token 0, so that nothing is read or written elsewhere. */
static size_t token_of(const struct state *s, float x)
{
    return x >= 0 && x < (float)s->V ? (size_t)x : 0;
}

static void forward(const struct layer *layer, const struct pass *pass)
{
    const struct state *s = layer->state;
    const float *weight = pass->params + layer->tensors[0];
    size_t D = (size_t)s->D, steps = (size_t)pass->num_blocks * (size_t)s->T;

    for (size_t i = 0; i < steps * LANES; i++) {
        const float *from = weight + token_of(s, pass->x[i]) * D;
        float *to = pass->y + i / LANES * D * LANES + i % LANES;

        for (size_t d = 0; d < D; d++)
            to[d * LANES] = from[d];
    }
}

/* Samples beyond N have gradients of zero, but token 0 need not be touched for them. */
static void backward(const struct layer *layer, const struct pass *pass)
{
    const struct state *s = layer->state;
    float *dw = pass->grads + layer->tensors[0];
    size_t D = (size_t)s->D, T = (size_t)s->T;

    memset(dw, 0, (size_t)s->V * D * sizeof *dw);
    for (size_t n = 0; n < (size_t)pass->N; n++)
        for (size_t t = 0; t < T; t++) {
            size_t step = n / LANES * T + t;
            float *to = dw + token_of(s, pass->x[step * LANES + n % LANES]) * D;
            const float *gy = pass->gy + step * D * LANES + n % LANES;

            for (size_t d = 0; d < D; d++)
                to[d] += gy[d * LANES];
        }
    if (pass->gx) /* tokens have no slope */
        memset(pass->gx, 0, (size_t)pass->num_blocks * T * LANES * sizeof *pass->gx);
}

static void init(const struct layer *layer, uint64_t seed, float *values)
{
    const struct state *s = layer->state;
    const struct args *args = layer->args;
    float *weight = values + layer->tensors[0], range = (float)args->init_range;
    char name[LAYER_NAME_MAX + 16];
    struct rng rng;

    snprintf(name, sizeof name, "%s.weight", layer->name);
    rng_init(&rng, seed, "init", name, 0);
    for (size_t i = 0; i < (size_t)s->V * (size_t)s->D; i++)
        weight[i] = range > 0 ? rng_uniform_between(&rng, -range, range) : (float)rng_normal(&rng);
}

const struct layer_ops layer_embedding = {
    .name = "embedding",
    .params = &params,
    .build = build,
    .fini = fini,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .init = init,
};
