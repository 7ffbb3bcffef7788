/* The kernels, written once over `vec`, VEC_LANES floats wide. Included by one file per instruction set, which defines
 * vec and the vec_* operations and KERNELS, the table's name. */
#include <math.h>
#include <string.h>

#include "nn/kernels/cells.h"

#define INLINE static inline __attribute__((always_inline))

/* A loop of constant length n, unrolled so that arrays indexed by it live in registers. */
#if defined(__clang__)
#define EACH(i, n) _Pragma("clang loop unroll(full)") for (int i = 0; i < (n); i++)
#else
#define EACH(i, n) _Pragma("GCC unroll 16") for (int i = 0; i < (n); i++)
#endif

enum product_kind { BY_TABLE, BY_STEP, BY_ROWS };

// clang-format off
INLINE void product_tile(const struct product *p, const int rows, const int cols, const enum product_kind kind)
{
    for (int lane = 0; lane < LANES; lane += VEC_LANES) {
        vec acc[TILE_MAX_ROWS][TILE_MAX_COLS], b[TILE_MAX_COLS];
        const float *a = p->a, *at = p->b + lane;
        float *c = p->c + lane;

        EACH(i, rows) {
            vec start = p->bias ? vec_set1(p->bias[i]) : vec_zero();

            EACH(j, cols)
                acc[i][j] = start;
        }
        if (p->accumulate)
            EACH(i, rows)
                EACH(j, cols)
                    acc[i][j] = vec_load(c + i * p->c_row + j * p->c_col);
        for (int r = 0; r < p->length; r++) {
            const float *from = kind == BY_TABLE ? at + p->b_offsets[r] : at;

            EACH(j, cols)
                b[j] = vec_load(from + j * p->b_col);
            EACH(i, rows) {
                vec scalar = vec_set1(kind == BY_ROWS ? a[i * p->a_row] : a[i]);

                EACH(j, cols)
                    acc[i][j] = vec_fma(scalar, b[j], acc[i][j]);
            }
            a += kind == BY_ROWS ? 1 : p->a_step;
            if (kind != BY_TABLE)
                at += p->b_step;
        }
        EACH(i, rows)
            EACH(j, cols)
                vec_store(c + i * p->c_row + j * p->c_col, acc[i][j]);
    }
}

INLINE void correlation_tile(const struct correlation *p, const int rows, const int cols)
{
    for (int lane = 0; lane < LANES; lane += VEC_LANES) {
        vec acc[TILE_MAX_ROWS][TILE_MAX_COLS], b[TILE_MAX_COLS];
        const float *from = p->a + lane;
        float *d = p->d + lane;

        EACH(i, rows)
            EACH(j, cols)
                acc[i][j] = vec_zero();
        if (p->accumulate)
            EACH(i, rows)
                EACH(j, cols)
                    acc[i][j] = vec_load(d + i * p->d_row + j * LANES);
        for (int r = 0; r < p->length; r++, from += LANES) {
            const float *at = p->b + lane + p->b_offsets[r];

            EACH(j, cols)
                b[j] = vec_load(at + p->b_cols[j]);
            EACH(i, rows) {
                vec a = vec_load(from + i * p->a_row);

                vec_pin(a);
                EACH(j, cols)
                    acc[i][j] = vec_fma(a, b[j], acc[i][j]);
            }
        }
        EACH(i, rows)
            EACH(j, cols)
                vec_store(d + i * p->d_row + j * LANES, acc[i][j]);
    }
}
// clang-format on

#define PRODUCT(kind, suffix, rows, cols)                                                                              \
    static void product_##suffix##_##rows##_##cols(const struct product *p)                                            \
    {                                                                                                                  \
        product_tile(p, rows, cols, kind);                                                                             \
    }
#define CORRELATION(rows, cols)                                                                                        \
    static void correlation_##rows##_##cols(const struct correlation *p)                                               \
    {                                                                                                                  \
        correlation_tile(p, rows, cols);                                                                               \
    }
#define DEFINE(rows, cols)                                                                                             \
    PRODUCT(BY_TABLE, table, rows, cols)                                                                               \
    PRODUCT(BY_STEP, step, rows, cols)                                                                                 \
    PRODUCT(BY_ROWS, by_rows, rows, cols)                                                                              \
    CORRELATION(rows, cols)

TILES(DEFINE)

#define ROW_TABLE(rows, cols)       [rows][cols] = product_table_##rows##_##cols,
#define ROW_STEP(rows, cols)        [rows][cols] = product_step_##rows##_##cols,
#define ROW_ROWS(rows, cols)        [rows][cols] = product_by_rows_##rows##_##cols,
#define ROW_CORRELATION(rows, cols) [rows][cols] = correlation_##rows##_##cols,

static const product_tiles tiles_table = {TILES(ROW_TABLE)};
static const product_tiles tiles_step = {TILES(ROW_STEP)};
static const product_tiles tiles_rows = {TILES(ROW_ROWS)};
static const correlation_tiles tiles_correlation = {TILES(ROW_CORRELATION)};

static float sum(const float *x, size_t num_vectors)
{
    vec total = vec_zero();

    for (size_t i = 0; i < num_vectors * LANES; i += VEC_LANES)
        total = vec_add(total, vec_load(x + i));
    return vec_sum(total);
}

static void sum_lanes(const float *x, size_t num_vectors, bool accumulate, float *out)
{
    for (size_t i = 0; i < num_vectors; i++, x += LANES) {
        vec total = vec_load(x);

        for (int lane = VEC_LANES; lane < LANES; lane += VEC_LANES)
            total = vec_add(total, vec_load(x + lane));
        out[i] = (accumulate ? out[i] : 0) + vec_sum(total);
    }
}

static void relu(const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i += VEC_LANES)
        vec_store(y + i, vec_relu(vec_load(x + i)));
}

static void relu_backward(const float *y, const float *gy, float *gx, size_t n)
{
    for (size_t i = 0; i < n; i += VEC_LANES)
        vec_store(gx + i, vec_where_positive(vec_load(y + i), vec_load(gy + i)));
}

static void pool_max(const float *x, struct pool_window window, float *y)
{
    for (int lane = 0; lane < LANES; lane += VEC_LANES) {
        vec best = vec_load(x + lane);

        for (int h = 0; h < window.height; h++)
            for (int w = 0; w < window.width; w++)
                best = vec_max_nan(best, vec_load(x + h * window.line + w * LANES + lane));
        vec_store(y + lane, best);
    }
}

static void pool_max_backward(const float *x, struct pool_window window, const float *y, const float *gy, float *gx)
{
    for (int lane = 0; lane < LANES; lane += VEC_LANES) {
        vec best = vec_load(y + lane), rest = vec_load(gy + lane);

        for (int h = 0; h < window.height; h++) {
            for (int w = 0; w < window.width; w++) {
                ptrdiff_t at = h * window.line + w * LANES + lane;
                vec part = vec_where_equal(vec_load(x + at), best, rest);

                vec_store(gx + at, vec_add(vec_load(gx + at), part));
                rest = vec_sub(rest, part);
            }
        }
    }
}

/* The straightforward way, for what vec_transpose does not take: less than 8 values, less than 8 samples. */
static void gather_rest(const float *x, size_t lanes, size_t size, size_t stride, size_t from, float *block)
{
    for (size_t d = from; d < size; d++) {
        for (size_t n = 0; n < lanes; n++)
            block[d * LANES + n] = x[n * stride + d];
        for (size_t n = lanes; n < LANES; n++)
            block[d * LANES + n] = 0;
    }
}

static void gather(const float *x, size_t N, size_t size, size_t stride, float *blocks)
{
    for (size_t n = 0; n < N; n += LANES) {
        float *block = blocks + n * size;
        size_t lanes = N - n < LANES ? N - n : LANES, d = 0;

        if (lanes == LANES)
            for (; d + 8 <= size; d += 8) {
                transpose8(x + n * stride + d, stride, block + d * LANES, LANES);
                transpose8(x + (n + 8) * stride + d, stride, block + d * LANES + 8, LANES);
            }
        gather_rest(x + n * stride, lanes, size, stride, d, block);
    }
}

static void scatter(const float *blocks, size_t N, size_t size, size_t stride, float *x)
{
    for (size_t n = 0; n < N; n += LANES) {
        const float *block = blocks + n * size;
        size_t lanes = N - n < LANES ? N - n : LANES, d = 0;

        if (lanes == LANES)
            for (; d + 8 <= size; d += 8) {
                transpose8(block + d * LANES, LANES, x + n * stride + d, stride);
                transpose8(block + d * LANES + 8, LANES, x + (n + 8) * stride + d, stride);
            }
        for (; d < size; d++)
            for (size_t lane = 0; lane < lanes; lane++)
                x[(n + lane) * stride + d] = block[d * LANES + lane];
    }
}

/* Kingma & Ba 2015, as PyTorch arranges it. */
INLINE void adam_vec(const struct adam_step *s, float *p, const float *g, float *m, float *v, float *most)
{
    vec grad = vec_fma(vec_set1(s->weight_decay), vec_load(p), vec_load(g));
    vec mean = vec_fma(vec_set1(s->beta1), vec_load(m), vec_mul(vec_set1(s->rest1), grad));
    vec square = vec_fma(vec_set1(s->beta2), vec_load(v), vec_mul(vec_set1(s->rest2), vec_mul(grad, grad)));
    vec root;

    vec_store(m, mean);
    vec_store(v, square);
    if (most) {
        square = vec_max_nan(vec_load(most), square);
        vec_store(most, square);
    }
    root = vec_add(vec_mul(vec_sqrt(square), vec_set1(s->root_scale)), vec_set1(s->eps));
    vec_store(p, vec_sub(vec_load(p), vec_mul(vec_set1(s->step_size), vec_div(mean, root))));
}

static void adam(const struct adam_step *s, size_t n, float *p, const float *g, float *m, float *v, float *most)
{
    size_t i = 0;

    for (; i + VEC_LANES <= n; i += VEC_LANES)
        adam_vec(s, p + i, g + i, m + i, v + i, most ? most + i : NULL);
    if (i < n) {
        float rest[5][VEC_LANES] = {{0}};
        size_t bytes = (n - i) * sizeof(float);

        memcpy(rest[0], p + i, bytes);
        memcpy(rest[1], g + i, bytes);
        memcpy(rest[2], m + i, bytes);
        memcpy(rest[3], v + i, bytes);
        if (most)
            memcpy(rest[4], most + i, bytes);
        adam_vec(s, rest[0], rest[1], rest[2], rest[3], most ? rest[4] : NULL);
        memcpy(p + i, rest[0], bytes);
        memcpy(m + i, rest[2], bytes);
        memcpy(v + i, rest[3], bytes);
        if (most)
            memcpy(most + i, rest[4], bytes);
    }
}

/* Sutskever et al. 2013, as PyTorch arranges it. `buffer` is NULL without momentum. */
INLINE void sgd_vec(const struct sgd_step *s, float *p, const float *g, float *buffer)
{
    vec grad = vec_fma(vec_set1(s->weight_decay), vec_load(p), vec_load(g));

    if (buffer) {
        vec speed = grad;

        if (!s->first)
            speed = vec_fma(vec_set1(s->momentum), vec_load(buffer), vec_mul(vec_set1(1 - s->dampening), grad));
        vec_store(buffer, speed);
        grad = s->nesterov ? vec_fma(vec_set1(s->momentum), speed, grad) : speed;
    }
    vec_store(p, vec_fma(vec_set1(-s->lr), grad, vec_load(p)));
}

static void sgd(const struct sgd_step *s, size_t n, float *p, const float *g, float *buffer)
{
    size_t i = 0;

    for (; i + VEC_LANES <= n; i += VEC_LANES)
        sgd_vec(s, p + i, g + i, buffer ? buffer + i : NULL);
    if (i < n) {
        float rest[3][VEC_LANES] = {{0}};
        size_t bytes = (n - i) * sizeof(float);

        memcpy(rest[0], p + i, bytes);
        memcpy(rest[1], g + i, bytes);
        if (buffer)
            memcpy(rest[2], buffer + i, bytes);
        sgd_vec(s, rest[0], rest[1], buffer ? rest[2] : NULL);
        memcpy(p + i, rest[0], bytes);
        if (buffer)
            memcpy(buffer + i, rest[2], bytes);
    }
}

#include "nn/kernels/cells_body.h"
#include "nn/kernels/norm_body.h"
#include "nn/kernels/pointwise_body.h"

const struct kernels KERNELS = {
    .name = KERNELS_NAME,
    .max_rows = MAX_ROWS,
    .product_table = &tiles_table,
    .product_step = &tiles_step,
    .product_rows = &tiles_rows,
    .correlation = &tiles_correlation,
    .sum = sum,
    .sum_lanes = sum_lanes,
    .relu = relu,
    .relu_backward = relu_backward,
    .pool_max = pool_max,
    .pool_max_backward = pool_max_backward,
    .gather = gather,
    .scatter = scatter,
    .cells = &cells,
    .turn = turn,
    .pool_mean = pool_mean,
    .pool_mean_backward = pool_mean_backward,
    .lane_sums = lane_sums,
    .lane_squares = lane_squares,
    .lane_products = lane_products,
    .affine = affine,
    .affine_backward = affine_backward,
    .normalize = normalize,
    .normalize_sums = normalize_sums,
    .normalize_backward = normalize_backward,
    .activate = {activate_relu6, activate_leaky_relu, activate_gelu, activate_tanh, activate_sigmoid},
    .activate_backward = {activate_backward_relu6, activate_backward_leaky_relu, activate_backward_gelu,
                          activate_backward_tanh, activate_backward_sigmoid},
    .softmax = softmax,
    .softmax_backward = softmax_backward,
    .log_softmax = log_softmax,
    .log_softmax_backward = log_softmax_backward,
    .adam = adam,
    .sgd = sgd,
};
