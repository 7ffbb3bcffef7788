/* Convolution without im2col: because LANES samples lie side by side, each tap of a window is one vector in the image
 * itself, whatever the stride. The tile kernel finds it through the table of tap offsets. */
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
};

static size_t padding_scratch(const struct conv2d_geometry *g)
{
    return conv2d_is_padded(g) ? conv2d_padded_size(g) : 0;
}

static size_t forward_scratch(const struct conv2d_geometry *g)
{
    return (size_t)g->O * (size_t)g->K + padding_scratch(g);
}

static size_t backward_scratch(const struct conv2d_geometry *g)
{
    size_t weights = (size_t)g->O * (size_t)g->K;

    return (weights > SUMS_SIZE ? weights : SUMS_SIZE) + padding_scratch(g);
}

static ptrdiff_t out_line(const struct conv2d_geometry *g)
{
    return (ptrdiff_t)g->out_width * LANES;
}

static ptrdiff_t out_channel(const struct conv2d_geometry *g)
{
    return g->out_height * out_line(g);
}

static void forward(const struct conv2d_geometry *g, const struct kernels *kernels, int num_blocks, const float *x,
                    const float *w, const float *b, float *y, float *scratch)
{
    struct tiling tiling = tiling_choose(kernels, g->O, g->out_width);
    ptrdiff_t x_line = (ptrdiff_t)g->stride[0] * g->padded_width * LANES;
    float *packed = scratch, *padded = scratch + (ptrdiff_t)g->O * g->K;
    struct product product = {
        .a_row = 1,
        .b_col = (ptrdiff_t)g->stride[1] * LANES,
        .c_row = out_channel(g),
        .c_col = LANES,
    };

    for (int tap = 0; tap < g->K; tap += TAPS_PER_PASS) {
        int length = g->K - tap < TAPS_PER_PASS ? g->K - tap : TAPS_PER_PASS;

        tiling_pack(tiling, w + tap, g->K, 1, length, packed + (ptrdiff_t)tap * g->O);
    }
    for (int block = 0; block < num_blocks; block++) {
        const float *from = conv2d_pad(g, x + (ptrdiff_t)block * g->C * g->H * g->W * LANES, padded);

        for (int tap = 0; tap < g->K; tap += TAPS_PER_PASS) {
            product.a = packed + (ptrdiff_t)tap * g->O;
            product.b_offsets = g->tap_offsets + tap;
            product.length = g->K - tap < TAPS_PER_PASS ? g->K - tap : TAPS_PER_PASS;
            product.accumulate = tap > 0;
            product.bias = tap > 0 ? NULL : b;
            for (int h = 0; h < g->out_height; h++) {
                product.b = from + h * x_line;
                product.c = y + block * g->O * out_channel(g) + h * out_line(g);
                product_run(kernels->product_table, tiling, &product, true);
            }
        }
    }
}

/* Output pixels at a time, so that what one row of tiles goes over again and again stays in the first-level cache. */
static int pixels_at_a_time(const struct conv2d_geometry *g, int rows)
{
    int pixels = CACHED_FLOATS / ((rows + 2 * g->stride[0] * g->stride[1]) * LANES), P = g->out_height * g->out_width;

    return pixels < 1 ? 1 : pixels > P ? P : pixels;
}

/* Sums [rows][cols][LANES] for output channels from `row` and taps from `tap`, over one block, in tiles of `width`. */
static void correlate(const struct conv2d_geometry *g, const struct kernels *kernels, const float *x, const float *gy,
                      int row, int rows, int tap, int cols, int width, float *sums)
{
    int P = g->out_height * g->out_width, step = pixels_at_a_time(g, rows);
    struct correlation part = {.b = x, .a_row = out_channel(g), .d_row = (ptrdiff_t)cols * LANES};

    for (int pixel = 0; pixel < P; pixel += step) {
        part.a = gy + row * out_channel(g) + (ptrdiff_t)pixel * LANES;
        part.b_offsets = g->pixel_offsets + pixel;
        part.length = P - pixel < step ? P - pixel : step;
        part.accumulate = pixel > 0;
        for (int col = 0; col < cols; col += width) {
            part.b_cols = g->tap_offsets + tap + col;
            part.d = sums + (ptrdiff_t)col * LANES;
            (*kernels->correlation)[rows][cols - col < width ? cols - col : width](&part);
        }
    }
}

static void weight_gradient(const struct conv2d_geometry *g, const struct kernels *kernels, int num_blocks,
                            const float *x, const float *gy, float *dw, float *scratch)
{
    struct tiling tiling = tiling_choose(kernels, g->O, g->K);
    int width = (g->K + tiling.col_tiles - 1) / tiling.col_tiles, group = TAPS_PER_SUM / width * width;
    float *sums = scratch, *padded = scratch + SUMS_SIZE;

    for (int block = 0; block < num_blocks; block++, gy += g->O * out_channel(g)) {
        const float *from = conv2d_pad(g, x + (ptrdiff_t)block * g->C * g->H * g->W * LANES, padded);

        for (int i = 0; i < tiling.row_tiles; i++) {
            int row = tiling_begin(g->O, tiling.row_tiles, i), rows = tiling_begin(g->O, tiling.row_tiles, i + 1) - row;

            for (int tap = 0; tap < g->K; tap += group) {
                int cols = g->K - tap < group ? g->K - tap : group;

                correlate(g, kernels, from, gy, row, rows, tap, cols, width, sums);
                for (int r = 0; r < rows; r++)
                    kernels->sum_lanes(sums + (ptrdiff_t)r * cols * LANES, (size_t)cols, block > 0,
                                       dw + (ptrdiff_t)(row + r) * g->K + tap);
            }
        }
    }
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
                product.c = gx + (h * g->stride[0] + kh) * line + (ptrdiff_t)kw * LANES;
                product_run(kernels->product_step, tiling, &product, true);
                product.a += (ptrdiff_t)g->C * g->O;
            }
    }
}

static void input_gradient(const struct conv2d_geometry *g, const struct kernels *kernels, int num_blocks,
                           const float *gy, const float *w, float *gx, float *scratch)
{
    struct tiling tiling = tiling_choose(kernels, g->C, g->out_width);
    int taps = g->kernel[0] * g->kernel[1];
    float *packed = scratch, *padded = scratch + (ptrdiff_t)g->O * g->K;

    for (int tap = 0; tap < taps; tap++)
        tiling_pack(tiling, w + tap, taps, g->K, g->O, packed + (ptrdiff_t)tap * g->C * g->O);
    for (int block = 0; block < num_blocks; block++) {
        float *mine = gx + (ptrdiff_t)block * g->C * g->H * g->W * LANES;
        float *to = conv2d_is_padded(g) ? padded : mine;

        memset(to, 0, conv2d_padded_size(g) * sizeof *to);
        spread(g, kernels, tiling, packed, gy + block * g->O * out_channel(g), to);
        if (conv2d_is_padded(g))
            conv2d_crop(g, padded, mine);
    }
}

const struct conv2d_way conv2d_direct = {
    .forward_scratch = forward_scratch,
    .backward_scratch = backward_scratch,
    .forward = forward,
    .weight_gradient = weight_gradient,
    .input_gradient = input_gradient,
};
