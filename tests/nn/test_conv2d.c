/* The ways of a convolution, with every kernel set, against the seven loops that define it. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "nn/layer/conv2d.h"
#include "util/rng.h"
#include "vectors.h"

enum { BLOCKS = 2 };

static const int shapes[][10] = {
    /* C, H, W, O, kernel, stride, padding */
    {1, 28, 28, 6, 5, 5, 1, 1, 0, 0}, {6, 14, 14, 16, 5, 5, 1, 1, 0, 0}, {3, 27, 27, 4, 11, 11, 4, 4, 2, 2},
    {2, 7, 9, 13, 3, 2, 2, 3, 1, 0},  {300, 3, 3, 5, 1, 1, 1, 1, 0, 0},  {33, 4, 5, 26, 3, 3, 1, 1, 1, 1},
    {1, 1, 1, 1, 1, 1, 1, 1, 0, 0},   {2, 3, 3, 3, 3, 3, 1, 1, 2, 2},
};

struct convolution {
    struct conv2d_geometry g;
    size_t x_size, y_size, w_size; /* of one block, in floats; w of all */
    float *x, *w, *b, *y, *gy, *dw, *gx;
};

static float *random_floats(struct rng *rng, size_t n)
{
    float *values = malloc(n * sizeof *values);

    for (size_t i = 0; i < n; i++)
        values[i] = rng_uniform_between(rng, -1, 1);
    return values;
}

static void convolution_init(struct convolution *c, const int shape[10])
{
    struct rng rng;

    memset(c, 0, sizeof *c);
    c->g = (struct conv2d_geometry){.C = shape[0],
                                    .H = shape[1],
                                    .W = shape[2],
                                    .O = shape[3],
                                    .kernel = {shape[4], shape[5]},
                                    .stride = {shape[6], shape[7]},
                                    .padding = {shape[8], shape[9]}};
    cr_assert_eq(conv2d_geometry_init(&c->g, NULL), OK);
    c->x_size = (size_t)(c->g.C * c->g.H * c->g.W * LANES);
    c->y_size = (size_t)(c->g.O * c->g.out_height * c->g.out_width * LANES);
    c->w_size = (size_t)(c->g.O * c->g.K);
    rng_init(&rng, 3, "test", "conv", 0);
    c->x = random_floats(&rng, BLOCKS * c->x_size);
    c->w = random_floats(&rng, c->w_size);
    c->b = random_floats(&rng, (size_t)c->g.O);
    c->gy = random_floats(&rng, BLOCKS * c->y_size);
    c->y = calloc(BLOCKS * c->y_size, sizeof(float));
    c->dw = calloc(c->w_size, sizeof(float));
    c->gx = calloc(BLOCKS * c->x_size, sizeof(float));
}

static void convolution_fini(struct convolution *c)
{
    conv2d_geometry_fini(&c->g);
    free(c->x), free(c->w), free(c->b), free(c->y), free(c->gy), free(c->dw), free(c->gx);
}

/* The vector of pixel (c, h, w) of a block, or NULL in the padding. */
static ptrdiff_t pixel(const struct conv2d_geometry *g, int c, int h, int w)
{
    return h < 0 || w < 0 || h >= g->H || w >= g->W ? -1 : (((ptrdiff_t)c * g->H + h) * g->W + w) * LANES;
}

/* One output value and its gradients, tap by tap. */
static void naive_output(struct convolution *c, const float *x, const float *gy, float *y, float *gx, int o, int h,
                         int w)
{
    const struct conv2d_geometry *g = &c->g;
    ptrdiff_t out = (((ptrdiff_t)o * g->out_height + h) * g->out_width + w) * LANES;

    for (int lane = 0; lane < LANES; lane++) {
        float sum = c->b[o];

        for (int tap = 0; tap < g->K; tap++) {
            int area = g->kernel[0] * g->kernel[1], kh = tap % area / g->kernel[1], kw = tap % g->kernel[1];
            ptrdiff_t at =
                pixel(g, tap / area, h * g->stride[0] + kh - g->padding[0], w * g->stride[1] + kw - g->padding[1]);

            if (at < 0)
                continue;
            sum += c->w[o * g->K + tap] * x[at + lane];
            c->dw[o * g->K + tap] += gy[out + lane] * x[at + lane];
            gx[at + lane] += gy[out + lane] * c->w[o * g->K + tap];
        }
        y[out + lane] = sum;
    }
}

static void naive(struct convolution *c)
{
    for (size_t block = 0; block < BLOCKS; block++)
        for (int o = 0; o < c->g.O; o++)
            for (int h = 0; h < c->g.out_height; h++)
                for (int w = 0; w < c->g.out_width; w++)
                    naive_output(c, c->x + block * c->x_size, c->gy + block * c->y_size, c->y + block * c->y_size,
                                 c->gx + block * c->x_size, o, h, w);
}

static void check_way(const struct convolution *c, const struct conv2d_way *way, const struct kernels *kernels)
{
    /* Exact sizes: AddressSanitizer sees a step too far. */
    float *forward = malloc(way->forward_scratch(&c->g) * sizeof(float) + 1);
    float *backward = malloc(way->backward_scratch(&c->g) * sizeof(float) + 1);
    float *y = malloc(BLOCKS * c->y_size * sizeof *y), *gx = malloc(BLOCKS * c->x_size * sizeof *gx);
    float *dw = malloc(c->w_size * sizeof *dw);

    way->forward(&c->g, kernels, NULL, BLOCKS, c->x, c->w, c->b, y, forward);
    assert_close("y", y, c->y, BLOCKS * c->y_size, 1e-5);
    way->weight_gradient(&c->g, kernels, NULL, BLOCKS, c->x, c->gy, dw, backward);
    assert_close("dw", dw, c->dw, c->w_size, 1e-5);
    way->input_gradient(&c->g, kernels, NULL, BLOCKS, c->gy, c->w, gx, backward);
    assert_close("gx", gx, c->gx, BLOCKS * c->x_size, 1e-5);
    free(forward), free(backward), free(y), free(gx), free(dw);
}

Test(conv2d, both_ways_are_the_seven_loops)
{
    static const char *const sets[] = {"avx512", "avx2", "generic"};

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct convolution c;

        convolution_init(&c, shapes[i]);
        naive(&c);
        check_way(&c, &conv2d_gemm, &kernels_generic);
        for (size_t set = 0; set < 3; set++) {
            setenv("FLOSIM_KERNELS", sets[set], 1);
            check_way(&c, &conv2d_direct, kernels_best());
        }
        convolution_fini(&c);
    }
}

/* Turned around, its gradient would be an image of 16 x 4097 x 4097, beyond what the tables' offsets hold. */
Test(conv2d, a_kernel_of_wide_reach_spreads_its_gradient)
{
    struct conv2d_geometry g = {
        .C = 1, .H = 2049, .W = 2049, .O = 16, .kernel = {3, 3}, .stride = {1, 1}, .dilation = {1024, 1024}};

    cr_assert_eq(conv2d_geometry_init(&g, NULL), OK);
    cr_assert_eq(conv2d_direct.backward_scratch(&g), 16 * 9);
    conv2d_geometry_fini(&g);
}

Test(conv2d, what_does_not_fit_is_refused)
{
    struct conv2d_geometry g = {.C = 1, .H = 4, .W = 4, .O = 1, .kernel = {5, 3}, .stride = {1, 1}};
    struct error err = ERROR_INIT;

    cr_assert_eq(conv2d_geometry_init(&g, &err), ERR_INVALID);
    cr_assert(strstr(err.message, "5 x 3") && strstr(err.message, "[1, 4, 4]"), "%s", err.message);
}
