/* Convolution as a matrix product (Chellapilla et al. 2006). In the batch-innermost layout W [O, K] times
 * columns [K, pixels * LANES] is the output as it lies, and a column's entry is a vector copied whole. */
#include <cblas.h>
#include <string.h>

#include "nn/layer/conv2d.h"

/* Floats of columns made at a time: half of a small second-level cache. */
enum { COLUMNS_SIZE = 32768 };

/* Output lines handled at a time. */
static int lines_per_part(const struct conv2d_geometry *g)
{
    int64_t lines = COLUMNS_SIZE / ((int64_t)g->K * g->out_width * LANES);

    return lines < 1 ? 1 : lines > g->out_height ? g->out_height : (int)lines;
}

static size_t scratch_size(const struct conv2d_geometry *g)
{
    return (size_t)g->K * (size_t)lines_per_part(g) * (size_t)g->out_width * LANES +
           (conv2d_is_padded(g) ? conv2d_padded_size(g) : 0);
}

static int width(const struct conv2d_geometry *g, int lines)
{
    return lines * g->out_width * LANES;
}

static int out_channel(const struct conv2d_geometry *g)
{
    return width(g, g->out_height);
}

/* Visit every vector of the columns of `lines` output lines from `first`: its place in columns and in the image. */
static void columns_fill(const struct conv2d_geometry *g, const float *x, int first, int lines, float *columns)
{
    for (int tap = 0; tap < g->K; tap++)
        for (int h = first; h < first + lines; h++) {
            const float *from = x + g->tap_offsets[tap] + (ptrdiff_t)h * g->stride[0] * g->padded_width * LANES;

            for (int w = 0; w < g->out_width; w++, columns += LANES)
                memcpy(columns, from + (ptrdiff_t)w * g->stride[1] * LANES, LANES * sizeof *columns);
        }
}

static void columns_spread(const struct conv2d_geometry *g, const float *columns, int first, int lines, float *gx)
{
    for (int tap = 0; tap < g->K; tap++)
        for (int h = first; h < first + lines; h++) {
            float *to = gx + g->tap_offsets[tap] + (ptrdiff_t)h * g->stride[0] * g->padded_width * LANES;

            for (int w = 0; w < g->out_width; w++, columns += LANES)
                for (int lane = 0; lane < LANES; lane++)
                    to[(ptrdiff_t)w * g->stride[1] * LANES + lane] += columns[lane];
        }
}

static void add_bias(const struct conv2d_geometry *g, const float *b, float *y)
{
    for (int o = 0; o < g->O; o++)
        for (int i = 0; i < out_channel(g); i++)
            *y++ += b[o];
}

static void forward(const struct conv2d_geometry *g, const struct kernels *kernels, struct team *team, int num_blocks,
                    const float *x, const float *w, const float *b, float *y, float *scratch)
{
    int step = lines_per_part(g);
    float *columns = scratch, *padded = scratch + (ptrdiff_t)g->K * width(g, step);

    (void)kernels, (void)team;
    for (int block = 0; block < num_blocks; block++, y += g->y_block) {
        const float *from = conv2d_pad(g, x + block * g->x_block, padded);

        for (int h = 0; h < g->out_height; h += step) {
            int lines = g->out_height - h < step ? g->out_height - h : step;

            columns_fill(g, from, h, lines, columns);
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, g->O, width(g, lines), g->K, 1, w, g->K, columns,
                        width(g, lines), 0, y + width(g, h), out_channel(g));
        }
        if (b)
            add_bias(g, b, y);
    }
}

static void weight_gradient(const struct conv2d_geometry *g, const struct kernels *kernels, struct team *team,
                            int num_blocks, const float *x, const float *gy, float *dw, float *scratch)
{
    int step = lines_per_part(g);
    float *columns = scratch, *padded = scratch + (ptrdiff_t)g->K * width(g, step);

    (void)kernels, (void)team;
    for (int block = 0; block < num_blocks; block++, gy += g->y_block) {
        const float *from = conv2d_pad(g, x + block * g->x_block, padded);

        for (int h = 0; h < g->out_height; h += step) {
            int lines = g->out_height - h < step ? g->out_height - h : step;

            columns_fill(g, from, h, lines, columns);
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, g->O, g->K, width(g, lines), 1, gy + width(g, h),
                        out_channel(g), columns, width(g, lines), block == 0 && h == 0 ? 0 : 1, dw, g->K);
        }
    }
}

static void input_gradient(const struct conv2d_geometry *g, const struct kernels *kernels, struct team *team,
                           int num_blocks, const float *gy, const float *w, float *gx, float *scratch)
{
    int step = lines_per_part(g);
    float *columns = scratch, *padded = scratch + (ptrdiff_t)g->K * width(g, step);

    (void)kernels, (void)team;
    for (int block = 0; block < num_blocks; block++, gy += g->y_block) {
        float *mine = gx + block * g->x_block;
        float *to = conv2d_is_padded(g) ? padded : mine;

        memset(to, 0, conv2d_padded_size(g) * sizeof *to);
        for (int h = 0; h < g->out_height; h += step) {
            int lines = g->out_height - h < step ? g->out_height - h : step;

            cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, g->K, width(g, lines), g->O, 1, w, g->K,
                        gy + width(g, h), out_channel(g), 0, columns, width(g, lines));
            columns_spread(g, columns, h, lines, to);
        }
        if (conv2d_is_padded(g))
            conv2d_crop(g, padded, mine);
    }
}

const struct conv2d_way conv2d_gemm = {
    .forward_scratch = scratch_size,
    .backward_scratch = scratch_size,
    .forward = forward,
    .weight_gradient = weight_gradient,
    .input_gradient = input_gradient,
};
