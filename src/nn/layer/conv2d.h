/* The ways to compute a convolution. All take one geometry and one block layout; conv2d.c chooses, and runs them once
 * for each group of channels. K = C * kernel height * kernel width taps, P = output pixels. Pure functions; any thread.
 */
#ifndef FLOSIM_NN_LAYER_CONV2D_H
#define FLOSIM_NN_LAYER_CONV2D_H

#include "nn/layer/layer.h"

struct conv2d_geometry {
    int C, H, W, O, out_height, out_width; /* C and O of one group */
    int kernel[2], stride[2], padding[2], dilation[2];
    int groups;
    int padded_height, padded_width; /* H + 2 padding, W + 2 padding */
    int K;
    ptrdiff_t x_block, y_block; /* floats from one block of x, of y, to the next: of all groups */
    /* In floats of a padded block: [K] tap (c, kh, kw) from its window's corner, [P] a window's corner. */
    int32_t *tap_offsets, *pixel_offsets;
};

struct conv2d_way {
    /* Scratch of one call, in floats. */
    size_t (*forward_scratch)(const struct conv2d_geometry *g);
    size_t (*backward_scratch)(const struct conv2d_geometry *g);
    /* x [num_blocks][C, H, W][LANES], w [O, K], b [O] or NULL, y [num_blocks][O, P][LANES]; blocks lie x_block and
     * y_block apart. */
    void (*forward)(const struct conv2d_geometry *g, const struct kernels *kernels, struct team *team, int num_blocks,
                    const float *x, const float *w, const float *b, float *y, float *scratch);
    /* Fills dw [O, K]. */
    void (*weight_gradient)(const struct conv2d_geometry *g, const struct kernels *kernels, struct team *team,
                            int num_blocks, const float *x, const float *gy, float *dw, float *scratch);
    /* Fills gx. */
    void (*input_gradient)(const struct conv2d_geometry *g, const struct kernels *kernels, struct team *team,
                           int num_blocks, const float *gy, const float *w, float *gx, float *scratch);
};

extern const struct conv2d_way conv2d_direct;    /* register tiles straight from the image; nothing is unrolled */
extern const struct conv2d_way conv2d_gemm;      /* im2col, a few lines at a time, and OpenBLAS' sgemm */
extern const struct conv2d_way conv2d_depthwise; /* one channel to a group: each tap is one vector multiply-add */
extern const struct conv2d_way conv2d_pointwise; /* a 1 x 1 kernel: a linear layer at every pixel */
bool conv2d_is_depthwise(const struct conv2d_geometry *g);
bool conv2d_is_pointwise(const struct conv2d_geometry *g);

/* The way that was measured faster for this shape and instruction set. */
const struct conv2d_way *conv2d_choose(const struct conv2d_geometry *g, const struct kernels *kernels);

/* Fills everything from C, H, W, O (of one group), kernel, stride, padding, dilation (0 counts as 1) and groups (0
 * too); ERR_INVALID where the kernel does not fit. */
int conv2d_geometry_init(struct conv2d_geometry *g, struct error *err);
void conv2d_geometry_fini(struct conv2d_geometry *g);

/* Floats of one padded block. */
size_t conv2d_padded_size(const struct conv2d_geometry *g);
bool conv2d_is_padded(const struct conv2d_geometry *g);

/* One block with its zero border: x itself where there is none, else a copy in `padded`. */
const float *conv2d_pad(const struct conv2d_geometry *g, const float *x, float *padded);

/* The inside of a padded block into gx [C, H, W][LANES]. */
void conv2d_crop(const struct conv2d_geometry *g, const float *padded, float *gx);

#endif
