/* y = W x + b, W [O, D], of every row of D values: an input [T, D] is only T times as many columns. Three products of
 * the same tile kernel; the gradient of W takes x and gy row by row. */
#include <stdlib.h>

#include "nn/kernels/share.h"
#include "nn/layer/members.h"

struct args {
    int64_t out;
    bool bias;
    int bias_init;
};

enum { BIAS_UNIFORM, BIAS_ZERO };
static const char *const bias_init_names[] = {"uniform", "zero", NULL};

enum { ROWS_AT_A_TIME = 512 };

struct state {
    int D, O;
    int rows;   /* rows of D values in a sample */
    int padded; /* D up to a multiple of LANES */
};

// clang-format off
static const struct param rows[] = {
    {.name = "out", .alias = "out_features", .type = PARAM_INT, .offset = offsetof(struct args, out), .min = 1, .max = 1 << 24,
     .flags = PARAM_REQUIRED, .help = "Number of outputs."},
    {.name = "bias", .type = PARAM_BOOL, .offset = offsetof(struct args, bias), .fallback = "true",
     .help = "Add a learned value to each output."},
    {.name = "bias_init", .type = PARAM_CHOICE, .offset = offsetof(struct args, bias_init), .fallback = "uniform",
     .choices = bias_init_names, .help = "How these begin: as PyTorch's, U(+-1/sqrt(in)), or all zero."},
};
// clang-format on

static const struct param_table params = {
    .name = "linear",
    .help = "Every output is a weighted sum of all inputs; of [T, D], of the D inputs of each step.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static int build(struct layer *layer, struct layer_builder *builder)
{
    const struct args *args = layer->args;
    struct state *state = layer->state = calloc(1, sizeof *state);
    int last = layer->in.num_dims - 1, status;

    if (!state)
        return layer_error(layer, builder, "out of memory");
    if (last > 1)
        return layer_expect_dims(layer, builder, 1, "[D] or [T, D] (flatten images first)");
    state->D = (int)layer->in.dims[last];
    state->O = (int)args->out;
    state->rows = (int)(layer->in_size / (size_t)state->D);
    state->padded = (state->D + LANES - 1) / LANES * LANES;
    layer->out = layer->in;
    layer->out.dims[last] = args->out;
    status = layer_add_tensor(layer, builder, "weight", 2, (int64_t[]){args->out, state->D});
    if (status == OK && args->bias)
        status = layer_add_tensor(layer, builder, "bias", 1, &args->out);
    return status;
}

static void fini(struct layer *layer)
{
    free(layer->state);
}

static void plan(const struct layer *layer, int num_blocks, struct layer_needs *needs)
{
    const struct state *s = layer->state;
    size_t n_rows = (size_t)num_blocks * LANES * (size_t)s->rows;

    needs->x = true;
    /* x and gy row by row, and one column of tiles of the gradient where D is no multiple of LANES. */
    needs->backward_scratch = n_rows * (size_t)(s->padded + s->O) + (size_t)s->O * LANES;
}

static void forward(const struct layer *layer, const struct pass *pass)
{
    const struct state *s = layer->state;
    const struct args *args = layer->args;
    struct product product = {
        .a = pass->params + layer->tensors[0],
        .a_row = s->D,
        .a_step = 1,
        .b = pass->x,
        .b_col = (ptrdiff_t)s->D * LANES,
        .b_step = LANES,
        .c = pass->y,
        .c_row = LANES,
        .c_col = (ptrdiff_t)s->O * LANES,
        .length = s->D,
        .bias = args->bias ? pass->params + layer->tensors[1] : NULL,
    };

    product_share(pass->team, pass->kernels->product_rows,
                  tiling_choose(pass->kernels, s->O, pass->num_blocks * s->rows), &product);
}

static void input_gradient(const struct layer *layer, const struct pass *pass)
{
    const struct state *s = layer->state;
    struct product product = {
        .a_row = 1,
        .a_step = s->D,
        .b_col = (ptrdiff_t)s->O * LANES,
        .b_step = LANES,
        .c = pass->gx,
        .c_row = LANES,
        .c_col = (ptrdiff_t)s->D * LANES,
    };

    /* Some rows of the weights at a time, so that the part in hand stays in the second-level cache. */
    for (int o = 0; o < s->O; o += ROWS_AT_A_TIME) {
        product.a = pass->params + layer->tensors[0] + (ptrdiff_t)o * s->D;
        product.b = pass->gy + (ptrdiff_t)o * LANES;
        product.length = s->O - o < ROWS_AT_A_TIME ? s->O - o : ROWS_AT_A_TIME;
        product.accumulate = o > 0;
        product_share(pass->team, pass->kernels->product_step,
                      tiling_choose(pass->kernels, s->D, pass->num_blocks * s->rows), &product);
    }
}

/* dW [O, D] = gy^T x over all rows: vectors run along D. The last D % LANES columns go through `edge` [O, LANES]. */
static void weight_gradient(const struct layer *layer, const struct pass *pass, const float *x, const float *gy,
                            float *edge)
{
    const struct state *s = layer->state;
    int whole = s->D / LANES, rest = s->D % LANES;
    float *dw = pass->grads + layer->tensors[0];
    struct product product = {
        .a = gy,
        .a_row = 1,
        .a_step = s->O,
        .b = x,
        .b_col = LANES,
        .b_step = s->padded,
        .c = dw,
        .c_row = s->D,
        .c_col = LANES,
        .length = pass->num_blocks * s->rows * LANES,
    };

    if (whole > 0)
        product_share(pass->team, pass->kernels->product_step, tiling_choose(pass->kernels, s->O, whole), &product);
    if (rest == 0)
        return;
    product.b += (ptrdiff_t)whole * LANES;
    product.c = edge;
    product.c_row = LANES;
    product_share(pass->team, pass->kernels->product_step, tiling_choose(pass->kernels, s->O, 1), &product);
    for (int o = 0; o < s->O; o++)
        for (int i = 0; i < rest; i++)
            dw[(ptrdiff_t)o * s->D + whole * LANES + i] = edge[o * LANES + i];
}

static void backward(const struct layer *layer, const struct pass *pass)
{
    const struct state *s = layer->state;
    const struct args *args = layer->args;
    size_t n_rows = (size_t)(pass->num_blocks * s->rows) * LANES, padded = (size_t)s->padded, O = (size_t)s->O;
    float *x = pass->scratch, *gy = x + n_rows * padded, *edge = gy + n_rows * O;

    pass->kernels->scatter(pass->x, n_rows, (size_t)s->D, padded, x);
    for (size_t n = 0; n < n_rows && s->padded != s->D; n++)
        for (int d = s->D; d < s->padded; d++)
            x[n * padded + (size_t)d] = 0;
    pass->kernels->scatter(pass->gy, n_rows, O, O, gy);
    weight_gradient(layer, pass, x, gy, edge);
    for (size_t row = 0; row < n_rows / LANES && args->bias; row++)
        pass->kernels->sum_lanes(pass->gy + row * O * LANES, O, row > 0, pass->grads + layer->tensors[1]);
    if (pass->gx)
        input_gradient(layer, pass);
}

static void init(const struct layer *layer, uint64_t seed, float *values)
{
    const struct args *args = layer->args;
    const struct state *s = layer->state;

    layer_init_uniform(layer, 0, "weight", (size_t)s->O * (size_t)s->D, (size_t)s->D, seed, values);
    if (args->bias && args->bias_init == BIAS_UNIFORM) /* else zeros, which are there already */
        layer_init_uniform(layer, 1, "bias", (size_t)s->O, (size_t)s->D, seed, values);
}

static double flops(const struct layer *layer, bool backwards, bool wants_gx)
{
    const struct state *s = layer->state;

    return 2.0 * s->D * s->O * s->rows * (backwards ? 1 + wants_gx : 1);
}

const struct layer_ops layer_linear = {
    .name = "linear",
    .params = &params,
    .build = build,
    .fini = fini,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .init = init,
    .flops = flops,
};
