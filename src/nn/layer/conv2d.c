#include "nn/layer/conv2d.h"

#include <stdlib.h>
#include <string.h>

#include "nn/layer/members.h"

struct args {
    int64_t out, groups;
    struct int_list kernel, stride, padding, dilation;
    bool bias;
};

// clang-format off
static const struct param rows[] = {
    {.name = "out", .alias = "out_channels", .type = PARAM_INT, .offset = offsetof(struct args, out), .min = 1, .max = 1 << 16,
     .flags = PARAM_REQUIRED, .help = "Number of output channels."},
    {.name = "kernel", .alias = "kernel_size", .type = PARAM_INTS, .offset = offsetof(struct args, kernel), .min = 1, .max = 1024,
     .flags = PARAM_REQUIRED, .help = "Size of the window, one number or [height, width]."},
    {.name = "stride", .type = PARAM_INTS, .offset = offsetof(struct args, stride), .fallback = "1", .min = 1, .max = 1024,
     .help = "Step of the window."},
    {.name = "padding", .type = PARAM_INTS, .offset = offsetof(struct args, padding), .fallback = "0", .min = 0, .max = 1024,
     .help = "Zeros added on each side of the image."},
    {.name = "dilation", .type = PARAM_INTS, .offset = offsetof(struct args, dilation), .fallback = "1", .min = 1, .max = 1024,
     .help = "Distance between neighbouring taps of the kernel."},
    {.name = "groups", .type = PARAM_INT, .offset = offsetof(struct args, groups), .fallback = "1", .min = 1, .max = 1 << 16,
     .help = "Cut the channels into so many groups, each convolved by itself; as many as channels: depthwise."},
    {.name = "bias", .type = PARAM_BOOL, .offset = offsetof(struct args, bias), .fallback = "true",
     .help = "Add a learned value to each channel."},
};
// clang-format on

static const struct param_table params = {
    .name = "conv2d",
    .help = "Two-dimensional convolution (cross-correlation, as everywhere in the field).",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static void fill_offsets(struct conv2d_geometry *g)
{
    int32_t *tap = g->tap_offsets, *pixel = g->pixel_offsets;

    for (int c = 0; c < g->C; c++)
        for (int h = 0; h < g->kernel[0]; h++)
            for (int w = 0; w < g->kernel[1]; w++)
                *tap++ = ((c * g->padded_height + h * g->dilation[0]) * g->padded_width + w * g->dilation[1]) * LANES;
    for (int h = 0; h < g->out_height; h++)
        for (int w = 0; w < g->out_width; w++)
            *pixel++ = (h * g->stride[0] * g->padded_width + w * g->stride[1]) * LANES;
}

/* Pixels under a kernel, from its first to its last. */
static int span_of_kernel(const struct conv2d_geometry *g, int i)
{
    return g->dilation[i] * (g->kernel[i] - 1) + 1;
}

static void fill_sizes(struct conv2d_geometry *g)
{
    g->out_height = (g->padded_height - span_of_kernel(g, 0)) / g->stride[0] + 1;
    g->out_width = (g->padded_width - span_of_kernel(g, 1)) / g->stride[1] + 1;
    g->x_block = (ptrdiff_t)g->groups * g->C * g->H * g->W * LANES;
    g->y_block = (ptrdiff_t)g->groups * g->O * g->out_height * g->out_width * LANES;
}

int conv2d_geometry_init(struct conv2d_geometry *g, struct error *err)
{
    int64_t taps = (int64_t)g->C * g->kernel[0] * g->kernel[1];

    for (int i = 0; i < 2; i++)
        g->dilation[i] = g->dilation[i] ? g->dilation[i] : 1;
    g->groups = g->groups ? g->groups : 1;
    g->padded_height = g->H + 2 * g->padding[0];
    g->padded_width = g->W + 2 * g->padding[1];
    if (span_of_kernel(g, 0) > g->padded_height || span_of_kernel(g, 1) > g->padded_width)
        return FAIL(err, ERR_INVALID, "a kernel of %d x %d does not fit an input of shape [%d, %d, %d]%s%s",
                    g->kernel[0], g->kernel[1], g->C * g->groups, g->H, g->W,
                    conv2d_is_padded(g) ? " with its padding" : "",
                    g->dilation[0] > 1 || g->dilation[1] > 1 ? " once dilated" : "");
    if (taps * g->O * g->groups > LAYER_MAX_VALUES ||
        (int64_t)g->C * g->padded_height * g->padded_width > LAYER_MAX_VALUES)
        return FAIL(err, ERR_INVALID, "more than %lld weights or padded inputs", (long long)LAYER_MAX_VALUES);
    g->K = (int)taps;
    fill_sizes(g);
    g->tap_offsets = malloc((size_t)taps * sizeof *g->tap_offsets);
    g->pixel_offsets = malloc((size_t)g->out_height * (size_t)g->out_width * sizeof *g->pixel_offsets);
    if (!g->tap_offsets || !g->pixel_offsets) {
        conv2d_geometry_fini(g);
        return FAIL(err, ERR_MEMORY, "out of memory");
    }
    fill_offsets(g);
    return OK;
}

void conv2d_geometry_fini(struct conv2d_geometry *g)
{
    free(g->tap_offsets);
    free(g->pixel_offsets);
    g->tap_offsets = g->pixel_offsets = NULL;
}

size_t conv2d_padded_size(const struct conv2d_geometry *g)
{
    return (size_t)g->C * (size_t)g->padded_height * (size_t)g->padded_width * LANES;
}

bool conv2d_is_padded(const struct conv2d_geometry *g)
{
    return g->padding[0] > 0 || g->padding[1] > 0;
}

const float *conv2d_pad(const struct conv2d_geometry *g, const float *x, float *padded)
{
    size_t line = (size_t)g->W * LANES, padded_line = (size_t)g->padded_width * LANES;
    float *to = padded + (size_t)g->padding[0] * padded_line + (size_t)g->padding[1] * LANES;

    if (!conv2d_is_padded(g))
        return x;
    memset(padded, 0, conv2d_padded_size(g) * sizeof *padded);
    for (int c = 0; c < g->C; c++, to += (size_t)g->padded_height * padded_line)
        for (size_t h = 0; h < (size_t)g->H; h++, x += line)
            memcpy(to + h * padded_line, x, line * sizeof *x);
    return padded;
}

void conv2d_crop(const struct conv2d_geometry *g, const float *padded, float *gx)
{
    size_t line = (size_t)g->W * LANES, padded_line = (size_t)g->padded_width * LANES;
    const float *from = padded + (size_t)g->padding[0] * padded_line + (size_t)g->padding[1] * LANES;

    for (int c = 0; c < g->C; c++, from += (size_t)g->padded_height * padded_line)
        for (size_t h = 0; h < (size_t)g->H; h++, gx += line)
            memcpy(gx, from + h * padded_line, line * sizeof *gx);
}

const struct conv2d_way *conv2d_choose(const struct conv2d_geometry *g, const struct kernels *kernels)
{
    if (conv2d_is_depthwise(g))
        return &conv2d_depthwise;
    if (conv2d_is_pointwise(g) && kernels != &kernels_generic)
        return &conv2d_pointwise;
    /* OpenBLAS knows more instruction sets than we have kernels for. With AVX2 it is ahead where many channels meet
     * small images (measured, 512 channels of 4 x 4: 130 against 65 GFLOP/s); with AVX-512 our tiles are, everywhere.
     */
    if (kernels == &kernels_generic)
        return &conv2d_gemm;
    return kernels == &kernels_avx2 && g->K >= 64 && g->O >= 64 ? &conv2d_gemm : &conv2d_direct;
}

static int read_args(const struct layer *layer, struct layer_builder *builder, struct conv2d_geometry *g)
{
    const struct args *args = layer->args;
    int status = layer_pair(layer, builder, "kernel", &args->kernel, g->kernel);

    if (status == OK)
        status = layer_pair(layer, builder, "stride", &args->stride, g->stride);
    if (status == OK)
        status = layer_pair(layer, builder, "padding", &args->padding, g->padding);
    if (status == OK)
        status = layer_pair(layer, builder, "dilation", &args->dilation, g->dilation);
    if (status == OK && (layer->in.dims[0] % args->groups != 0 || args->out % args->groups != 0))
        status = layer_error(layer, builder, "%lld input and %lld output channels do not divide into %lld groups",
                             (long long)layer->in.dims[0], (long long)args->out, (long long)args->groups);
    g->groups = (int)args->groups;
    g->C = (int)(layer->in.dims[0] / args->groups);
    g->H = (int)layer->in.dims[1];
    g->W = (int)layer->in.dims[2];
    g->O = (int)(args->out / args->groups);
    return status;
}

static int build(struct layer *layer, struct layer_builder *builder)
{
    const struct args *args = layer->args;
    struct conv2d_geometry *g = layer->state = calloc(1, sizeof *g);
    struct error err = ERROR_INIT;
    int status = layer_expect_dims(layer, builder, 3, "[C, H, W]");

    if (!g)
        return layer_error(layer, builder, "out of memory");
    if (status == OK)
        status = read_args(layer, builder, g);
    if (status != OK)
        return status;
    if (conv2d_geometry_init(g, &err) != OK)
        return layer_error(layer, builder, "%s", err.message);
    layer->out.num_dims = 3;
    layer->out.dims[0] = args->out;
    layer->out.dims[1] = g->out_height;
    layer->out.dims[2] = g->out_width;
    status = layer_add_tensor(layer, builder, "weight", 4, (int64_t[]){args->out, g->C, g->kernel[0], g->kernel[1]});
    if (status == OK && args->bias)
        status = layer_add_tensor(layer, builder, "bias", 1, &args->out);
    return status;
}

static void fini(struct layer *layer)
{
    if (layer->state)
        conv2d_geometry_fini(layer->state);
    free(layer->state);
}

static void plan(const struct layer *layer, int num_blocks, struct layer_needs *needs)
{
    const struct conv2d_geometry *g = layer->state;
    const struct conv2d_way *way = conv2d_choose(g, kernels_best());

    (void)num_blocks;
    needs->x = true;
    needs->forward_scratch = way->forward_scratch(g);
    needs->backward_scratch = way->backward_scratch(g);
}

/* Where a group's part begins in a block of x and of y, and in the weights. */
static ptrdiff_t group_of_x(const struct conv2d_geometry *g, int group)
{
    return g->x_block / g->groups * group;
}

static ptrdiff_t group_of_y(const struct conv2d_geometry *g, int group)
{
    return g->y_block / g->groups * group;
}

static ptrdiff_t group_of_w(const struct conv2d_geometry *g, int group)
{
    return (ptrdiff_t)g->O * g->K * group;
}

static void forward(const struct layer *layer, const struct pass *pass)
{
    const struct args *args = layer->args;
    const struct conv2d_geometry *g = layer->state;
    const struct conv2d_way *way = conv2d_choose(g, pass->kernels);
    const float *w = pass->params + layer->tensors[0], *b = args->bias ? pass->params + layer->tensors[1] : NULL;

    for (int group = 0; group < g->groups; group++)
        way->forward(g, pass->kernels, pass->team, pass->num_blocks, pass->x + group_of_x(g, group),
                     w + group_of_w(g, group), b ? b + (ptrdiff_t)group * g->O : NULL, pass->y + group_of_y(g, group),
                     pass->scratch);
}

static void bias_gradient(const struct conv2d_geometry *g, const struct pass *pass, float *db)
{
    size_t pixels = (size_t)g->out_height * (size_t)g->out_width, channels = (size_t)g->O * (size_t)g->groups;

    for (size_t o = 0; o < channels; o++)
        db[o] = 0;
    for (size_t block = 0; block < (size_t)pass->num_blocks; block++)
        for (size_t o = 0; o < channels; o++)
            db[o] += pass->kernels->sum(pass->gy + (block * channels + o) * pixels * LANES, pixels);
}

static void backward(const struct layer *layer, const struct pass *pass)
{
    const struct args *args = layer->args;
    const struct conv2d_geometry *g = layer->state;
    const struct conv2d_way *way = conv2d_choose(g, pass->kernels);
    const float *w = pass->params + layer->tensors[0];
    float *dw = pass->grads + layer->tensors[0];

    for (int group = 0; group < g->groups; group++) {
        const float *gy = pass->gy + group_of_y(g, group);

        way->weight_gradient(g, pass->kernels, pass->team, pass->num_blocks, pass->x + group_of_x(g, group), gy,
                             dw + group_of_w(g, group), pass->scratch);
        if (pass->gx)
            way->input_gradient(g, pass->kernels, pass->team, pass->num_blocks, gy, w + group_of_w(g, group),
                                pass->gx + group_of_x(g, group), pass->scratch);
    }
    if (args->bias)
        bias_gradient(g, pass, pass->grads + layer->tensors[1]);
}

static void init(const struct layer *layer, uint64_t seed, float *values)
{
    const struct args *args = layer->args;
    const struct conv2d_geometry *g = layer->state;
    size_t taps = (size_t)g->K;

    layer_init_uniform(layer, 0, "weight", (size_t)args->out * taps, taps, seed, values);
    if (args->bias)
        layer_init_uniform(layer, 1, "bias", (size_t)args->out, taps, seed, values);
}

static double flops(const struct layer *layer, bool backwards, bool wants_gx)
{
    const struct conv2d_geometry *g = layer->state;

    return 2.0 * g->K * g->O * g->groups * g->out_height * g->out_width * (backwards ? 1 + wants_gx : 1);
}

const struct layer_ops layer_conv2d = {
    .name = "conv2d",
    .params = &params,
    .build = build,
    .fini = fini,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .init = init,
    .flops = flops,
};
