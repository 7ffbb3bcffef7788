/* Linear layers, with every kernel set, against the three loops that define them; also row by row over a sequence. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/rng.h"
#include "vectors.h"

static const char *const kernel_sets[] = {"avx512", "avx2", "generic"};

struct linear_case {
    const char *input;
    int T, D, O, N;
};

static const struct linear_case cases[] = {
    {"7", 1, 7, 5, 3},         {"784", 1, 784, 200, 32}, {"64", 1, 64, 17, 100},      {"5, 33", 5, 33, 12, 18},
    {"3, 48", 3, 48, 40, 5},   {"1, 1", 1, 1, 1, 1},     {"20, 16", 20, 16, 80, 10},  {"400", 1, 400, 130, 16},
    {"1030", 1, 1030, 90, 33}, {"2, 600", 2, 600, 7, 9}, {"1200", 1, 1200, 1100, 16},
};

static float *random_floats(struct rng *rng, size_t n)
{
    float *values = malloc(n * sizeof *values);

    for (size_t i = 0; i < n; i++)
        values[i] = rng_uniform_between(rng, -1, 1);
    return values;
}

/* Over R rows: y = x W^T + b; dw, db and gx from gy. */
static void naive(size_t R, size_t D, size_t O, const float *params, const float *x, const float *gy, float *y,
                  float *grads, float *gx)
{
    double *dw = calloc(O * D + O, sizeof *dw), *row = calloc(D, sizeof *row);

    for (size_t r = 0; r < R; r++) {
        for (size_t d = 0; d < D; d++)
            row[d] = 0;
        for (size_t o = 0; o < O; o++) {
            double sum = (double)params[O * D + o], g = (double)gy[r * O + o];

            for (size_t d = 0; d < D; d++) {
                sum += (double)params[o * D + d] * (double)x[r * D + d];
                dw[o * D + d] += g * (double)x[r * D + d];
                row[d] += g * (double)params[o * D + d];
            }
            dw[O * D + o] += g;
            y[r * O + o] = (float)sum;
        }
        for (size_t d = 0; d < D; d++)
            gx[r * D + d] = (float)row[d];
    }
    for (size_t i = 0; i < O * D + O; i++)
        grads[i] = (float)dw[i];
    free(dw), free(row);
}

static void check(const struct linear_case *c)
{
    size_t R = (size_t)(c->N * c->T), D = (size_t)c->D, O = (size_t)c->O, P = O * D + O;
    char text[256];
    struct model *model;
    struct workspace *ws;
    struct rng rng;
    float *params, *x, *gy, *y = malloc(R * O * sizeof *y), *grads = malloc(P * sizeof *grads);
    float *gx = malloc(R * D * sizeof *gx), *found = malloc(P * sizeof *found), *found_gx = malloc(R * D * sizeof *gx);

    snprintf(text, sizeof text, "input: [%s]\nlayers:\n  - l: {linear: {out: %d}}\n  - {flatten: {}}\n", c->input,
             c->O);
    model = model_from_text(text);
    rng_init(&rng, 5, "test", "linear", 0);
    params = random_floats(&rng, P);
    x = random_floats(&rng, R * D);
    gy = random_floats(&rng, R * O);
    naive(R, D, O, params, x, gy, y, grads, gx);
    cr_assert_eq(model_layout(model)->num_floats, P);
    cr_assert_eq(workspace_new(model, c->N, true, &ws, NULL), OK);
    assert_close("y", model_forward(model, ws, params, x, c->N, true, NULL), y, R * O, 1e-5);
    model_backward(model, ws, params, gy, found, found_gx);
    assert_close("dw", found, grads, O * D, 1e-5);
    assert_close("db", found + O * D, grads + O * D, O, 1e-5);
    assert_close("gx", found_gx, gx, R * D, 1e-5);
    workspace_free(ws);
    model_free(model);
    free(params), free(x), free(gy), free(y), free(grads), free(gx), free(found), free(found_gx);
}

Test(linear, is_what_the_loops_say)
{
    for (size_t set = 0; set < sizeof kernel_sets / sizeof *kernel_sets; set++) {
        setenv("FLOSIM_KERNELS", kernel_sets[set], 1);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            check(&cases[i]);
    }
}
