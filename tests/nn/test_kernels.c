/* Tiles and element-wise kernels of every set against plain loops. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/kernels/kernels.h"
#include "util/rng.h"
#include "vectors.h"

static const char *const sets[] = {"avx512", "avx2", "generic"};

enum { MAX_VALUES = 1 << 16 };

static void fill(float *values, size_t n, uint64_t seed)
{
    struct rng rng;

    rng_init(&rng, seed, "test", "kernels", 0);
    for (size_t i = 0; i < n; i++)
        values[i] = rng_uniform_between(&rng, -1, 1);
}

static void naive_product(const struct product *p, int rows, int cols)
{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++)
            for (int lane = 0; lane < LANES; lane++) {
                float *c = &p->c[i * p->c_row + j * p->c_col + lane];
                double sum = p->accumulate ? (double)*c : p->bias ? (double)p->bias[i] : 0;

                for (int r = 0; r < p->length; r++)
                    sum += (double)p->a[i * p->a_row + r * p->a_step] *
                           (double)p->b[j * p->b_col + (p->b_offsets ? p->b_offsets[r] : r * p->b_step) + lane];
                *c = (float)sum;
            }
}

static void check_product(const product_tiles *tiles, struct product p, int rows, int cols)
{
    static float expected[MAX_VALUES], found[MAX_VALUES];
    size_t size = (size_t)(rows * p.c_row);

    fill(expected, size, 3);
    memcpy(found, expected, size * sizeof *found);
    p.c = expected;
    naive_product(&p, rows, cols);
    p.c = found;
    (*tiles)[rows][cols](&p);
    assert_close("c", found, expected, size, 1e-5);
}

static void check_product_kinds(const struct kernels *kernels, int rows, int cols)
{
    static float a[MAX_VALUES], b[MAX_VALUES], bias[TILE_MAX_ROWS];
    static const int32_t offsets[11] = {0, 48, 16, 320, 1600, 32, 64, 800, 96, 112, 1584};
    struct product p = {.a = a,
                        .b = b,
                        .a_row = 1,
                        .a_step = rows + 2,
                        .b_col = 32,
                        .b_step = 208,
                        .c_col = 48,
                        .c_row = 48 * TILE_MAX_COLS,
                        .length = 11,
                        .bias = bias};

    fill(a, MAX_VALUES, 1);
    fill(b, MAX_VALUES, 2);
    fill(bias, TILE_MAX_ROWS, 4);
    check_product(kernels->product_step, p, rows, cols);
    p.accumulate = true;
    check_product(kernels->product_step, p, rows, cols);
    p.b_offsets = offsets;
    check_product(kernels->product_table, p, rows, cols);
    p.b_offsets = NULL;
    p.accumulate = false;
    p.bias = NULL;
    p.a_row = 37;
    p.a_step = 1;
    check_product(kernels->product_rows, p, rows, cols);
}

static void check_correlation(const struct kernels *kernels, int rows, int cols)
{
    static float a[MAX_VALUES], b[MAX_VALUES];
    static const int32_t cols_at[TILE_MAX_COLS] = {0, 16, 48, 320, 336, 400};
    static const int32_t offsets[11] = {0, 32, 64, 1600, 16, 480, 496, 512, 800, 832, 48};
    float expected[TILE_MAX_ROWS * 8 * LANES], found[TILE_MAX_ROWS * 8 * LANES];
    struct correlation c = {.a = a,
                            .b = b,
                            .d = found,
                            .b_cols = cols_at,
                            .b_offsets = offsets,
                            .a_row = 16 * 12,
                            .d_row = 8 * LANES,
                            .length = 11,
                            .accumulate = true};

    fill(a, MAX_VALUES, 5);
    fill(b, MAX_VALUES, 6);
    fill(expected, sizeof expected / sizeof *expected, 7);
    memcpy(found, expected, sizeof found);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++)
            for (int at = 0; at < 11 * LANES; at++)
                expected[(i * 8 + j) * LANES + at % LANES] +=
                    a[i * c.a_row + at] * b[cols_at[j] + offsets[at / LANES] + at % LANES];
    (*kernels->correlation)[rows][cols](&c);
    assert_close("d", found, expected, (size_t)rows * 8 * LANES, 1e-5);
}

Test(kernels, every_tile_of_every_set_is_the_plain_loop)
{
    for (size_t set = 0; set < 3; set++) {
        const struct kernels *kernels;

        setenv("FLOSIM_KERNELS", sets[set], 1);
        kernels = kernels_best();
        for (int cols = 1; cols <= TILE_MAX_COLS; cols++) {
            cr_assert_geq(kernels->max_rows[cols], 1);
            for (int rows = 1; rows <= kernels->max_rows[cols]; rows++) {
                check_product_kinds(kernels, rows, cols);
                check_correlation(kernels, rows, cols);
            }
        }
    }
}

Test(kernels, the_generic_set_can_always_be_asked_for)
{
    setenv("FLOSIM_KERNELS", "generic", 1);
    cr_assert_eq(kernels_best(), &kernels_generic);
    setenv("FLOSIM_KERNELS", "abacus", 1);
    cr_assert_not_null(kernels_best());
}

Test(kernels, tilings_cover_everything_with_tiles_that_exist)
{
    for (size_t set = 0; set < 3; set++) {
        const struct kernels *kernels;

        setenv("FLOSIM_KERNELS", sets[set], 1);
        kernels = kernels_best();
        for (int rows = 1; rows < 70; rows++)
            for (int cols = 1; cols < 40; cols++) {
                struct tiling t = tiling_choose(kernels, rows, cols);
                int height = (rows + t.row_tiles - 1) / t.row_tiles, width = (cols + t.col_tiles - 1) / t.col_tiles;

                cr_assert_eq(t.rows, rows);
                cr_assert_eq(t.cols, cols);
                cr_assert(width <= TILE_MAX_COLS && height <= kernels->max_rows[width],
                          "%d x %d: no tile of %d x %d in %s", rows, cols, height, width, kernels->name);
            }
    }
}

Test(kernels, batches_turn_into_blocks_and_back)
{
    static const size_t sizes[][3] = {{1, 1, 1}, {16, 8, 8}, {16, 8, 11}, {33, 19, 20}, {40, 9, 9}, {7, 30, 30}};

    for (size_t set = 0; set < 3; set++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            size_t N = sizes[i][0], size = sizes[i][1], stride = sizes[i][2], blocks = (N + LANES - 1) / LANES;
            float *x = malloc(N * stride * sizeof *x), *back = malloc(N * stride * sizeof *back);
            float *block = malloc(blocks * size * LANES * sizeof *block);
            const struct kernels *kernels;

            setenv("FLOSIM_KERNELS", sets[set], 1);
            kernels = kernels_best();
            fill(x, N * stride, 1);
            memcpy(back, x, N * stride * sizeof *x);
            kernels->gather(x, N, size, stride, block);
            for (size_t n = 0; n < blocks * LANES; n++)
                for (size_t d = 0; d < size; d++)
                    cr_assert_eq(block[((n / LANES) * size + d) * LANES + n % LANES], n < N ? x[n * stride + d] : 0);
            for (size_t n = 0; n < N; n++)
                memset(back + n * stride, 0, size * sizeof *back);
            kernels->scatter(block, N, size, stride, back);
            cr_assert_arr_eq(back, x, N * stride * sizeof *x);
            free(x), free(back), free(block);
        }
}

/* The lower tail counts: its values are small, but in proportion as right as the others. */
Test(kernels, gelu_is_right_in_its_tails)
{
    enum { POINTS = 12 * 256 + LANES };
    static float x[POINTS], y[POINTS], ones[POINTS], slopes[POINTS];

    for (int i = 0; i < POINTS; i++) {
        x[i] = (float)(i - 6 * 256) / 256;
        ones[i] = 1;
    }
    for (size_t set = 0; set < 3; set++) {
        setenv("FLOSIM_KERNELS", sets[set], 1);
        kernels_best()->activate[ACTIVATION_GELU](x, 0, POINTS, y);
        kernels_best()->activate_backward[ACTIVATION_GELU](x, ones, 0, POINTS, slopes);
        for (int i = 0; i < POINTS; i++) {
            double at = (double)x[i], cdf = 0.5 * erfc(-at * sqrt(0.5)), density = exp(-at * at / 2) * 0.3989422804;

            cr_assert_float_eq((double)y[i], at * cdf, 2e-6 * fabs(at * cdf), "%s: gelu(%g) = %g, not %g", sets[set],
                               at, (double)y[i], at * cdf);
            cr_assert_float_eq((double)slopes[i], cdf + at * density, 2e-6 * (cdf + fabs(at * density)),
                               "%s: the slope at %g is %g, not %g", sets[set], at, (double)slopes[i],
                               cdf + at * density);
        }
    }
}

/* Spans of one channel and of several, with whole rounds of the unrolled loops and without. */
static const struct {
    size_t channels, run;
} spans_tried[] = {{1, 1}, {1, 7}, {5, 1}, {3, 16}, {2, 49}, {130, 1}};

enum { SPAN_MAX = 130 };

struct normalisation {
    float x[SPAN_MAX * LANES], gy[SPAN_MAX * LANES], weight[SPAN_MAX], bias[SPAN_MAX];
    float mean[LANES], scale[LANES], b[LANES], c[LANES];
    struct norm_span span;
};

static void make_normalisation(struct normalisation *n, size_t channels, size_t run, bool affine)
{
    float *const all[] = {n->x, n->gy, n->weight, n->bias, n->mean, n->scale, n->b, n->c};
    const size_t sizes[] = {SPAN_MAX * LANES, SPAN_MAX * LANES, SPAN_MAX, SPAN_MAX, LANES, LANES, LANES, LANES};

    for (size_t i = 0; i < 8; i++)
        fill(all[i], sizes[i], 10 + i);
    n->span = (struct norm_span){.x = n->x,
                                 .mean = n->mean,
                                 .scale = n->scale,
                                 .weight = affine ? n->weight : NULL,
                                 .bias = affine ? n->bias : NULL,
                                 .channels = channels,
                                 .run = run};
}

/* The sums of a batch norm; what was in `sums` stays in them. */
static void check_lanes(const struct kernels *kernels, const struct normalisation *n)
{
    size_t num_vectors = n->span.channels * n->span.run;
    float expected[4 * LANES], found[4 * LANES];

    fill(expected, 4 * LANES, 20);
    memcpy(found, expected, sizeof found);
    for (size_t i = 0; i < num_vectors * LANES; i++) {
        size_t k = i % LANES;
        float d = n->x[i] - n->mean[k];

        expected[k] += n->x[i];
        expected[LANES + k] += d * d;
        expected[2 * LANES + k] += n->gy[i];
        expected[3 * LANES + k] += n->gy[i] * d;
    }
    kernels->lane_sums(n->x, num_vectors, found);
    kernels->lane_squares(n->x, n->mean, num_vectors, found + LANES);
    kernels->lane_products(n->gy, n->x, n->mean, num_vectors, found + (size_t)2 * LANES);
    assert_close("sums", found, expected, (size_t)4 * LANES, 1e-5);
}

static void check_sweeps(const struct kernels *kernels, const struct normalisation *n)
{
    static float expected[2][SPAN_MAX * LANES], found[2][SPAN_MAX * LANES];
    const struct norm_span *s = &n->span;
    size_t size = s->channels * s->run * LANES;

    for (size_t i = 0; i < size; i++) {
        size_t k = i % LANES, c = i / LANES / s->run;
        float weight = s->weight ? s->weight[c] : 1, d = s->x[i] - s->mean[k];

        expected[0][i] = d * s->scale[k] * weight + (s->bias ? s->bias[c] : 0);
        expected[1][i] = s->scale[k] * weight * n->gy[i] + n->b[k] * d + n->c[k];
    }
    kernels->normalize(s, found[0]);
    kernels->normalize_backward(s, n->gy, n->b, n->c, found[1]);
    assert_close("y", found[0], expected[0], size, 1e-5);
    assert_close("gx", found[1], expected[1], size, 1e-5);
}

static void check_normalize_sums(const struct kernels *kernels, const struct normalisation *n)
{
    const struct norm_span *s = &n->span;
    float expected[2 * LANES] = {0}, found[2 * LANES], grads[2][2][SPAN_MAX];

    for (size_t i = 0; i < 2; i++) {
        fill(grads[0][i], SPAN_MAX, 30 + i);
        memcpy(grads[1][i], grads[0][i], sizeof grads[1][i]);
    }
    for (size_t i = 0; i < s->channels * s->run * LANES; i++) {
        size_t k = i % LANES, c = i / LANES / s->run;
        float weight = s->weight ? s->weight[c] : 1, times = n->gy[i] * (s->x[i] - s->mean[k]) * s->scale[k];

        expected[k] += weight * n->gy[i];
        expected[LANES + k] += weight * times;
        grads[0][0][c] += s->weight ? times : 0;
        grads[0][1][c] += s->weight ? n->gy[i] : 0;
    }
    kernels->normalize_sums(s, n->gy, found, s->weight ? grads[1][0] : NULL, s->weight ? grads[1][1] : NULL);
    assert_close("sums", found, expected, (size_t)2 * LANES, 1e-5);
    assert_close("dw", grads[1][0], grads[0][0], SPAN_MAX, 1e-5);
    assert_close("db", grads[1][1], grads[0][1], SPAN_MAX, 1e-5);
}

Test(kernels, normalisations_are_the_plain_loops)
{
    static struct normalisation n;

    for (size_t set = 0; set < 3; set++) {
        setenv("FLOSIM_KERNELS", sets[set], 1);
        for (size_t i = 0; i < 2 * sizeof spans_tried / sizeof *spans_tried; i++) {
            make_normalisation(&n, spans_tried[i / 2].channels, spans_tried[i / 2].run, i % 2);
            check_lanes(kernels_best(), &n);
            check_sweeps(kernels_best(), &n);
            check_normalize_sums(kernels_best(), &n);
        }
    }
}
