/* Convolution of one channel by its own kernel: each tap is one vector multiply-add. Channels are handled one at a
 * time, so that their padded image stays in the first-level cache. */
#include <string.h>

#include "nn/layer/conv2d.h"

bool conv2d_is_depthwise(const struct conv2d_geometry *g)
{
    return g->groups > 1 && g->C == 1 && g->O == 1;
}

static size_t forward_scratch(const struct conv2d_geometry *g)
{
    return conv2d_is_padded(g) ? conv2d_padded_size(g) : 0;
}

/* A padded image, the sums of all taps or the flipped kernel. */
static size_t backward_scratch(const struct conv2d_geometry *g)
{
    return conv2d_padded_size(g) + (size_t)g->K * LANES;
}

/* One line of `cols` vectors: y = b + the sum over taps of w * x. */
static void line_forward(const struct kernels *kernels, struct product *product, int cols)
{
    for (int col = 0; col < cols; col += TILE_MAX_COLS) {
        struct product part = *product;

        part.b += col * part.b_col;
        part.c += col * part.c_col;
        (*kernels->product_table)[1][cols - col < TILE_MAX_COLS ? cols - col : TILE_MAX_COLS](&part);
    }
}

static void forward(const struct conv2d_geometry *g, const struct kernels *kernels, struct team *team, int num_blocks,
                    const float *x, const float *w, const float *b, float *y, float *scratch)
{
    struct product product = {
        .a = w,
        .a_row = 1,
        .a_step = 1,
        .bias = b,
        .b_offsets = g->tap_offsets,
        .b_col = (ptrdiff_t)g->stride[1] * LANES,
        .c_col = LANES,
        .length = g->K,
    };

    (void)team;
    for (int block = 0; block < num_blocks; block++) {
        const float *from = conv2d_pad(g, x + block * g->x_block, scratch);

        for (int h = 0; h < g->out_height; h++) {
            product.b = from + (ptrdiff_t)h * g->stride[0] * g->padded_width * LANES;
            product.c = y + block * g->y_block + (ptrdiff_t)h * g->out_width * LANES;
            line_forward(kernels, &product, g->out_width);
        }
    }
}

static void weight_gradient(const struct conv2d_geometry *g, const struct kernels *kernels, struct team *team,
                            int num_blocks, const float *x, const float *gy, float *dw, float *scratch)
{
    float *sums = scratch, *padded = scratch + (ptrdiff_t)g->K * LANES;
    int parts = (g->K + TILE_MAX_COLS - 1) / TILE_MAX_COLS;
    struct correlation part = {.b_offsets = g->pixel_offsets, .length = g->out_height * g->out_width};

    (void)team;
    for (int block = 0; block < num_blocks; block++) {
        part.a = gy + block * g->y_block;
        part.b = conv2d_pad(g, x + block * g->x_block, padded);
        part.accumulate = block > 0;
        for (int i = 0; i < parts; i++) {
            int tap = tiling_begin(g->K, parts, i);

            part.b_cols = g->tap_offsets + tap;
            part.d = sums + (ptrdiff_t)tap * LANES;
            (*kernels->correlation)[1][tiling_begin(g->K, parts, i + 1) - tap](&part);
        }
    }
    kernels->sum_lanes(sums, (size_t)g->K, false, dw);
}

/* Where input and output have one size, the input's gradient is the convolution of gy by the kernel turned round. */
static bool is_same_size(const struct conv2d_geometry *g)
{
    return g->stride[0] == 1 && g->stride[1] == 1 && g->out_height == g->H && g->out_width == g->W;
}

/* One channel of one block: every output value spreads its gradient over the inputs under its window. */
static void spread(const struct conv2d_geometry *g, const struct kernels *kernels, const float *gy, const float *w,
                   float *gx)
{
    ptrdiff_t line = (ptrdiff_t)g->out_width * LANES;
    struct product product = {
        .a_row = 1,
        .a_step = 1,
        .b_offsets = (const int32_t[]){0},
        .b_col = LANES,
        .c_col = (ptrdiff_t)g->stride[1] * LANES,
        .length = 1,
        .accumulate = true,
    };

    for (int h = 0; h < g->out_height; h++)
        for (int tap = 0; tap < g->K; tap++) {
            product.a = w + tap;
            product.b = gy + h * line;
            product.c = gx + (ptrdiff_t)h * g->stride[0] * g->padded_width * LANES + g->tap_offsets[tap];
            line_forward(kernels, &product, g->out_width);
        }
}

static void input_gradient(const struct conv2d_geometry *g, const struct kernels *kernels, struct team *team,
                           int num_blocks, const float *gy, const float *w, float *gx, float *scratch)
{
    float *flipped = scratch, *padded = scratch + (ptrdiff_t)g->K * LANES;

    if (is_same_size(g)) {
        for (int tap = 0; tap < g->K; tap++)
            flipped[tap] = w[g->K - 1 - tap];
        forward(g, kernels, team, num_blocks, gy, flipped, NULL, gx, padded);
        return;
    }
    for (int block = 0; block < num_blocks; block++) {
        float *mine = gx + block * g->x_block, *to = conv2d_is_padded(g) ? padded : mine;

        memset(to, 0, conv2d_padded_size(g) * sizeof *to);
        spread(g, kernels, gy + block * g->y_block, w, to);
        if (conv2d_is_padded(g))
            conv2d_crop(g, padded, mine);
    }
}

const struct conv2d_way conv2d_depthwise = {
    .forward_scratch = forward_scratch,
    .backward_scratch = backward_scratch,
    .forward = forward,
    .weight_gradient = weight_gradient,
    .input_gradient = input_gradient,
};
