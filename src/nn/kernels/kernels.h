/* Vector kernels of the training engine, compiled once per instruction set and chosen at run time.
 *
 * Data inside a network lies batch-innermost: LANES samples form a block, and an activation of D values is
 * [num_blocks][D][LANES]. Whatever a layer does to one value it does to LANES samples at once, so no kernel shuffles
 * or has tails, stride and padding cost nothing, and one tile kernel serves linear layers and convolutions alike.
 * The tables are constant; any thread may use them. */
#ifndef FLOSIM_NN_KERNELS_H
#define FLOSIM_NN_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LANES = 16, TILE_MAX_ROWS = 12, TILE_MAX_COLS = 6 };

/* C[i][j] = start + sum over r < length of A[i][r] * B[j][r], where A holds scalars and B, C vectors of LANES:
 *   A[i][r] = a[i * a_row + r * a_step]
 *   B[j][r] = b + j * b_col + (b_offsets ? b_offsets[r] : r * b_step)
 *   C[i][j] = c + i * c_row + j * c_col
 * start is C itself (accumulate), bias[i], or 0. */
struct product {
    const float *a, *b, *bias;
    float *c;
    const int32_t *b_offsets;
    ptrdiff_t a_row, a_step, b_col, b_step, c_row, c_col;
    int length;
    bool accumulate;
};

/* D[i][j] = (accumulate ? D[i][j] : 0) + sum over r < length of, lane by lane,
 *   (a + i * a_row + r * LANES) * (b + b_cols[j] + b_offsets[r])
 * D[i][j] = d + i * d_row + j * LANES, a vector. Summed over lanes, the gradient of a convolution's weights. */
struct correlation {
    const float *a, *b;
    float *d;
    const int32_t *b_cols, *b_offsets;
    ptrdiff_t a_row, d_row;
    int length;
    bool accumulate;
};

typedef void product_fn(const struct product *product);
typedef void correlation_fn(const struct correlation *correlation);

/* tile[rows][cols]; NULL where rows > max_rows[cols]. */
typedef product_fn *product_tiles[TILE_MAX_ROWS + 1][TILE_MAX_COLS + 1];
typedef correlation_fn *correlation_tiles[TILE_MAX_ROWS + 1][TILE_MAX_COLS + 1];

struct pool_window {
    int height, width; /* part of the window that lies inside the image */
    ptrdiff_t line;    /* from one image row to the next */
};

/* Activations whose every value depends on one value. `argument`: the slope of leaky_relu. */
enum activation {
    ACTIVATION_RELU6,
    ACTIVATION_LEAKY_RELU,
    ACTIVATION_GELU,
    ACTIVATION_TANH,
    ACTIVATION_SIGMOID,
    NUM_ACTIVATIONS
};

/* What is normalised together, lane by lane: `channels` of `run` vectors each, one after the other. The vectors of a
 * channel share a weight and a bias. */
struct norm_span {
    const float *x, *mean, *scale; /* mean and scale [LANES] */
    const float *weight, *bias;    /* [channels]; NULL: 1 and 0 */
    size_t channels, run;
};

struct adam_step {
    float beta1, beta2, rest1, rest2, eps, weight_decay; /* rest = 1 - beta, rounded once */
    float step_size;                                     /* lr / (1 - beta1^t) */
    float root_scale;                                    /* 1 / sqrt(1 - beta2^t) */
};

struct sgd_step {
    float lr, momentum, dampening, weight_decay;
    bool nesterov, first;
};

struct cell_kernels;

struct kernels {
    const char *name;
    int max_rows[TILE_MAX_COLS + 1];    /* by cols; what fits the registers */
    const product_tiles *product_table; /* a_row == 1, b_offsets given */
    const product_tiles *product_step;  /* a_row == 1, b_step given */
    const product_tiles *product_rows;  /* a_step == 1, b_step given */
    const correlation_tiles *correlation;

    /* The sum of n vectors and all lanes. */
    float (*sum)(const float *x, size_t num_vectors);
    /* out[i] = (accumulate ? out[i] : 0) + the sum of the lanes of vector i. */
    void (*sum_lanes)(const float *x, size_t num_vectors, bool accumulate, float *out);
    /* y = max(x, 0), NaN kept; n floats, a multiple of LANES. x may be y. */
    void (*relu)(const float *x, float *y, size_t n);
    /* gx = y > 0 ? gy : 0; gx may be gy. */
    void (*relu_backward)(const float *y, const float *gy, float *gx, size_t n);
    /* One window: y [LANES] = maximum. */
    void (*pool_max)(const float *x, struct pool_window window, float *y);
    /* gx of the window += gy where x is the first that equals y. */
    void (*pool_max_backward)(const float *x, struct pool_window window, const float *y, const float *gy, float *gx);
    /* Blocks of a batch from samples and back: x [N, size] <-> blocks [ceil(N / LANES)][size][LANES]; lanes without a
     * sample are set to 0. `stride` is the distance between samples, at least `size`. */
    void (*gather)(const float *x, size_t N, size_t size, size_t stride, float *blocks);
    void (*scatter)(const float *blocks, size_t N, size_t size, size_t stride, float *x);
    /* num_vectors vectors of LANES, in_stride floats apart, into out [LANES][num_vectors] with rows out_stride apart.
     */
    void (*turn)(const float *in, size_t in_stride, size_t num_vectors, float *out, size_t out_stride);
    /* y = the mean over a window: scale * its sum. */
    void (*pool_mean)(const float *x, struct pool_window window, float scale, float *y);
    /* gx of the window += scale * gy. */
    void (*pool_mean_backward)(struct pool_window window, float scale, const float *gy, float *gx);
    /* Lane by lane over num_vectors; shift and sums [LANES]: sums += x. */
    void (*lane_sums)(const float *x, size_t num_vectors, float *sums);
    /* The same: sums += (x - shift)^2. */
    void (*lane_squares)(const float *x, const float *shift, size_t num_vectors, float *sums);
    /* The same: sums[0..LANES) += gy, sums[LANES..) += gy * (x - shift). */
    void (*lane_products)(const float *gy, const float *x, const float *shift, size_t num_vectors, float *sums);
    /* y = scale * x + shift, with `scale` and `shift` by lane [LANES]; y may be x. */
    void (*affine)(const float *x, const float *scale, const float *shift, size_t num_vectors, float *y);
    /* gx = a * gy + b * x + c, all by lane [LANES]; gx may be gy. */
    void (*affine_backward)(const float *gy, const float *x, const float *a, const float *b, const float *c,
                            size_t num_vectors, float *gx);
    /* y = (x - mean) * scale * weight + bias; y may be x. */
    void (*normalize)(const struct norm_span *span, float *y);
    /* With g = weight * gy and x' = (x - mean) * scale, lane by lane: sums[0..LANES) = the sum of g, sums[LANES..) that
     * of g * x'. Channel by channel, over all lanes: db += gy, dw += gy * x'; NULL, both: nobody wants them. */
    void (*normalize_sums)(const struct norm_span *span, const float *gy, float *sums, float *dw, float *db);
    /* gx = scale * weight * gy + b * (x - mean) + c, with b and c by lane [LANES]; gx may be gy. */
    void (*normalize_backward)(const struct norm_span *span, const float *gy, const float *b, const float *c,
                               float *gx);
    /* By enum activation; n floats, a multiple of LANES. y may be x, gx may be gy. `backward` gets y, or x where
     * activation_reads_x says so. */
    void (*activate[NUM_ACTIVATIONS])(const float *x, float argument, size_t n, float *y);
    void (*activate_backward[NUM_ACTIVATIONS])(const float *xy, const float *gy, float argument, size_t n, float *gx);
    /* Over D vectors that lie `step` floats apart, lane by lane: y = softmax of x. */
    void (*softmax)(const float *x, size_t D, size_t step, float *y);
    void (*softmax_backward)(const float *y, const float *gy, size_t D, size_t step, float *gx);
    void (*log_softmax)(const float *x, size_t D, size_t step, float *y);
    void (*log_softmax_backward)(const float *y, const float *gy, size_t D, size_t step, float *gx);

    const struct cell_kernels *cells; /* cells.h */

    /* `most`: the largest v so far, which AMSGrad divides by; NULL: v itself. */
    void (*adam)(const struct adam_step *step, size_t n, float *p, const float *g, float *m, float *v, float *most);
    void (*sgd)(const struct sgd_step *step, size_t n, float *p, const float *g, float *momentum);
};

extern const struct kernels kernels_avx512, kernels_avx2, kernels_generic;

/* The best set for this processor; FLOSIM_KERNELS=avx512|avx2|generic asks for another one (ignored where the
 * processor lacks it). Results are repeatable within one set, not between sets. */
const struct kernels *kernels_best(void);

/* How a product of `rows` x `cols` vectors is cut into register tiles: near-equal parts of at most these sizes. */
struct tiling {
    int rows, cols;           /* of the whole */
    int row_tiles, col_tiles; /* number of parts */
};
struct tiling tiling_choose(const struct kernels *kernels, int rows, int cols);

/* Where part i of n near-equal parts of `whole` begins; part n begins at `whole`. */
static inline int tiling_begin(int whole, int n, int i)
{
    return (int)((int64_t)whole * i / n);
}

/* Run all tiles. `whole` describes row 0, column 0. Where `packed`, a is tiling_pack's result. */
void product_run(const product_tiles *tiles, struct tiling tiling, const struct product *whole, bool packed);

/* Pack scalars A[i][r] = a[i * a_row + r * a_step], r < length, for product_run: out [rows * length]. */
void tiling_pack(struct tiling tiling, const float *a, ptrdiff_t a_row, ptrdiff_t a_step, int length, float *out);

#endif
