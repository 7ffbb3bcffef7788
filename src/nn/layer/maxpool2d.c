#include <stdlib.h>
#include <string.h>

#include "nn/layer/members.h"

struct args {
    struct int_list kernel, stride, padding;
};

struct geometry {
    int channels, height, width, out_height, out_width; /* of the input and the output */
    int kernel[2], stride[2], padding[2];
};

// clang-format off
static const struct param rows[] = {
    {.name = "kernel", .alias = "kernel_size", .type = PARAM_INTS, .offset = offsetof(struct args, kernel), .min = 1, .max = 4096,
     .flags = PARAM_REQUIRED, .help = "Size of the window, one number or [height, width]."},
    {.name = "stride", .type = PARAM_INTS, .offset = offsetof(struct args, stride), .min = 1, .max = 4096,
     .help = "Step of the window; the kernel's size by default."},
    {.name = "padding", .type = PARAM_INTS, .offset = offsetof(struct args, padding), .fallback = "0", .min = 0, .max = 2048,
     .help = "Implicit minus infinity around the image, at most half the kernel."},
};
// clang-format on

static const struct param_table params = {
    .name = "maxpool2d",
    .help = "Maximum over windows of each channel.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static int read_args(const struct layer *layer, struct layer_builder *builder, struct geometry *g)
{
    const struct args *args = layer->args;
    int status = layer_pair(layer, builder, "kernel", &args->kernel, g->kernel);

    memcpy(g->stride, g->kernel, sizeof g->stride);
    if (status == OK)
        status = layer_pair(layer, builder, "stride", &args->stride, g->stride);
    if (status == OK)
        status = layer_pair(layer, builder, "padding", &args->padding, g->padding);
    if (status == OK && (2 * g->padding[0] > g->kernel[0] || 2 * g->padding[1] > g->kernel[1]))
        status = layer_error(layer, builder, "padding must be at most half the kernel's size");
    return status;
}

static int infer(struct layer *layer, struct layer_builder *builder, struct geometry *g)
{
    char found[SHAPE_TEXT_MAX];

    for (int i = 0; i < 2; i++) {
        int64_t room = layer->in.dims[1 + i] + 2 * g->padding[i] - g->kernel[i];

        if (room < 0) {
            shape_text(layer->in.num_dims, layer->in.dims, found);
            return layer_error(layer, builder, "a window of %d x %d does not fit the input of shape %s", g->kernel[0],
                               g->kernel[1], found);
        }
        layer->out.dims[1 + i] = room / g->stride[i] + 1;
    }
    layer->out.num_dims = 3;
    layer->out.dims[0] = layer->in.dims[0];
    g->channels = (int)layer->in.dims[0];
    g->height = (int)layer->in.dims[1];
    g->width = (int)layer->in.dims[2];
    g->out_height = (int)layer->out.dims[1];
    g->out_width = (int)layer->out.dims[2];
    return OK;
}

static int build(struct layer *layer, struct layer_builder *builder)
{
    struct geometry *g = layer->state = calloc(1, sizeof *g);
    int status = layer_expect_dims(layer, builder, 3, "[C, H, W]");

    if (!g)
        return layer_error(layer, builder, "out of memory");
    if (status == OK)
        status = read_args(layer, builder, g);
    return status == OK ? infer(layer, builder, g) : status;
}

static void fini(struct layer *layer)
{
    free(layer->state);
}

static void plan(const struct layer *layer, int num_blocks, struct layer_needs *needs)
{
    (void)layer, (void)num_blocks;
    needs->x = true;
    needs->y = true;
}

/* The part of window (oh, ow) inside the image; returns the offset of its first value in the channel. */
static ptrdiff_t window_at(const struct geometry *g, int oh, int ow, struct pool_window *window)
{
    int top = oh * g->stride[0] - g->padding[0], left = ow * g->stride[1] - g->padding[1];
    int bottom = top + g->kernel[0], right = left + g->kernel[1];

    top = top < 0 ? 0 : top;
    left = left < 0 ? 0 : left;
    bottom = bottom > g->height ? g->height : bottom;
    right = right > g->width ? g->width : right;
    window->height = bottom - top;
    window->width = right - left;
    window->line = (ptrdiff_t)g->width * LANES;
    return ((ptrdiff_t)top * g->width + left) * LANES;
}

static void forward(const struct layer *layer, const struct pass *pass)
{
    const struct geometry *g = layer->state;
    size_t channel = (size_t)g->height * (size_t)g->width * LANES;
    const float *x = pass->x;
    float *y = pass->y;
    struct pool_window window;

    for (int c = 0; c < pass->num_blocks * g->channels; c++, x += channel)
        for (int oh = 0; oh < g->out_height; oh++)
            for (int ow = 0; ow < g->out_width; ow++, y += LANES) {
                ptrdiff_t at = window_at(g, oh, ow, &window);

                pass->kernels->pool_max(x + at, window, y);
            }
}

static void backward(const struct layer *layer, const struct pass *pass)
{
    const struct geometry *g = layer->state;
    size_t channel = (size_t)g->height * (size_t)g->width * LANES;
    const float *x = pass->x, *y = pass->y, *gy = pass->gy;
    float *gx = pass->gx;
    struct pool_window window;

    if (!gx)
        return;
    for (int c = 0; c < pass->num_blocks * g->channels; c++, x += channel, gx += channel) {
        memset(gx, 0, channel * sizeof *gx);
        for (int oh = 0; oh < g->out_height; oh++)
            for (int ow = 0; ow < g->out_width; ow++, y += LANES, gy += LANES) {
                ptrdiff_t at = window_at(g, oh, ow, &window);

                pass->kernels->pool_max_backward(x + at, window, y, gy, gx + at);
            }
    }
}

const struct layer_ops layer_maxpool2d = {
    .name = "maxpool2d",
    .params = &params,
    .build = build,
    .fini = fini,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
