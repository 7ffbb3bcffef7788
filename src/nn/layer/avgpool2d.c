/* Means over windows. avgpool2d slides a window; adaptive_avgpool2d cuts the image into so many near-equal ones. */
#include <stdlib.h>
#include <string.h>

#include "nn/layer/members.h"
#include "nn/layer/pool.h"

struct args {
    struct pool_args pool;
    bool count_padding;
};

struct adaptive_args {
    struct int_list out;
};

/* Output line (or column) i takes input lines begin[i] to end[i]; size[i] is what its sum is divided by. */
struct axis {
    int *begin, *end, *size;
    int n, in;
};

struct geometry {
    struct axis axes[2];
};

// clang-format off
static const struct param rows[] = {
    POOL_ROWS("Zeros around the image, at most half the kernel."),
    {.name = "count_include_pad", .type = PARAM_BOOL, .offset = offsetof(struct args, count_padding), .fallback = "true",
     .help = "Padding counts in the mean."},
};

static const struct param adaptive_rows[] = {
    {.name = "out", .alias = "output_size", .type = PARAM_INTS, .offset = offsetof(struct adaptive_args, out), .min = 1, .max = 4096,
     .flags = PARAM_REQUIRED, .help = "Size of the output, one number or [height, width]."},
};
// clang-format on

static const struct param_table params = {
    .name = "avgpool2d",
    .help = "Mean over windows of each channel.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static const struct param_table adaptive_params = {
    .name = "adaptive_avgpool2d",
    .help = "Mean over as many near-equal windows of each channel as the output has pixels.",
    .rows = adaptive_rows,
    .num_rows = sizeof adaptive_rows / sizeof *adaptive_rows,
    .size = sizeof(struct adaptive_args),
};

static int axis_init(struct axis *axis, int in, int n)
{
    axis->in = in;
    axis->n = n;
    axis->begin = calloc(3 * (size_t)n, sizeof *axis->begin);
    if (!axis->begin)
        return ERR_MEMORY;
    axis->end = axis->begin + n;
    axis->size = axis->end + n;
    return OK;
}

/* A window is as large as its part inside the image, or inside the padded image. */
static int slide(struct axis *axis, int in, const struct pool_windows *w, int which, bool count_padding)
{
    int status = axis_init(axis, in, w->out[which]);

    for (int i = 0; i < axis->n && status == OK; i++) {
        int begin = i * w->stride[which] - w->padding[which], end = begin + w->kernel[which];
        int padded = in + w->padding[which];

        axis->begin[i] = begin < 0 ? 0 : begin;
        axis->end[i] = end > in ? in : end;
        axis->size[i] = count_padding ? (end > padded ? padded : end) - begin : axis->end[i] - axis->begin[i];
    }
    return status;
}

static int cut(struct axis *axis, int in, int n)
{
    int status = axis_init(axis, in, n);

    for (int i = 0; i < n && status == OK; i++) {
        axis->begin[i] = (int)((int64_t)i * in / n);
        axis->end[i] = (int)(((int64_t)(i + 1) * in + n - 1) / n);
        axis->size[i] = axis->end[i] - axis->begin[i];
    }
    return status;
}

static int build(struct layer *layer, struct layer_builder *builder)
{
    const struct args *args = layer->args;
    struct geometry *g = layer->state = calloc(1, sizeof *g);
    struct pool_windows windows;
    int status = g ? pool_infer(layer, builder, &args->pool, &windows) : ERR_MEMORY;

    for (int i = 0; i < 2 && status == OK; i++)
        status = slide(&g->axes[i], (int)layer->in.dims[1 + i], &windows, i, args->count_padding);
    return status == ERR_MEMORY ? layer_error(layer, builder, "out of memory") : status;
}

static int adaptive_build(struct layer *layer, struct layer_builder *builder)
{
    const struct adaptive_args *args = layer->args;
    struct geometry *g = layer->state = calloc(1, sizeof *g);
    int out[2], status = g ? layer_expect_dims(layer, builder, 3, "[C, H, W]") : ERR_MEMORY;

    if (status == OK)
        status = layer_pair(layer, builder, "out", &args->out, out);
    layer->out = layer->in;
    for (int i = 0; i < 2 && status == OK; i++) {
        layer->out.dims[1 + i] = out[i];
        status = cut(&g->axes[i], (int)layer->in.dims[1 + i], out[i]);
    }
    return status == ERR_MEMORY ? layer_error(layer, builder, "out of memory") : status;
}

static void fini(struct layer *layer)
{
    struct geometry *g = layer->state;

    for (int i = 0; g && i < 2; i++)
        free(g->axes[i].begin);
    free(g);
}

/* Window (h, w): its offset in the channel, and what to multiply its sum by. */
static ptrdiff_t window_at(const struct geometry *g, int h, int w, struct pool_window *window, float *scale)
{
    const struct axis *lines = &g->axes[0], *columns = &g->axes[1];

    window->height = lines->end[h] - lines->begin[h];
    window->width = columns->end[w] - columns->begin[w];
    window->line = (ptrdiff_t)columns->in * LANES;
    *scale = 1.0F / ((float)lines->size[h] * (float)columns->size[w]);
    return lines->begin[h] * window->line + (ptrdiff_t)columns->begin[w] * LANES;
}

static void forward(const struct layer *layer, const struct pass *pass)
{
    const struct geometry *g = layer->state;
    ptrdiff_t channel = (ptrdiff_t)g->axes[0].in * g->axes[1].in * LANES;
    const float *x = pass->x;
    float *y = pass->y, scale;
    struct pool_window window;

    for (int64_t c = 0; c < pass->num_blocks * layer->in.dims[0]; c++, x += channel)
        for (int h = 0; h < g->axes[0].n; h++)
            for (int w = 0; w < g->axes[1].n; w++, y += LANES) {
                ptrdiff_t at = window_at(g, h, w, &window, &scale);

                pass->kernels->pool_mean(x + at, window, scale, y);
            }
}

static void backward(const struct layer *layer, const struct pass *pass)
{
    const struct geometry *g = layer->state;
    ptrdiff_t channel = (ptrdiff_t)g->axes[0].in * g->axes[1].in * LANES;
    const float *gy = pass->gy;
    float *gx = pass->gx, scale;
    struct pool_window window;

    if (!gx)
        return;
    memset(gx, 0, (size_t)pass->num_blocks * layer->in_size * LANES * sizeof *gx);
    for (int64_t c = 0; c < pass->num_blocks * layer->in.dims[0]; c++, gx += channel)
        for (int h = 0; h < g->axes[0].n; h++)
            for (int w = 0; w < g->axes[1].n; w++, gy += LANES) {
                ptrdiff_t at = window_at(g, h, w, &window, &scale);

                pass->kernels->pool_mean_backward(window, scale, gy, gx + at);
            }
}

const struct layer_ops layer_avgpool2d = {
    .name = "avgpool2d",
    .params = &params,
    .build = build,
    .fini = fini,
    .forward = forward,
    .backward = backward,
};

const struct layer_ops layer_adaptive_avgpool2d = {
    .name = "adaptive_avgpool2d",
    .params = &adaptive_params,
    .build = adaptive_build,
    .fini = fini,
    .forward = forward,
    .backward = backward,
};
