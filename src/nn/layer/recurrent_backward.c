#include <string.h>

#include "nn/kernels/share.h"
#include "nn/layer/recurrent_run.h"

/* Weights [gates * H, D] as the vectors of a product over the slots along D: out [wide / LANES][gates * width][LANES].
 */
static void pack_rows(const struct state *s, const float *weights, int D, const int *slot, int first, float *out)
{
    int gates = s->kind->gates * s->width;

    memset(out, 0, rounded((size_t)D) * (size_t)gates * sizeof *out);
    for (int g = 0; g < s->kind->gates; g++)
        for (int h = 0; h < s->H; h++) {
            const float *from = weights + ((ptrdiff_t)g * s->H + h) * D;
            float *to = out + (ptrdiff_t)((slot[g] - first) * s->width + h) * LANES;

            for (int d = 0; d < D; d += LANES, to += (ptrdiff_t)gates * LANES)
                memcpy(to, from + d, (size_t)(D - d < LANES ? D - d : LANES) * sizeof *to);
        }
}

/* Gradients of the hidden states that the layer gave, [N, T + 1, width]; 0 where it gave none. */
static void output_gradient(const struct run *run, float *flat, float *dh)
{
    size_t H = (size_t)run->s->H, width = (size_t)run->s->width, T = run->T1 - 1;
    size_t steps = run->args->returned ? T : 1;

    memset(dh, 0, run->N * run->T1 * width * sizeof *dh);
    run->pass->kernels->scatter(run->pass->gy, run->N, steps * H, steps * H, flat);
    for (size_t n = 0; n < run->N; n++)
        for (size_t t = 0; t < steps; t++)
            memcpy(dh + (n * run->T1 + run->T1 - steps + t) * width, flat + (n * steps + t) * H, H * sizeof *dh);
}

/* One step back: dh [N, T + 1, width] of step t is complete; adds to that of step t - 1. */
static void backward_step(const struct run *run, int l, size_t t, const float *packed, float *dh, float *dc)
{
    const struct state *s = run->s;
    size_t width = (size_t)s->width;

    for (size_t n = 0; n < run->N; n++) {
        size_t row = n * run->T1 + t;
        struct cell cell = recurrent_cell_at(run, l, row);

        cell.dh = dh + row * width;
        cell.dc = dc + n * width;
        recurrent_cell(run, &cell, true);
        for (size_t k = 0; k < width && s->kind == &recurrent_gru; k++)
            dh[(row - 1) * width + k] += dh[row * width + k];
    }
    recurrent_multiply(
        run,
        (struct product){.a = run->saved + run->levels[l].gates + t * (size_t)s->row + s->kind->first_hidden * s->width,
                         .a_row = (ptrdiff_t)run->T1 * s->row,
                         .b = packed,
                         .c = dh + (t - 1) * width,
                         .c_row = (ptrdiff_t)(run->T1 * width),
                         .length = s->kind->gates * s->width,
                         .accumulate = true},
        run->N, s->width / LANES);
}

/* dW [gates * H, D] over all rows: gates of row r + 1 with row r of `from`. */
static void weight_gradient(const struct run *run, const struct level *level, const int *slot, const float *from, int D,
                            float *dw, float *edge)
{
    const struct state *s = run->s;
    const struct kernels *kernels = run->pass->kernels;
    int whole = D / LANES, rest = D % LANES;

    for (int g = 0; g < s->kind->gates; g++) {
        struct product product = {
            .a = run->saved + level->gates + s->row + slot[g] * s->width,
            .a_row = 1,
            .a_step = s->row,
            .b = from,
            .b_col = LANES,
            .b_step = D,
            .c = dw + (ptrdiff_t)g * s->H * D,
            .c_row = D,
            .c_col = LANES,
            .length = (int)(run->N * run->T1) - 1,
        };
        float *columns = product.c + (ptrdiff_t)whole * LANES;

        if (whole > 0)
            product_share(run->pass->team, kernels->product_step, tiling_choose(kernels, s->H, whole), &product);
        if (rest == 0)
            continue;
        product.b += (ptrdiff_t)whole * LANES;
        product.c = edge;
        product.c_row = LANES;
        product_share(run->pass->team, kernels->product_step, tiling_choose(kernels, s->H, 1), &product);
        for (int h = 0; h < s->H; h++)
            memcpy(columns + (ptrdiff_t)h * D, edge + (ptrdiff_t)h * LANES, (size_t)rest * sizeof *edge);
    }
}

/* The sum of all rows, a product with ones; `sums` holds a row. */
static void bias_gradients(const struct run *run, const struct level *level, float *db_ih, float *db_hh, float *sums)
{
    static const float one = 1;
    const struct state *s = run->s;
    const struct kernels *kernels = run->pass->kernels;
    size_t H = (size_t)s->H;
    struct product product = {
        .a = &one,
        .b = run->saved + level->gates,
        .b_col = LANES,
        .b_step = s->row,
        .c = sums,
        .c_col = LANES,
        .length = (int)(run->N * run->T1),
    };

    product_share(run->pass->team, kernels->product_step, tiling_choose(kernels, 1, s->kind->slots * s->width / LANES),
                  &product);
    for (int g = 0; g < s->kind->gates; g++) {
        memcpy(db_ih + (size_t)g * H, sums + s->kind->input_slot[g] * s->width, H * sizeof *sums);
        memcpy(db_hh + (size_t)g * H, sums + s->kind->hidden_slot[g] * s->width, H * sizeof *sums);
    }
}

static void parameter_gradients(const struct run *run, int l, float *edge)
{
    const struct level *level = &run->levels[l];
    const struct recurrent_kind *kind = run->s->kind;
    const size_t *tensors = run->layer->tensors + (size_t)l * TENSORS;
    float *grads = run->pass->grads;

    for (size_t n = 0; n < run->N; n++) /* row 0 is no step */
        memset(run->saved + level->gates + n * run->T1 * (size_t)run->s->row, 0, (size_t)run->s->row * sizeof(float));
    weight_gradient(run, level, kind->input_slot, run->saved + level->x + level->D, level->D,
                    grads + tensors[WEIGHT_IH], edge);
    weight_gradient(run, level, kind->hidden_slot, run->saved + level->h, run->s->H, grads + tensors[WEIGHT_HH], edge);
    bias_gradients(run, level, grads + tensors[BIAS_IH], grads + tensors[BIAS_HH], edge + (size_t)run->s->H * LANES);
}

/* dx [N, T + 1, padded] = gates times weights, over all rows. */
static void input_gradient(const struct run *run, int l, const float *packed, float *dx)
{
    const struct level *level = &run->levels[l];
    size_t n = run->N * run->T1 * (size_t)run->s->width;

    recurrent_multiply(run,
                       (struct product){.a = run->saved + level->gates,
                                        .a_row = run->s->row,
                                        .b = packed,
                                        .c = dx,
                                        .c_row = level->padded,
                                        .length = run->s->kind->gates * run->s->width},
                       run->N * run->T1, level->padded / LANES);
    if (l == 0 || run->args->dropout == 0)
        return;
    for (size_t i = 0; i < n; i++) {
        size_t row = i / (size_t)run->s->width, k = i % (size_t)run->s->width;

        dx[i] *= k < (size_t)run->s->H ? run->saved[level->mask + row * (size_t)run->s->H + k] : 0;
    }
}

/* dx [N, T + 1, padded] of the first layer to the blocks of gx. */
static void give_gradient(const struct run *run, float *dx)
{
    size_t D = (size_t)run->levels[0].D, padded = (size_t)run->levels[0].padded, T = run->T1 - 1;

    for (size_t n = 0; n < run->N; n++)
        for (size_t t = 0; t < T; t++)
            memmove(dx + (n * T + t) * D, dx + (n * run->T1 + t + 1) * padded, D * sizeof *dx);
    run->pass->kernels->gather(dx, run->N, T * D, T * D, run->pass->gx);
}

void recurrent_backward(const struct layer *layer, const struct pass *pass)
{
    struct run run = recurrent_run_of(layer, pass);
    const struct state *s = run.s;
    size_t width = (size_t)s->width, rows = run.N * run.T1, gates = (size_t)s->kind->gates * width;
    size_t wide = width > (size_t)s->levels[0].padded ? width : (size_t)s->levels[0].padded;
    float *dh = pass->scratch, *dx = dh + rows * wide, *dc = dx + rows * wide, *edge = dc + run.N * width;
    float *packed = edge + (size_t)s->H * LANES + (size_t)(s->kind->slots * s->width);

    output_gradient(&run, dx, dh);
    for (int l = (int)run.args->layers - 1; l >= 0; l--) {
        const size_t *tensors = layer->tensors + (size_t)l * TENSORS;
        float *swap = dh;

        pack_rows(s, pass->params + tensors[WEIGHT_HH], s->H, s->kind->hidden_slot, s->kind->first_hidden, packed);
        memset(dc, 0, run.N * width * sizeof *dc);
        for (size_t t = run.T1 - 1; t > 0; t--)
            backward_step(&run, l, t, packed, dh, dc);
        parameter_gradients(&run, l, edge);
        if (l == 0 && !pass->gx)
            return;
        pack_rows(s, pass->params + tensors[WEIGHT_IH], s->levels[l].D, s->kind->input_slot, 0, packed + gates * width);
        input_gradient(&run, l, packed + gates * width, dx);
        dh = dx;
        dx = swap;
    }
    give_gradient(&run, dh);
}
