/* Dropout (Srivastava et al. 2014), inverted: what is kept is scaled up, and evaluation does nothing. Every lane draws,
 * also those without a sample, so the mask depends on the generator and the shapes alone. */
#include <string.h>

#include "nn/layer/members.h"

struct args {
    double p;
};

// clang-format off
static const struct param rows[] = {
    {.name = "p", .type = PARAM_DOUBLE, .offset = offsetof(struct args, p), .fallback = "0.5", .min = 0, .max = 1,
     .help = "Probability that a value is dropped while training."},
};
// clang-format on

static const struct param_table params = {
    .name = "dropout",
    .help = "Drops values at random while training.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static int build(struct layer *layer, struct layer_builder *builder)
{
    (void)builder;
    layer->out = layer->in;
    return OK;
}

static void plan(const struct layer *layer, int num_blocks, struct layer_needs *needs)
{
    (void)num_blocks;
    needs->saved = layer->in_size * LANES / sizeof(float); /* a byte a value: 1 where it is kept */
    needs->in_place = true;
}

/* Two values a draw, by their 32 bits. */
static void draw(struct rng *rng, double p, size_t n, unsigned char *kept)
{
    uint64_t limit = (uint64_t)(p * 4294967296.0);

    for (size_t i = 0; i < n; i += 2) {
        uint64_t bits = rng_u64(rng);

        kept[i] = (bits & 0xffffffff) >= limit;
        kept[i + 1] = bits >> 32 >= limit;
    }
}

static float scale_of(const struct args *args)
{
    return args->p < 1 ? (float)(1 / (1 - args->p)) : 0;
}

/* Multiplied even where it is dropped, as in PyTorch: a NaN or an infinity becomes a NaN, so that no mask hides a model
 * that diverged. */
static void apply(const float *x, const unsigned char *kept, float scale, size_t n, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * (scale * (float)kept[i]);
}

static void forward(const struct layer *layer, const struct pass *pass)
{
    const struct args *args = layer->args;
    size_t n = (size_t)pass->num_blocks * layer->in_size * LANES;
    unsigned char *kept = (unsigned char *)pass->saved;

    if (!pass->training || args->p == 0) {
        if (pass->y != pass->x)
            memcpy(pass->y, pass->x, n * sizeof *pass->y);
        return;
    }
    draw(pass->rng, args->p, n, kept);
    apply(pass->x, kept, scale_of(args), n, pass->y);
}

static void backward(const struct layer *layer, const struct pass *pass)
{
    const struct args *args = layer->args;
    size_t n = (size_t)pass->num_blocks * layer->in_size * LANES;

    if (!pass->gx)
        return;
    if (pass->training && args->p > 0)
        apply(pass->gy, (const unsigned char *)pass->saved, scale_of(args), n, pass->gx);
    else if (pass->gx != pass->gy)
        memcpy(pass->gx, pass->gy, n * sizeof *pass->gx);
}

const struct layer_ops layer_dropout = {
    .name = "dropout",
    .params = &params,
    .build = build,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
