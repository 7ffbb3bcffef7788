/* Batch normalisation (Ioffe & Szegedy 2015). Only the N samples of the batch count, not the lanes that fill up the
 * last block; what a lane without a sample gets is finite, and its gradient is zero, as everywhere. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/layer/members.h"

struct args {
    double eps, momentum;
    bool affine;
};

struct state {
    size_t C, pixels;
};

/* Offsets in layer->tensors. Without affine the buffers come first. */
enum { WEIGHT, BIAS, NUM_AFFINE };

// clang-format off
static const struct param rows[] = {
    {.name = "eps", .type = PARAM_DOUBLE, .offset = offsetof(struct args, eps), .fallback = "1e-5", .min = 0, .max = 1,
     .help = "Added to the variance."},
    {.name = "momentum", .type = PARAM_DOUBLE, .offset = offsetof(struct args, momentum), .fallback = "0.1", .min = 0, .max = 1,
     .help = "Share of a batch in the running mean and variance."},
    {.name = "affine", .type = PARAM_BOOL, .offset = offsetof(struct args, affine), .fallback = "true",
     .help = "Learn a scale and a shift of each channel."},
};
// clang-format on

static const struct param_table params = {
    .name = "batchnorm2d",
    .help = "Each channel gets mean 0 and variance 1 over the batch; in evaluation by running statistics, which travel "
            "with "
            "the model.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static int add_tensors(struct layer *layer, struct layer_builder *builder)
{
    const struct args *args = layer->args;
    int64_t C = layer->in.dims[0];
    int status = OK;

    if (args->affine) {
        status = layer_add_tensor(layer, builder, "weight", 1, &C);
        if (status == OK)
            status = layer_add_tensor(layer, builder, "bias", 1, &C);
    }
    if (status == OK)
        status = layer_add_buffer(layer, builder, "running_mean", false, 1, &C);
    if (status == OK)
        status = layer_add_buffer(layer, builder, "running_var", false, 1, &C);
    return status == OK ? layer_add_buffer(layer, builder, "num_batches_tracked", true, 0, NULL) : status;
}

static int build(struct layer *layer, struct layer_builder *builder)
{
    struct state *s = layer->state = calloc(1, sizeof *s);
    int status = layer_expect_dims(layer, builder, 3, "[C, H, W]");

    if (!s)
        return layer_error(layer, builder, "out of memory");
    if (status != OK)
        return status;
    layer->out = layer->in;
    s->C = (size_t)layer->in.dims[0];
    s->pixels = (size_t)(layer->in.dims[1] * layer->in.dims[2]);
    return add_tensors(layer, builder);
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
    needs->saved = 2 * s->C;           /* mean and 1 / deviation; the first block's room serves all */
    needs->forward_scratch = 2 * s->C; /* the same where nothing is saved */
}

static float *buffer(const struct layer *layer, const struct pass *pass, int index)
{
    const struct args *args = layer->args;

    return pass->params + layer->tensors[(args->affine ? NUM_AFFINE : 0) + index];
}

static const float *block_of(const struct state *s, const float *x, size_t block, size_t c)
{
    return x + (block * s->C + c) * s->pixels * LANES;
}

/* Lanes of a block that hold samples. */
static size_t lanes_of(const struct pass *pass, size_t block)
{
    size_t left = (size_t)pass->N - block * LANES;

    return left < LANES ? left : LANES;
}

static void fill(float lanes[LANES], size_t n, float value)
{
    for (size_t k = 0; k < LANES; k++)
        lanes[k] = k < n ? value : 0;
}

/* Mean over the batch of x, or of (x - shift)^2 where `shift` [LANES] is given. Lanes are summed up apart, so those
 * without a sample fall away. */
static double channel_mean(const struct state *s, const struct pass *pass, size_t c, const float *shift)
{
    double total = 0;

    for (size_t block = 0; block < (size_t)pass->num_blocks; block++) {
        const float *x = block_of(s, pass->x, block, c);
        float sums[LANES] = {0};

        if (shift)
            pass->kernels->lane_squares(x, shift, s->pixels, sums);
        else
            pass->kernels->lane_sums(x, s->pixels, sums);
        for (size_t k = 0; k < lanes_of(pass, block); k++)
            total += (double)sums[k];
    }
    return total / ((double)pass->N * (double)s->pixels);
}

/* PyTorch's rule: the running variance takes the unbiased one. A single value has none; the running one stays. */
static void track(const struct layer *layer, const struct pass *pass, size_t c, double mean, double variance)
{
    const struct args *args = layer->args;
    const struct state *s = layer->state;
    double n = (double)pass->N * (double)s->pixels, m = args->momentum;
    float *running_mean = buffer(layer, pass, 0) + c, *running_var = buffer(layer, pass, 1) + c;

    *running_mean = (float)((1 - m) * (double)*running_mean + m * mean);
    if (n > 1)
        *running_var = (float)((1 - m) * (double)*running_var + m * variance * n / (n - 1));
}

static void find_statistics(const struct layer *layer, const struct pass *pass, size_t c, float *mean, float *scale)
{
    const struct args *args = layer->args;
    double middle = (double)buffer(layer, pass, 0)[c], variance = (double)buffer(layer, pass, 1)[c];

    if (pass->training) {
        float shift[LANES];

        middle = channel_mean(layer->state, pass, c, NULL);
        fill(shift, LANES, (float)middle);
        variance = channel_mean(layer->state, pass, c, shift);
        track(layer, pass, c, middle, variance);
    }
    *mean = (float)middle;
    *scale = (float)(1 / sqrt(variance + args->eps));
}

static void forward_channel(const struct layer *layer, const struct pass *pass, size_t c, float mean, float scale)
{
    const struct args *args = layer->args;
    const struct state *s = layer->state;
    float weight = args->affine ? pass->params[layer->tensors[WEIGHT] + c] : 1;
    float bias = args->affine ? pass->params[layer->tensors[BIAS] + c] : 0;
    float scales[LANES], shifts[LANES];

    fill(scales, LANES, weight * scale);
    fill(shifts, LANES, bias - mean * (weight * scale));
    for (size_t block = 0; block < (size_t)pass->num_blocks; block++)
        pass->kernels->affine(block_of(s, pass->x, block, c), scales, shifts, s->pixels,
                              (float *)block_of(s, pass->y, block, c));
}

/* Channel by channel, so that its values are still in cache when they are gone through again. */
static void forward(const struct layer *layer, const struct pass *pass)
{
    const struct state *s = layer->state;
    float *means = pass->saved ? pass->saved : pass->scratch, *scales = means + s->C;

    for (size_t c = 0; c < s->C; c++) {
        find_statistics(layer, pass, c, &means[c], &scales[c]);
        forward_channel(layer, pass, c, means[c], scales[c]);
    }
    if (pass->training)
        *buffer(layer, pass, 2) += 1;
}

struct sums {
    double gy, gy_x; /* of gy, and of gy * (x - mean) */
};

static struct sums gradient_sums(const struct state *s, const struct pass *pass, size_t c, float mean)
{
    struct sums total = {0, 0};
    float shift[LANES];

    fill(shift, LANES, mean);
    for (size_t block = 0; block < (size_t)pass->num_blocks; block++) {
        float sums[2 * LANES] = {0};

        pass->kernels->lane_products(block_of(s, pass->gy, block, c), block_of(s, pass->x, block, c), shift, s->pixels,
                                     sums);
        for (size_t k = 0; k < lanes_of(pass, block); k++) {
            total.gy += (double)sums[k];
            total.gy_x += (double)sums[LANES + k];
        }
    }
    return total;
}

/* gx = a gy + b x + c in the lanes with samples, 0 elsewhere. */
static void spread(const struct state *s, const struct pass *pass, size_t channel, float a, float b, float c)
{
    float as[LANES], bs[LANES], cs[LANES];

    for (size_t block = 0; block < (size_t)pass->num_blocks; block++) {
        size_t lanes = lanes_of(pass, block);

        fill(as, lanes, a);
        fill(bs, lanes, b);
        fill(cs, lanes, c);
        pass->kernels->affine_backward(block_of(s, pass->gy, block, channel), block_of(s, pass->x, block, channel), as,
                                       bs, cs, s->pixels, (float *)block_of(s, pass->gx, block, channel));
    }
}

static void backward(const struct layer *layer, const struct pass *pass)
{
    const struct args *args = layer->args;
    const struct state *s = layer->state;
    const float *means = pass->saved, *scales = means + s->C;
    double n = (double)pass->N * (double)s->pixels;

    for (size_t c = 0; c < s->C; c++) {
        struct sums sums = gradient_sums(s, pass, c, means[c]);
        double r = (double)scales[c], weight = args->affine ? (double)pass->params[layer->tensors[WEIGHT] + c] : 1;
        double slope = pass->training ? -weight * r * r * r * sums.gy_x / n : 0;

        if (args->affine) {
            pass->grads[layer->tensors[WEIGHT] + c] = (float)(sums.gy_x * r);
            pass->grads[layer->tensors[BIAS] + c] = (float)sums.gy;
        }
        if (pass->gx)
            spread(s, pass, c, (float)(weight * r), (float)slope,
                   (float)((pass->training ? -weight * r * sums.gy / n : 0) - slope * (double)means[c]));
    }
}

static void init(const struct layer *layer, uint64_t seed, float *values)
{
    const struct args *args = layer->args;
    const struct state *s = layer->state;
    const size_t *tensors = layer->tensors;

    (void)seed; /* zeros are there already */
    for (size_t c = 0; c < s->C; c++) {
        if (args->affine)
            values[tensors[WEIGHT] + c] = 1;
        values[tensors[(args->affine ? NUM_AFFINE : 0) + 1] + c] = 1;
    }
}

static double flops(const struct layer *layer, bool backwards, bool wants_gx)
{
    return (double)layer->in_size * (backwards ? 4 + 4 * wants_gx : 7);
}

const struct layer_ops layer_batchnorm2d = {
    .name = "batchnorm2d",
    .params = &params,
    .build = build,
    .fini = fini,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .init = init,
    .flops = flops,
};
