/* Normalisation within a sample: of groups of channels (Wu & He 2018), or of the last dimension (Ba et al. 2016). A
 * sample is cut into spans of values that lie one after the other; each gets mean 0 and variance 1, lane by lane. */
#include <math.h>
#include <stdlib.h>

#include "nn/layer/members.h"

struct args {
    int64_t groups;
    double eps;
    bool affine;
};

struct state {
    size_t spans, length; /* of one sample, and values of one span */
    size_t parameters;    /* weights */
    size_t run;           /* values that share a weight, one after the other; weights go round */
};

// clang-format off
static const struct param group_rows[] = {
    {.name = "groups", .alias = "num_groups", .type = PARAM_INT, .offset = offsetof(struct args, groups), .min = 1, .max = 1 << 16,
     .flags = PARAM_REQUIRED, .help = "Into so many groups the channels are divided."},
    {.name = "eps", .type = PARAM_DOUBLE, .offset = offsetof(struct args, eps), .fallback = "1e-5", .min = 0, .max = 1,
     .help = "Added to the variance."},
    {.name = "affine", .type = PARAM_BOOL, .offset = offsetof(struct args, affine), .fallback = "true",
     .help = "Learn a scale and a shift of each channel."},
};

static const struct param layer_rows[] = {
    {.name = "eps", .type = PARAM_DOUBLE, .offset = offsetof(struct args, eps), .fallback = "1e-5", .min = 0, .max = 1,
     .help = "Added to the variance."},
    {.name = "affine", .alias = "elementwise_affine", .type = PARAM_BOOL, .offset = offsetof(struct args, affine), .fallback = "true",
     .help = "Learn a scale and a shift of each value."},
};
// clang-format on

static const struct param_table group_params = {
    .name = "groupnorm",
    .help = "Each group of channels of a sample gets mean 0 and variance 1.",
    .rows = group_rows,
    .num_rows = sizeof group_rows / sizeof *group_rows,
    .size = sizeof(struct args),
};

static const struct param_table layer_params = {
    .name = "layernorm",
    .help = "The last dimension of a sample gets mean 0 and variance 1.",
    .rows = layer_rows,
    .num_rows = sizeof layer_rows / sizeof *layer_rows,
    .size = sizeof(struct args),
};

static int add_tensors(struct layer *layer, struct layer_builder *builder, int64_t parameters)
{
    const struct args *args = layer->args;
    struct state *s = layer->state;
    int status = OK;

    layer->out = layer->in;
    s->parameters = (size_t)parameters;
    if (args->affine)
        status = layer_add_tensor(layer, builder, "weight", 1, &parameters);
    return status == OK && args->affine ? layer_add_tensor(layer, builder, "bias", 1, &parameters) : status;
}

static int group_build(struct layer *layer, struct layer_builder *builder)
{
    const struct args *args = layer->args;
    struct state *s = layer->state = calloc(1, sizeof *s);
    int64_t C = layer->in.dims[0];

    if (!s)
        return layer_error(layer, builder, "out of memory");
    if (layer->in.num_dims != 3)
        return layer_expect_dims(layer, builder, 3, "[C, H, W]");
    if (C % args->groups != 0)
        return layer_error(layer, builder, "%lld channels cannot be divided into %lld groups of one size", (long long)C,
                           (long long)args->groups);
    s->run = (size_t)(layer->in.dims[1] * layer->in.dims[2]);
    s->spans = (size_t)args->groups;
    s->length = (size_t)(C / args->groups) * s->run;
    return add_tensors(layer, builder, C);
}

static int layer_build(struct layer *layer, struct layer_builder *builder)
{
    struct state *s = layer->state = calloc(1, sizeof *s);
    int64_t D = layer->in.dims[layer->in.num_dims - 1];

    if (!s)
        return layer_error(layer, builder, "out of memory");
    s->run = 1;
    s->length = (size_t)D;
    s->spans = layer->in_size / s->length;
    return add_tensors(layer, builder, D);
}

static void fini(struct layer *layer)
{
    free(layer->state);
}

static void plan(const struct layer *layer, int num_blocks, struct layer_needs *needs)
{
    const struct state *s = layer->state;

    (void)num_blocks;
    needs->x = true;
    needs->saved = 2 * s->spans * LANES; /* mean and 1 / deviation of each lane */
    needs->forward_scratch = (size_t)2 * LANES;
}

static void find_statistics(const struct args *args, const float *x, size_t length, float *mean, float *scale)
{
    float sums[LANES] = {0}, squares[LANES] = {0};

    for (size_t i = 0; i < length * LANES; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            sums[k] += x[i + k];
    for (size_t k = 0; k < LANES; k++)
        mean[k] = sums[k] / (float)length;
    for (size_t i = 0; i < length * LANES; i += LANES)
        for (size_t k = 0; k < LANES; k++) {
            float d = x[i + k] - mean[k];

            squares[k] += d * d;
        }
    for (size_t k = 0; k < LANES; k++)
        scale[k] = 1 / sqrtf(squares[k] / (float)length + (float)args->eps);
}

/* The number of the weight that value i of span `span` uses. */
static size_t weight_at(const struct state *s, size_t span, size_t i)
{
    return (span * s->length + i) / s->run % s->parameters;
}

static void forward(const struct layer *layer, const struct pass *pass)
{
    const struct args *args = layer->args;
    const struct state *s = layer->state;
    const float *weight = args->affine ? pass->params + layer->tensors[0] : NULL;
    const float *bias = args->affine ? pass->params + layer->tensors[1] : NULL, *x = pass->x;
    float *y = pass->y, *mean = pass->saved ? pass->saved : pass->scratch;

    for (size_t span = 0; span < (size_t)pass->num_blocks * s->spans; span++) {
        float *scale = mean + LANES;

        find_statistics(args, x, s->length, mean, scale);
        for (size_t i = 0; i < s->length; i++, x += LANES, y += LANES) {
            float w = weight ? weight[weight_at(s, span, i)] : 1, b = bias ? bias[weight_at(s, span, i)] : 0;

            for (size_t k = 0; k < LANES; k++)
                y[k] = (x[k] - mean[k]) * scale[k] * w + b;
        }
        mean += pass->saved ? 2 * LANES : 0;
    }
}

/* What one span's backward pass goes through. */
struct span {
    const float *x, *gy, *mean, *scale, *weight;
    float *gx, *dw, *db;
    size_t number;
};

/* Fills, of each lane, the sums of g = w gy and of g x' over the span, x' the normalised input; adds to dw and db. */
static void span_sums(const struct state *s, const struct span *p, float *g_sum, float *gx_sum)
{
    for (size_t i = 0; i < s->length; i++) {
        size_t at = weight_at(s, p->number, i);
        float w = p->weight ? p->weight[at] : 1, plain[LANES], times[LANES], db = 0, dw = 0;

        for (size_t k = 0; k < LANES; k++) {
            plain[k] = p->gy[i * LANES + k];
            times[k] = plain[k] * (p->x[i * LANES + k] - p->mean[k]) * p->scale[k];
            g_sum[k] += w * plain[k];
            gx_sum[k] += w * times[k];
        }
        for (size_t k = 0; k < LANES; k++) {
            db += plain[k];
            dw += times[k];
        }
        if (p->dw) {
            p->dw[at] += dw;
            p->db[at] += db;
        }
    }
}

static void span_backward(const struct state *s, const struct span *p)
{
    float g_sum[LANES] = {0}, gx_sum[LANES] = {0}, n = (float)s->length;

    span_sums(s, p, g_sum, gx_sum);
    for (size_t i = 0; i < s->length && p->gx; i++) {
        float w = p->weight ? p->weight[weight_at(s, p->number, i)] : 1;

        for (size_t k = 0; k < LANES; k++) {
            float x = (p->x[i * LANES + k] - p->mean[k]) * p->scale[k];

            p->gx[i * LANES + k] = p->scale[k] * (w * p->gy[i * LANES + k] - g_sum[k] / n - x * gx_sum[k] / n);
        }
    }
}

static void backward(const struct layer *layer, const struct pass *pass)
{
    const struct args *args = layer->args;
    const struct state *s = layer->state;
    struct span p = {.x = pass->x, .gy = pass->gy, .mean = pass->saved, .gx = pass->gx};

    if (args->affine) {
        p.weight = pass->params + layer->tensors[0];
        p.dw = pass->grads + layer->tensors[0];
        p.db = pass->grads + layer->tensors[1];
        for (size_t i = 0; i < s->parameters; i++)
            p.dw[i] = p.db[i] = 0;
    }
    for (; p.number < (size_t)pass->num_blocks * s->spans; p.number++) {
        p.scale = p.mean + LANES;
        span_backward(s, &p);
        p.x += s->length * LANES;
        p.gy += s->length * LANES;
        p.gx = p.gx ? p.gx + s->length * LANES : NULL;
        p.mean += 2 * LANES;
    }
}

static void init(const struct layer *layer, uint64_t seed, float *values)
{
    const struct args *args = layer->args;
    const struct state *s = layer->state;

    (void)seed; /* biases are zeros already */
    for (size_t i = 0; args->affine && i < s->parameters; i++)
        values[layer->tensors[0] + i] = 1;
}

static double flops(const struct layer *layer, bool backwards, bool wants_gx)
{
    return (double)layer->in_size * (backwards ? 6 + 6 * wants_gx : 8);
}

const struct layer_ops layer_groupnorm = {
    .name = "groupnorm",
    .params = &group_params,
    .build = group_build,
    .fini = fini,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .init = init,
    .flops = flops,
};

const struct layer_ops layer_layernorm = {
    .name = "layernorm",
    .params = &layer_params,
    .build = layer_build,
    .fini = fini,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .init = init,
    .flops = flops,
};
