/* Convolution without im2col: because LANES samples lie side by side, each tap of a window is one vector in the image
 * itself, whatever the stride. The tile kernel finds it through the table of tap offsets.
 *
 * The gradient of the input is a convolution too where the stride is 1: of the output's gradient, with the kernel
 * turned around. Every value is then summed in registers and written once. Otherwise the gradient is spread. */
#include <string.h>

#include "nn/layer/conv2d.h"

enum {
    /* Taps per pass, so that what a tile touches of the image stays in the first-level cache. */
    TAPS_PER_PASS = 256,
    /* Taps whose sums are kept as vectors at a time, and the room for them. */
    TAPS_PER_SUM = 30,
    SUMS_SIZE = TILE_MAX_ROWS * TAPS_PER_SUM * LANES,
    /* What is meant to stay in the first-level cache: 32 KiB or more on every processor of the last ten years. */
    CACHED_FLOATS = 6144,
    /* Parts of an image that threads may share out. */
    MAX_PARTS = 12,
};

/* One block's convolution, as all its parts see it. */
struct convolution {
    const struct conv2d_geometry *g;
    const struct kernels *kernels;
    struct tiling tiling; /* of output channels x one output line */
    /* Weights: of output channel o and tap k at w[o * w_row + (sources ? sources[k] : k)]. */
    const float *w, *b;
    const int32_t *sources;
    ptrdiff_t w_row;
    float *packed; /* [O * K] */
    const float *x;
    float *y;
};

static size_t padding_scratch(const struct conv2d_geometry *g)
{
    return conv2d_is_padded(g) ? conv2d_padded_size(g) : 0;
}

/* From the first tap of a kernel to its last. */
static int reach(const struct conv2d_geometry *g, int i)
{
    return g->dilation[i] * (g->kernel[i] - 1);
}

/* The convolution that takes gy to gx. Its tables are not filled. */
static struct conv2d_geometry turned_around(const struct conv2d_geometry *g)
{
    struct conv2d_geometry t = {
        .C = g->O,
        .H = g->out_height,
        .W = g->out_width,
        .O = g->C,
        .out_height = g->H,
        .out_width = g->W,
        .kernel = {g->kernel[0], g->kernel[1]},
        .stride = {1, 1},
        .padding = {reach(g, 0) - g->padding[0], reach(g, 1) - g->padding[1]},
        .dilation = {g->dilation[0], g->dilation[1]},
        .groups = g->groups,
        .x_block = g->y_block,
        .y_block = g->x_block,
        .K = g->O * g->kernel[0] * g->kernel[1],
    };

    t.padded_height = t.H + 2 * t.padding[0];
    t.padded_width = t.W + 2 * t.padding[1];
    return t;
}

/* A wide kernel's border makes a small gradient a large image, whose offsets must stay below 2^31. */
static bool can_turn_around(const struct conv2d_geometry *g)
{
    struct conv2d_geometry t = turned_around(g);

    return g->stride[0] == 1 && g->stride[1] == 1 && g->padding[0] <= reach(g, 0) && g->padding[1] <= reach(g, 1) &&
           (int64_t)t.C * t.padded_height * t.padded_width <= LAYER_MAX_VALUES;
}

static size_t forward_scratch(const struct conv2d_geometry *g)
{
    return (size_t)g->O * (size_t)g->K + padding_scratch(g);
}

static size_t backward_scratch(const struct conv2d_geometry *g)
{
    struct conv2d_geometry t = turned_around(g);
    size_t weights = (size_t)g->O * (size_t)g->K, mine = padding_scratch(g), turned = padding_scratch(&t);

    if (!can_turn_around(g))
        return weights + mine;
    turned += weights + 2 * (size_t)t.K; /* both tables of taps */
    return turned > mine ? turned : mine;
}

static ptrdiff_t out_line(const struct conv2d_geometry *g)
{
    return (ptrdiff_t)g->out_width * LANES;
}

static ptrdiff_t out_channel(const struct conv2d_geometry *g)
{
    return g->out_height * out_line(g);
}

static double flops_of_block(const struct conv2d_geometry *g)
{
    return 2.0 * LANES * g->K * g->O * g->out_height * g->out_width;
}

/* Part: a row of tiles. As tiling_pack lays them out, TAPS_PER_PASS taps after another. */
static void pack(const void *context, size_t part)
{
    const struct convolution *c = context;
    int begin = tiling_begin(c->tiling.rows, c->tiling.row_tiles, (int)part);
    int end = tiling_begin(c->tiling.rows, c->tiling.row_tiles, (int)part + 1), K = c->g->K;

    for (int tap = 0; tap < K; tap += TAPS_PER_PASS) {
        int length = K - tap < TAPS_PER_PASS ? K - tap : TAPS_PER_PASS;
        float *out = c->packed + (ptrdiff_t)tap * c->g->O + (ptrdiff_t)begin * length;

        for (int k = tap; k < tap + length; k++) {
            const float *from = c->w + (c->sources ? c->sources[k] : k);

            for (int o = begin; o < end; o++)
                *out++ = from[o * c->w_row];
        }
    }
}

static int num_parts(const struct conv2d_geometry *g)
{
    return g->out_height < MAX_PARTS ? g->out_height : MAX_PARTS;
}

/* Part: some lines of the output. */
static void convolve_lines(const void *context, size_t part)
{
    const struct convolution *c = context;
    const struct conv2d_geometry *g = c->g;
    int first = tiling_begin(g->out_height, num_parts(g), (int)part);
    int end = tiling_begin(g->out_height, num_parts(g), (int)part + 1);
    struct product product = {
        .a_row = 1,
        .b_col = (ptrdiff_t)g->stride[1] * LANES,
        .c_row = out_channel(g),
        .c_col = LANES,
    };

    for (int tap = 0; tap < g->K; tap += TAPS_PER_PASS) {
        product.a = c->packed + (ptrdiff_t)tap * g->O;
        product.b_offsets = g->tap_offsets + tap;
        product.length = g->K - tap < TAPS_PER_PASS ? g->K - tap : TAPS_PER_PASS;
        product.accumulate = tap > 0;
        product.bias = tap > 0 ? NULL : c->b;
        for (int h = first; h < end; h++) {
            product.b = c->x + (ptrdiff_t)h * g->stride[0] * g->padded_width * LANES;
            product.c = c->y + h * out_line(g);
            product_run(c->kernels->product_table, c->tiling, &product, true);
        }
    }
}

/* All blocks: x as in conv2d_way, `padded` for one of them. */
static void convolve(struct convolution *c, struct team *team, int num_blocks, const float *x, float *padded)
{
    const struct conv2d_geometry *g = c->g;

    team_run(team, (size_t)c->tiling.row_tiles, 20.0 * g->O * g->K, pack, c);
    for (int block = 0; block < num_blocks; block++) {
        c->x = conv2d_pad(g, x + block * g->x_block, padded);
        team_run(team, (size_t)num_parts(g), flops_of_block(g), convolve_lines, c);
        c->y += g->y_block;
    }
}

static void forward(const struct conv2d_geometry *g, const struct kernels *kernels, struct team *team, int num_blocks,
                    const float *x, const float *w, const float *b, float *y, float *scratch)
{
    struct convolution c = {
        .g = g,
        .kernels = kernels,
        .tiling = tiling_choose(kernels, g->O, g->out_width),
        .w = w,
        .b = b,
        .w_row = g->K,
        .packed = scratch,
        .y = y,
    };

    convolve(&c, team, num_blocks, x, scratch + (ptrdiff_t)g->O * g->K);
}

/* The weight gradient of one block, as all its parts see it. */
struct weights_job {
    const struct conv2d_geometry *g;
    const struct kernels *kernels;
    struct tiling tiling; /* of output channels x taps */
    int width, group;     /* taps of a tile, taps that are summed together: several tiles */
    const float *x, *gy;
    float *dw;
    bool accumulate;
};

/* Output pixels at a time, so that what one row of tiles goes over again and again stays in the first-level cache. */
static int pixels_at_a_time(const struct conv2d_geometry *g, int rows)
{
    int pixels = CACHED_FLOATS / ((rows + 2 * g->stride[0] * g->stride[1]) * LANES), P = g->out_height * g->out_width;

    return pixels < 1 ? 1 : pixels > P ? P : pixels;
}

/* Sums [rows][cols][LANES] for output channels from `row` and taps from `tap`. */
static void correlate(const struct weights_job *job, int row, int rows, int tap, int cols, float *sums)
{
    const struct conv2d_geometry *g = job->g;
    int P = g->out_height * g->out_width, step = pixels_at_a_time(g, rows);
    struct correlation part = {.b = job->x, .a_row = out_channel(g), .d_row = (ptrdiff_t)cols * LANES};

    for (int pixel = 0; pixel < P; pixel += step) {
        part.a = job->gy + row * out_channel(g) + (ptrdiff_t)pixel * LANES;
        part.b_offsets = g->pixel_offsets + pixel;
        part.length = P - pixel < step ? P - pixel : step;
        part.accumulate = pixel > 0;
        for (int col = 0; col < cols; col += job->width) {
            part.b_cols = g->tap_offsets + tap + col;
            part.d = sums + (ptrdiff_t)col * LANES;
            (*job->kernels->correlation)[rows][cols - col < job->width ? cols - col : job->width](&part);
        }
    }
}

/* Part: a row of tiles. */
static void correlate_rows(const void *context, size_t i)
{
    const struct weights_job *job = context;
    int begin = tiling_begin(job->g->O, job->tiling.row_tiles, (int)i), K = job->g->K;
    int rows = tiling_begin(job->g->O, job->tiling.row_tiles, (int)i + 1) - begin;
    _Alignas(64) float sums[SUMS_SIZE];

    for (int tap = 0; tap < K; tap += job->group) {
        int cols = K - tap < job->group ? K - tap : job->group;

        correlate(job, begin, rows, tap, cols, sums);
        for (int r = 0; r < rows; r++)
            job->kernels->sum_lanes(sums + (ptrdiff_t)r * cols * LANES, (size_t)cols, job->accumulate,
                                    job->dw + (ptrdiff_t)(begin + r) * K + tap);
    }
}

static void weight_gradient(const struct conv2d_geometry *g, const struct kernels *kernels, struct team *team,
                            int num_blocks, const float *x, const float *gy, float *dw, float *scratch)
{
    struct weights_job job = {.g = g, .kernels = kernels, .tiling = tiling_choose(kernels, g->O, g->K), .dw = dw};

    job.width = (g->K + job.tiling.col_tiles - 1) / job.tiling.col_tiles;
    job.group = TAPS_PER_SUM / job.width * job.width;
    for (int block = 0; block < num_blocks; block++) {
        job.x = conv2d_pad(g, x + block * g->x_block, scratch);
        job.gy = gy + block * g->y_block;
        job.accumulate = block > 0;
        team_run(team, (size_t)job.tiling.row_tiles, flops_of_block(g), correlate_rows, &job);
    }
}

/* Taps of the convolution turned around: where they lie in the padded gy, and in w. */
static void fill_taps(const struct conv2d_geometry *g, const struct conv2d_geometry *turned, int32_t *offsets,
                      int32_t *sources)
{
    int taps = g->kernel[0] * g->kernel[1];

    for (int o = 0; o < g->O; o++)
        for (int kh = 0; kh < g->kernel[0]; kh++)
            for (int kw = 0; kw < g->kernel[1]; kw++) {
                *offsets++ =
                    ((o * turned->padded_height + kh * g->dilation[0]) * turned->padded_width + kw * g->dilation[1]) *
                    LANES;
                *sources++ = o * g->K + taps - 1 - (kh * g->kernel[1] + kw);
            }
}

static void gather_gradient(const struct conv2d_geometry *g, const struct kernels *kernels, struct team *team,
                            int num_blocks, const float *gy, const float *w, float *gx, float *scratch)
{
    struct conv2d_geometry turned = turned_around(g);
    int32_t *offsets = (int32_t *)scratch, *sources = offsets + turned.K;
    float *packed = scratch + 2 * (ptrdiff_t)turned.K;
    struct convolution c = {
        .g = &turned,
        .kernels = kernels,
        .tiling = tiling_choose(kernels, turned.O, turned.out_width),
        .w = w,
        .sources = sources,
        .w_row = g->kernel[0] * g->kernel[1],
        .packed = packed,
        .y = gx,
    };

    turned.tap_offsets = offsets;
    fill_taps(g, &turned, offsets, sources);
    convolve(&c, team, num_blocks, gy, packed + (ptrdiff_t)g->O * g->K);
}

/* One block: every output line spreads its gradient over the input lines under its windows, tap by tap. */
static void spread(const struct conv2d_geometry *g, const struct kernels *kernels, struct tiling tiling,
                   const float *packed, const float *gy, float *gx)
{
    ptrdiff_t line = (ptrdiff_t)g->padded_width * LANES;
    struct product product = {
        .a_row = 1,
        .b_col = LANES,
        .b_step = out_channel(g),
        .c_row = g->padded_height * line,
        .c_col = (ptrdiff_t)g->stride[1] * LANES,
        .length = g->O,
        .accumulate = true,
    };

    for (int h = 0; h < g->out_height; h++) {
        product.a = packed;
        product.b = gy + h * out_line(g);
        for (int kh = 0; kh < g->kernel[0]; kh++)
            for (int kw = 0; kw < g->kernel[1]; kw++) {
                product.c = gx + h * g->stride[0] * line + g->tap_offsets[kh * g->kernel[1] + kw];
                product_run(kernels->product_step, tiling, &product, true);
                product.a += (ptrdiff_t)g->C * g->O;
            }
    }
}

static void spread_gradient(const struct conv2d_geometry *g, const struct kernels *kernels, int num_blocks,
                            const float *gy, const float *w, float *gx, float *scratch)
{
    struct tiling tiling = tiling_choose(kernels, g->C, g->out_width);
    int taps = g->kernel[0] * g->kernel[1];
    float *packed = scratch, *padded = scratch + (ptrdiff_t)g->O * g->K;

    for (int tap = 0; tap < taps; tap++)
        tiling_pack(tiling, w + tap, taps, g->K, g->O, packed + (ptrdiff_t)tap * g->C * g->O);
    for (int block = 0; block < num_blocks; block++) {
        float *mine = gx + block * g->x_block;
        float *to = conv2d_is_padded(g) ? padded : mine;

        memset(to, 0, conv2d_padded_size(g) * sizeof *to);
        spread(g, kernels, tiling, packed, gy + block * g->y_block, to);
        if (conv2d_is_padded(g))
            conv2d_crop(g, padded, mine);
    }
}

static void input_gradient(const struct conv2d_geometry *g, const struct kernels *kernels, struct team *team,
                           int num_blocks, const float *gy, const float *w, float *gx, float *scratch)
{
    if (can_turn_around(g))
        gather_gradient(g, kernels, team, num_blocks, gy, w, gx, scratch);
    else
        spread_gradient(g, kernels, num_blocks, gy, w, gx, scratch);
}

const struct conv2d_way conv2d_direct = {
    .forward_scratch = forward_scratch,
    .backward_scratch = backward_scratch,
    .forward = forward,
    .weight_gradient = weight_gradient,
    .input_gradient = input_gradient,
};
