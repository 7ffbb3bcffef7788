/* The two ways to compute a convolution. Both take one geometry and one block layout; conv2d.c chooses.
 * K = C * kernel height * kernel width taps, P = output pixels. Pure functions; any thread. */
#ifndef FLOSIM_NN_LAYER_CONV2D_H
#define FLOSIM_NN_LAYER_CONV2D_H

#include "nn/layer/layer.h"

struct conv2d_geometry {
    int C, H, W, O, out_height, out_width;
    int kernel[2], stride[2], padding[2];
    int padded_height, padded_width; /* H + 2 padding, W + 2 padding */
    int K;
    /* In floats of a padded block: [K] tap (c, kh, kw) from its window's corner, [P] a window's corner. */
    int32_t *tap_offsets, *pixel_offsets;
};

struct conv2d_way {
    /* Scratch of one call, in floats. */
    size_t (*forward_scratch)(const struct conv2d_geometry *g);
    size_t (*backward_scratch)(const struct conv2d_geometry *g);
    /* x [num_blocks][C, H, W][LANES], w [O, K], b [O] or NULL, y [num_blocks][O, P][LANES]. */
    void (*forward)(const struct conv2d_geometry *g, const struct kernels *kernels, struct team *team, int num_blocks,
                    const float *x, const float *w, const float *b, float *y, float *scratch);
    /* Fills dw [O, K]. */
    void (*weight_gradient)(const struct conv2d_geometry *g, const struct kernels *kernels, struct team *team,
                            int num_blocks, const float *x, const float *gy, float *dw, float *scratch);
    /* Fills gx. */
    void (*input_gradient)(const struct conv2d_geometry *g, const struct kernels *kernels, struct team *team,
                           int num_blocks, const float *gy, const float *w, float *gx, float *scratch);
};

extern const struct conv2d_way conv2d_direct; /* register tiles straight from the image; nothing is unrolled */
extern const struct conv2d_way conv2d_gemm;   /* im2col, a few lines at a time, and OpenBLAS' sgemm */

/* The way that was measured faster for this shape and instruction set. */
const struct conv2d_way *conv2d_choose(const struct conv2d_geometry *g, const struct kernels *kernels);

/* Fills everything from C, H, W, O, kernel, stride, padding; ERR_INVALID where the kernel does not fit. */
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
