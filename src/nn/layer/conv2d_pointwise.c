/* A 1 x 1 convolution is a linear layer at every pixel. Weights are read as they lie: for the small images at the end
 * of a network, packing them would cost as much as the product itself. */
#include <string.h>

#include "nn/layer/conv2d.h"

enum {
    /* Pixels of a product at a time, so that C of them stay in the second-level cache. */
    CACHED_FLOATS = 1 << 17,
    /* Blocks of one pixel that are turned sample by sample for the weights' gradient at a time. */
    PIXELS_AT_A_TIME = 16,
};

bool conv2d_is_pointwise(const struct conv2d_geometry *g)
{
    return g->kernel[0] == 1 && g->kernel[1] == 1 && g->stride[0] == 1 && g->stride[1] == 1 && !conv2d_is_padded(g);
}

static int pixels(const struct conv2d_geometry *g)
{
    return g->H * g->W;
}

static int padded_channels(const struct conv2d_geometry *g)
{
    return (g->C + LANES - 1) / LANES * LANES;
}

static size_t forward_scratch(const struct conv2d_geometry *g)
{
    (void)g;
    return 0;
}

static size_t backward_scratch(const struct conv2d_geometry *g)
{
    return (size_t)PIXELS_AT_A_TIME * LANES * (size_t)(padded_channels(g) + g->O) + (size_t)g->O * LANES;
}

/* All columns of a product that takes `depth` channels of b to `rows` of c. One pixel a sample: blocks are the columns.
 */
static void run(const struct conv2d_geometry *g, const struct kernels *kernels, const product_tiles *tiles,
                int num_blocks, struct product whole, int rows, ptrdiff_t b_block, ptrdiff_t c_block)
{
    int P = pixels(g), step = CACHED_FLOATS / (whole.length * LANES);

    if (P == 1) {
        whole.b_col = b_block;
        whole.c_col = c_block;
        product_run(tiles, tiling_choose(kernels, rows, num_blocks), &whole, false);
        return;
    }
    step = step < TILE_MAX_COLS ? TILE_MAX_COLS : step;
    for (int block = 0; block < num_blocks; block++)
        for (int p = 0; p < P; p += step) {
            struct product part = whole;

            part.b += block * b_block + (ptrdiff_t)p * LANES;
            part.c += block * c_block + (ptrdiff_t)p * LANES;
            product_run(tiles, tiling_choose(kernels, rows, P - p < step ? P - p : step), &part, false);
        }
}

static void forward(const struct conv2d_geometry *g, const struct kernels *kernels, struct team *team, int num_blocks,
                    const float *x, const float *w, const float *b, float *y, float *scratch)
{
    struct product product = {
        .a = w,
        .a_row = g->C,
        .a_step = 1,
        .b = x,
        .b_col = LANES,
        .b_step = (ptrdiff_t)pixels(g) * LANES,
        .c = y,
        .c_row = (ptrdiff_t)pixels(g) * LANES,
        .c_col = LANES,
        .length = g->C,
        .bias = b,
    };

    (void)team, (void)scratch;
    run(g, kernels, kernels->product_rows, num_blocks, product, g->O, g->x_block, g->y_block);
}

static void input_gradient(const struct conv2d_geometry *g, const struct kernels *kernels, struct team *team,
                           int num_blocks, const float *gy, const float *w, float *gx, float *scratch)
{
    struct product product = {
        .a = w,
        .a_row = 1,
        .a_step = g->C,
        .b = gy,
        .b_col = LANES,
        .b_step = (ptrdiff_t)pixels(g) * LANES,
        .c = gx,
        .c_row = (ptrdiff_t)pixels(g) * LANES,
        .c_col = LANES,
        .length = g->O,
    };

    (void)team, (void)scratch;
    run(g, kernels, kernels->product_step, num_blocks, product, g->C, g->y_block, g->x_block);
}

/* dw [O, C] += gy^T x over `samples` rows of x [samples, padded C] and gy [samples, O]; vectors run along C, and the
 * last C % LANES columns go through `edge` [O, LANES]. */
static void accumulate_weights(const struct conv2d_geometry *g, const struct kernels *kernels, const float *x,
                               const float *gy, int samples, bool accumulate, float *edge, float *dw)
{
    int whole = g->C / LANES, rest = g->C % LANES;
    struct product product = {
        .a = gy,
        .a_row = 1,
        .a_step = g->O,
        .b = x,
        .b_col = LANES,
        .b_step = padded_channels(g),
        .c = dw,
        .c_row = g->C,
        .c_col = LANES,
        .length = samples,
        .accumulate = accumulate,
    };

    if (whole > 0)
        product_run(kernels->product_step, tiling_choose(kernels, g->O, whole), &product, false);
    if (rest == 0)
        return;
    product.b += (ptrdiff_t)whole * LANES;
    product.c = edge;
    product.c_row = LANES;
    product_run(kernels->product_step, tiling_choose(kernels, g->O, 1), &product, false);
    for (int o = 0; o < g->O; o++)
        memcpy(dw + (ptrdiff_t)o * g->C + whole * LANES, edge + (ptrdiff_t)o * LANES, (size_t)rest * sizeof *dw);
}

static void weight_gradient(const struct conv2d_geometry *g, const struct kernels *kernels, struct team *team,
                            int num_blocks, const float *x, const float *gy, float *dw, float *scratch)
{
    size_t C = (size_t)g->C, O = (size_t)g->O, padded = (size_t)padded_channels(g), P = (size_t)pixels(g);
    size_t all = P * (size_t)num_blocks;
    float *xs = scratch, *gys = xs + (size_t)PIXELS_AT_A_TIME * LANES * padded;
    float *edge = gys + (size_t)PIXELS_AT_A_TIME * LANES * O;

    (void)team;
    memset(xs, 0, (size_t)PIXELS_AT_A_TIME * LANES * padded * sizeof *xs);
    for (size_t first = 0; first < all; first += PIXELS_AT_A_TIME) {
        size_t n = all - first < PIXELS_AT_A_TIME ? all - first : PIXELS_AT_A_TIME;

        for (size_t i = 0; i < n; i++) {
            ptrdiff_t block = (ptrdiff_t)((first + i) / P);
            size_t pixel = (first + i) % P * LANES;

            kernels->turn(x + block * g->x_block + pixel, P * LANES, C, xs + i * LANES * padded, padded);
            kernels->turn(gy + block * g->y_block + pixel, P * LANES, O, gys + i * LANES * O, O);
        }
        accumulate_weights(g, kernels, xs, gys, (int)n * LANES, first > 0, edge, dw);
    }
}

const struct conv2d_way conv2d_pointwise = {
    .forward_scratch = forward_scratch,
    .backward_scratch = backward_scratch,
    .forward = forward,
    .weight_gradient = weight_gradient,
    .input_gradient = input_gradient,
};
