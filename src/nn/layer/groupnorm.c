/* Normalisation within a sample: of groups of channels (Wu & He 2018), or of the last dimensions (Ba et al. 2016). A
 * sample is cut into spans of values that lie one after the other; each gets mean 0 and variance 1, lane by lane. */
#include <math.h>
#include <stdlib.h>

#include "nn/layer/members.h"

struct args {
    int64_t groups;                   /* groupnorm */
    struct int_list normalized_shape; /* layernorm */
    double eps;
    bool affine;
};

struct state {
    size_t spans;         /* of one sample */
    size_t channels, run; /* of one span (struct norm_span) */
    size_t parameters;    /* weights: one set after the other for the spans of a sample, or one set for all */
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
    {.name = "normalized_shape", .type = PARAM_INTS, .offset = offsetof(struct args, normalized_shape), .min = 1, .max = LAYER_MAX_VALUES,
     .help = "The last dimensions of a sample, which are normalised together; without it the last one. Weights have this shape."},
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
    .help = "The last dimensions of a sample get mean 0 and variance 1.",
    .rows = layer_rows,
    .num_rows = sizeof layer_rows / sizeof *layer_rows,
    .size = sizeof(struct args),
};

/* Weights of the input's dimensions `dims`. */
static int add_tensors(struct layer *layer, struct layer_builder *builder, int num_dims, const int64_t *dims)
{
    const struct args *args = layer->args;
    struct state *s = layer->state;
    int status = OK;

    layer->out = layer->in;
    s->parameters = 1;
    for (int i = 0; i < num_dims; i++)
        s->parameters *= (size_t)dims[i];
    if (args->affine)
        status = layer_add_tensor(layer, builder, "weight", num_dims, dims);
    return status == OK && args->affine ? layer_add_tensor(layer, builder, "bias", num_dims, dims) : status;
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
    s->channels = (size_t)(C / args->groups);
    return add_tensors(layer, builder, 1, &C);
}

/* Number of dimensions to normalise; 0, reported, where the input does not end in normalized_shape. */
static int normalized_dims(const struct layer *layer, struct layer_builder *builder)
{
    const struct args *args = layer->args;
    const struct shape *in = &layer->in;
    size_t n = args->normalized_shape.n, first = (size_t)in->num_dims - n;
    char found[SHAPE_TEXT_MAX];
    bool fits = n <= (size_t)in->num_dims;

    for (size_t i = 0; fits && i < n; i++)
        fits = args->normalized_shape.items[i] == in->dims[first + i];
    if (fits)
        return n > 0 ? (int)n : 1;
    shape_text(in->num_dims, in->dims, found);
    layer_error(layer, builder, "normalized_shape must be the last dimensions of its input, which is %s", found);
    return 0;
}

static int layer_build(struct layer *layer, struct layer_builder *builder)
{
    struct state *s = layer->state = calloc(1, sizeof *s);
    int n, status;

    if (!s)
        return layer_error(layer, builder, "out of memory");
    n = normalized_dims(layer, builder);
    if (n == 0)
        return ERR_INVALID;
    status = add_tensors(layer, builder, n, layer->in.dims + layer->in.num_dims - n);
    s->run = 1;
    s->channels = s->parameters;
    s->spans = layer->in_size / s->channels;
    return status;
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

static void find_statistics(const struct args *args, const struct kernels *kernels, const float *x, size_t length,
                            float *mean, float *scale)
{
    float squares[LANES] = {0};

    for (size_t k = 0; k < LANES; k++)
        mean[k] = 0;
    kernels->lane_sums(x, length, mean);
    for (size_t k = 0; k < LANES; k++)
        mean[k] /= (float)length;
    kernels->lane_squares(x, mean, length, squares);
    for (size_t k = 0; k < LANES; k++)
        scale[k] = 1 / sqrtf(squares[k] / (float)length + (float)args->eps);
}

/* Number of the first weight of span `number` of a batch. */
static size_t first_weight(const struct state *s, size_t number)
{
    return number % s->spans * s->channels % s->parameters;
}

static struct norm_span span_of_pass(const struct layer *layer, const struct pass *pass, size_t number,
                                     const float *statistics)
{
    const struct args *args = layer->args;
    const struct state *s = layer->state;
    size_t first = first_weight(s, number);

    return (struct norm_span){
        .x = pass->x + number * s->channels * s->run * LANES,
        .mean = statistics,
        .scale = statistics + LANES,
        .weight = args->affine ? pass->params + layer->tensors[0] + first : NULL,
        .bias = args->affine ? pass->params + layer->tensors[1] + first : NULL,
        .channels = s->channels,
        .run = s->run,
    };
}

static void forward(const struct layer *layer, const struct pass *pass)
{
    const struct state *s = layer->state;
    size_t length = s->channels * s->run;

    for (size_t i = 0; i < (size_t)pass->num_blocks * s->spans; i++) {
        float *statistics = pass->saved ? pass->saved + i * 2 * LANES : pass->scratch;
        struct norm_span span = span_of_pass(layer, pass, i, statistics);

        find_statistics(layer->args, pass->kernels, span.x, length, statistics, statistics + LANES);
        pass->kernels->normalize(&span, pass->y + i * length * LANES);
    }
}

/* With n values in the span, g = weight gy and x' = (x - mean) scale, lane by lane:
 * gx = scale (g - sum(g) / n - x' sum(g x') / n). */
static void span_backward(const struct pass *pass, const struct norm_span *span, const float *gy, float *gx, float *dw,
                          float *db)
{
    float sums[2 * LANES], b[LANES], c[LANES], n = (float)(span->channels * span->run);

    pass->kernels->normalize_sums(span, gy, sums, dw, db);
    for (size_t k = 0; k < LANES; k++) {
        b[k] = -span->scale[k] * span->scale[k] * sums[LANES + k] / n;
        c[k] = -span->scale[k] * sums[k] / n;
    }
    if (gx)
        pass->kernels->normalize_backward(span, gy, b, c, gx);
}

static void backward(const struct layer *layer, const struct pass *pass)
{
    const struct args *args = layer->args;
    const struct state *s = layer->state;
    float *dw = args->affine ? pass->grads + layer->tensors[0] : NULL;
    float *db = args->affine ? pass->grads + layer->tensors[1] : NULL;

    for (size_t i = 0; i < s->parameters && dw; i++)
        dw[i] = db[i] = 0;
    for (size_t i = 0; i < (size_t)pass->num_blocks * s->spans; i++) {
        struct norm_span span = span_of_pass(layer, pass, i, pass->saved + i * 2 * LANES);
        size_t at = i * s->channels * s->run * LANES, first = first_weight(s, i);

        span_backward(pass, &span, pass->gy + at, pass->gx ? pass->gx + at : NULL, dw ? dw + first : NULL,
                      db ? db + first : NULL);
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
