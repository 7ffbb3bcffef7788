#include <stdlib.h>
#include <string.h>

#include "nn/layer/members.h"
#include "nn/layer/pool.h"

struct geometry {
    int channels, height, width; /* of the input */
    struct pool_windows windows;
};

static const struct param rows[] = {POOL_ROWS("Implicit minus infinity around the image, at most half the kernel.")};

static const struct param_table params = {
    .name = "maxpool2d",
    .help = "Maximum over windows of each channel.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct pool_args),
};

static int build(struct layer *layer, struct layer_builder *builder)
{
    struct geometry *g = layer->state = calloc(1, sizeof *g);
    int status;

    if (!g)
        return layer_error(layer, builder, "out of memory");
    status = pool_infer(layer, builder, layer->args, &g->windows);
    g->channels = (int)layer->in.dims[0];
    g->height = (int)layer->in.dims[1];
    g->width = (int)layer->in.dims[2];
    return status;
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
    const struct pool_windows *w = &g->windows;
    int top = oh * w->stride[0] - w->padding[0], left = ow * w->stride[1] - w->padding[1];
    int bottom = top + w->kernel[0], right = left + w->kernel[1];

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
        for (int oh = 0; oh < g->windows.out[0]; oh++)
            for (int ow = 0; ow < g->windows.out[1]; ow++, y += LANES) {
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
        for (int oh = 0; oh < g->windows.out[0]; oh++)
            for (int ow = 0; ow < g->windows.out[1]; ow++, y += LANES, gy += LANES) {
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
