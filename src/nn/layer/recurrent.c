#include "nn/layer/recurrent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/kernels/share.h"

const char *const recurrent_returns[] = {"last", "all", NULL};

const struct recurrent_kind recurrent_lstm = {4, 4, {0, 1, 2, 3}, {0, 1, 2, 3}, 0, true};
const struct recurrent_kind recurrent_gru = {3, 4, {1, 2, 0}, {1, 2, 3}, 1, false};
const struct recurrent_kind recurrent_rnn = {1, 1, {0}, {0}, 0, false};

enum { WEIGHT_IH, WEIGHT_HH, BIAS_IH, BIAS_HH, TENSORS };

/* One layer of the stack: its places in `saved` and in the packed weights. */
struct level {
    int D, padded; /* inputs, and up to a multiple of LANES */
    size_t x;      /* [N, T + 1, D] inputs; below the first only with dropout */
    size_t gates;  /* [N, T + 1, row] */
    size_t h;      /* [N, T + 1, H] hidden states */
    size_t c;      /* [N, T + 1, width] cell states of lstm */
    size_t mask;   /* [N, T + 1, H] of dropout: 0 or 1 / (1 - p) */
};

struct state {
    const struct recurrent_kind *kind;
    int T, H, width; /* width: H up to a multiple of LANES */
    int row;         /* floats of one row of gates: a line more than its slots, so that rows do not share cache sets */
    struct level levels[RECURRENT_MAX_LAYERS];
};

/* Vectors are read past the end of a row, and so of the last one. */
enum { SLACK = 2 * LANES };

static size_t rounded(size_t n)
{
    return (n + LANES - 1) / LANES * LANES;
}

/* Places for `samples` samples; returns the floats of all. */
static size_t place(const struct layer *layer, size_t samples, struct level levels[RECURRENT_MAX_LAYERS])
{
    const struct state *s = layer->state;
    const struct recurrent_args *args = layer->args;
    size_t rows = samples * ((size_t)s->T + 1), at = 0;

    for (int l = 0; l < args->layers; l++) {
        struct level *level = &levels[l];
        bool own_x = l == 0 || args->dropout > 0;

        *level = s->levels[l];
        level->gates = at;
        at += rounded(rows * (size_t)s->row);
        level->h = at;
        at += rounded(rows * (size_t)s->H + SLACK);
        level->c = at;
        at += s->kind->has_cell_state ? rounded(rows * (size_t)s->width) : 0;
        level->x = own_x ? at : levels[l - 1].h;
        at += own_x ? rounded(rows * (size_t)level->D + SLACK) : 0;
        level->mask = at;
        at += l > 0 && own_x ? rounded(rows * (size_t)s->H) : 0;
    }
    return at;
}

static int add_tensors(struct layer *layer, struct layer_builder *builder, int l)
{
    static const char *const names[TENSORS] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
    const struct state *s = layer->state;
    int64_t rows = (int64_t)s->kind->gates * s->H;
    int status = OK;

    for (int i = 0; i < TENSORS && status == OK; i++) {
        int64_t dims[2] = {rows, i == WEIGHT_IH ? s->levels[l].D : s->H};
        char name[32];

        snprintf(name, sizeof name, "%s_l%d", names[i], l);
        status = layer_add_tensor(layer, builder, name, i < BIAS_IH ? 2 : 1, dims);
    }
    return status;
}

int recurrent_build(struct layer *layer, struct layer_builder *builder, const struct recurrent_kind *kind)
{
    const struct recurrent_args *args = layer->args;
    struct state *s = layer->state = calloc(1, sizeof *s);
    int status = layer_expect_dims(layer, builder, 2, "[T, D]");

    if (!s)
        return layer_error(layer, builder, "out of memory");
    if (status != OK)
        return status;
    s->kind = kind;
    s->T = (int)layer->in.dims[0];
    s->H = (int)args->hidden;
    s->width = (int)rounded((size_t)s->H);
    s->row = kind->slots * s->width + LANES;
    for (int l = 0; l < args->layers && status == OK; l++) {
        s->levels[l].D = l == 0 ? (int)layer->in.dims[1] : s->H;
        s->levels[l].padded = (int)rounded((size_t)s->levels[l].D);
        status = add_tensors(layer, builder, l);
    }
    layer->out.num_dims = args->returned ? 2 : 1;
    layer->out.dims[0] = args->returned ? s->T : s->H;
    layer->out.dims[1] = s->H;
    layer->carries = args->carry;
    return status;
}

void recurrent_fini(struct layer *layer)
{
    free(layer->state);
}

/* Scratch of forward: packed weights, bias, one step's hidden states; where nothing is saved, what would be. */
static size_t packed_forward(const struct state *s, int l)
{
    size_t slots = (size_t)(s->kind->slots * s->width);

    return slots * (size_t)(s->levels[l].D + s->H) + slots;
}

static size_t largest(const struct layer *layer, size_t (*of)(const struct state *, int))
{
    const struct recurrent_args *args = layer->args;
    size_t most = 0;

    for (int l = 0; l < args->layers; l++) {
        size_t size = of(layer->state, l);

        most = size > most ? size : most;
    }
    return most;
}

static size_t packed_backward(const struct state *s, int l)
{
    size_t gates = (size_t)(s->kind->gates * s->width), wide = (size_t)s->levels[l].padded;

    return gates * (wide + (size_t)s->width) + (size_t)s->H * LANES;
}

void recurrent_plan(const struct layer *layer, int num_blocks, struct layer_needs *needs)
{
    const struct state *s = layer->state;
    const struct recurrent_args *args = layer->args;
    struct level levels[RECURRENT_MAX_LAYERS];
    size_t samples = (size_t)num_blocks * LANES, rows = samples * ((size_t)s->T + 1), width = (size_t)s->width;
    size_t wide = width > (size_t)s->levels[0].padded ? width : (size_t)s->levels[0].padded;
    size_t saved = place(layer, samples, levels);

    needs->saved = saved / (size_t)num_blocks + LANES;
    needs->forward_scratch = rounded(largest(layer, packed_forward) + width) + saved;
    needs->backward_scratch = largest(layer, packed_backward) + 2 * rows * wide + samples * width;
    if (args->carry)
        needs->carried = (size_t)(args->layers * (1 + s->kind->has_cell_state)) * width * LANES;
}

/* Weights [gates * H, D] as the vectors of a product over D along the slots: out [slots * width / LANES][D][LANES]. */
static void pack_columns(const struct state *s, const float *weights, int D, const int *slot, int first, float *out)
{
    memset(out, 0, (size_t)(s->kind->gates * s->width) * (size_t)D * sizeof *out);
    for (int g = 0; g < s->kind->gates; g++)
        for (int h = 0; h < s->H; h++) {
            int at = (slot[g] - first) * s->width + h;
            float *column = out + (ptrdiff_t)(at / LANES) * D * LANES + at % LANES;

            for (int d = 0; d < D; d++)
                column[(ptrdiff_t)d * LANES] = weights[((ptrdiff_t)g * s->H + h) * D + d];
        }
}

/* The same as vectors of a product over the slots along D: out [wide / LANES][gates * width][LANES]. */
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

/* One call's view. */
struct run {
    const struct layer *layer;
    const struct pass *pass;
    const struct state *s;
    const struct recurrent_args *args;
    float *saved;
    float *carried; /* [N][layers][1 or 2][width]; NULL: states begin at zero */
    size_t N, T1;   /* samples, and rows of each */
    struct level levels[RECURRENT_MAX_LAYERS];
};

static struct run run_of(const struct layer *layer, const struct pass *pass)
{
    const struct state *s = layer->state;
    struct run run = {
        .layer = layer,
        .pass = pass,
        .s = s,
        .args = layer->args,
        .saved = pass->saved,
        .carried = pass->carried,
        .N = (size_t)pass->N,
        .T1 = (size_t)s->T + 1,
    };

    place(layer, run.N, run.levels);
    return run;
}

/* C [rows][cols * LANES] += A [rows][length] * B, over rows of gates. */
static void multiply(const struct run *run, struct product product, size_t rows, int cols)
{
    const struct kernels *kernels = run->pass->kernels;

    product.a_step = 1;
    product.b_col = (ptrdiff_t)product.length * LANES;
    product.b_step = LANES;
    product.c_col = LANES;
    product_share(run->pass->team, kernels->product_rows, tiling_choose(kernels, (int)rows, cols), &product);
}

/* Every row of gates begins as the bias; the input's product over all rows comes on top. */
static void input_products(const struct run *run, int l, const float *packed, float *bias)
{
    const struct state *s = run->s;
    const struct level *level = &run->levels[l];
    const float *params = run->pass->params;
    size_t slots = (size_t)(s->kind->slots * s->width);
    float *gates = run->saved + level->gates;

    memset(bias, 0, slots * sizeof *bias);
    for (int g = 0; g < s->kind->gates; g++)
        for (int h = 0; h < s->H; h++) {
            bias[s->kind->input_slot[g] * s->width + h] +=
                params[run->layer->tensors[l * TENSORS + BIAS_IH] + (size_t)(g * s->H + h)];
            bias[s->kind->hidden_slot[g] * s->width + h] +=
                params[run->layer->tensors[l * TENSORS + BIAS_HH] + (size_t)(g * s->H + h)];
        }
    for (size_t r = 0; r < run->N * run->T1; r++)
        memcpy(gates + r * (size_t)s->row, bias, slots * sizeof *bias);
    multiply(run,
             (struct product){.a = run->saved + level->x,
                              .a_row = level->D,
                              .b = packed,
                              .c = gates,
                              .c_row = s->row,
                              .length = level->D,
                              .accumulate = true},
             run->N * run->T1, s->kind->gates * s->width / LANES);
}

static float *carried_at(const struct run *run, int l, int which, size_t n)
{
    size_t states = 1 + (size_t)run->s->kind->has_cell_state;

    return run->carried +
           ((n * (size_t)run->args->layers + (size_t)l) * states + (size_t)which) * (size_t)run->s->width;
}

/* Rows 0 from what was carried, or zero; the rows' other ends to what is carried. */
static void move_carried(const struct run *run, int l, bool out)
{
    const struct state *s = run->s;
    const struct level *level = &run->levels[l];
    size_t row = out ? run->T1 - 1 : 0;

    for (size_t n = 0; n < run->N; n++)
        for (int which = 0; which < 1 + s->kind->has_cell_state; which++) {
            size_t stride = (size_t)(which ? s->width : s->H), bytes = stride * sizeof(float);
            float *at = run->saved + (which ? level->c : level->h) + (n * run->T1 + row) * stride;

            if (out && run->carried)
                memcpy(carried_at(run, l, which, n), at, bytes);
            else if (!out && run->carried)
                memcpy(at, carried_at(run, l, which, n), bytes);
            else if (!out)
                memset(at, 0, bytes);
        }
}

static void run_cell(const struct run *run, const struct cell *cell, bool backward)
{
    const struct cell_kernels *cells = run->pass->kernels->cells;

    if (run->s->kind == &recurrent_lstm)
        (backward ? cells->lstm_backward : cells->lstm)(cell);
    else if (run->s->kind == &recurrent_gru)
        (backward ? cells->gru_backward : cells->gru)(cell);
    else
        (backward ? cells->rnn_backward : cells->rnn)(cell);
}

static struct cell cell_at(const struct run *run, int l, size_t row)
{
    const struct state *s = run->s;
    const struct level *level = &run->levels[l];
    struct cell cell = {
        .width = (size_t)s->width,
        .relu = run->args->nonlinearity == 1,
        .gates = run->saved + level->gates + row * (size_t)s->row,
        .h_prev = run->saved + level->h + (row - 1) * (size_t)s->H,
    };

    if (s->kind->has_cell_state) {
        cell.c = run->saved + level->c + row * (size_t)s->width;
        cell.c_prev = cell.c - s->width;
    }
    return cell;
}

/* All samples from step t - 1 to step t. */
static void forward_step(const struct run *run, int l, size_t t, const float *packed, float *hidden)
{
    const struct state *s = run->s;
    const struct level *level = &run->levels[l];
    size_t H = (size_t)s->H;
    float *h = run->saved + level->h;

    multiply(run,
             (struct product){.a = h + (t - 1) * H,
                              .a_row = (ptrdiff_t)(run->T1 * H),
                              .b = packed,
                              .c = run->saved + level->gates + t * (size_t)s->row + s->kind->first_hidden * s->width,
                              .c_row = (ptrdiff_t)run->T1 * s->row,
                              .length = s->H,
                              .accumulate = true},
             run->N, s->kind->gates * s->width / LANES);
    for (size_t n = 0; n < run->N; n++) {
        size_t row = n * run->T1 + t;
        struct cell cell = cell_at(run, l, row);

        cell.h = hidden;
        run_cell(run, &cell, false);
        memcpy(h + row * H, hidden, H * sizeof *h);
    }
}

/* The layer's input in its own rows; row 0 of a sample is no input, but must be finite. */
static void first_input(const struct run *run)
{
    size_t D = (size_t)run->levels[0].D, size = (size_t)run->s->T * D;
    float *x = run->saved + run->levels[0].x;

    run->pass->kernels->scatter(run->pass->x, run->N, size, size + D, x + D);
    for (size_t n = 0; n < run->N; n++)
        memset(x + n * (size + D), 0, D * sizeof *x);
}

static void drop(const struct run *run, int l)
{
    const struct level *level = &run->levels[l];
    const float *from = run->saved + run->levels[l - 1].h;
    float *x = run->saved + level->x, *mask = run->saved + level->mask;
    size_t n = run->N * run->T1 * (size_t)run->s->H;
    float kept = (float)(1 / (1 - run->args->dropout));

    for (size_t i = 0; i < n; i++) {
        mask[i] = !run->pass->training ? 1 : rng_uniform(run->pass->rng) < run->args->dropout ? 0 : kept;
        x[i] = from[i] * mask[i];
    }
}

static void forward_level(const struct run *run, int l, float *scratch)
{
    const struct state *s = run->s;
    const struct level *level = &run->levels[l];
    const float *params = run->pass->params;
    size_t slots = (size_t)(s->kind->slots * s->width);
    float *bias = scratch, *input = bias + slots, *hidden = input + slots * (size_t)level->D;
    float *step = hidden + slots * (size_t)s->H;

    if (l == 0)
        first_input(run);
    else if (run->args->dropout > 0)
        drop(run, l);
    pack_columns(s, params + run->layer->tensors[l * TENSORS + WEIGHT_IH], level->D, s->kind->input_slot, 0, input);
    pack_columns(s, params + run->layer->tensors[l * TENSORS + WEIGHT_HH], s->H, s->kind->hidden_slot,
                 s->kind->first_hidden, hidden);
    input_products(run, l, input, bias);
    move_carried(run, l, false);
    memset(run->saved + level->h + run->N * run->T1 * (size_t)s->H, 0, SLACK * sizeof(float));
    for (size_t t = 1; t < run->T1; t++)
        forward_step(run, l, t, hidden, step);
    move_carried(run, l, true);
}

void recurrent_forward(const struct layer *layer, const struct pass *pass)
{
    struct run run = run_of(layer, pass);
    size_t H = (size_t)run.s->H, packed = rounded(largest(layer, packed_forward) + (size_t)run.s->width);
    float *last;

    if (!run.saved)
        run.saved = pass->scratch + packed;
    for (int l = 0; l < run.args->layers; l++)
        forward_level(&run, l, pass->scratch);
    last = run.saved + run.levels[run.args->layers - 1].h;
    if (run.args->returned)
        pass->kernels->gather(last + H, run.N, H * (run.T1 - 1), H * run.T1, pass->y);
    else
        pass->kernels->gather(last + H * (run.T1 - 1), run.N, H, H * run.T1, pass->y);
}

/* --- backward ---------------------------------------------------------------------------------------------------- */

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
        struct cell cell = cell_at(run, l, row);

        cell.dh = dh + row * width;
        cell.dc = dc + n * width;
        run_cell(run, &cell, true);
        for (size_t k = 0; k < width && s->kind == &recurrent_gru; k++)
            dh[(row - 1) * width + k] += dh[row * width + k];
    }
    multiply(
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

static void bias_gradient(const struct run *run, const struct level *level, const int *slot, float *db)
{
    const struct state *s = run->s;
    size_t H = (size_t)s->H;

    memset(db, 0, (size_t)s->kind->gates * H * sizeof *db);
    for (size_t row = 0; row < run->N * run->T1; row++)
        for (int g = 0; g < s->kind->gates; g++) {
            const float *from = run->saved + level->gates + row * (size_t)s->row + slot[g] * s->width;

            for (size_t h = 0; h < H; h++)
                db[(size_t)g * H + h] += from[h];
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
    bias_gradient(run, level, kind->input_slot, grads + tensors[BIAS_IH]);
    bias_gradient(run, level, kind->hidden_slot, grads + tensors[BIAS_HH]);
}

/* dx [N, T + 1, padded] = gates times weights, over all rows. */
static void input_gradient(const struct run *run, int l, const float *packed, float *dx)
{
    const struct level *level = &run->levels[l];
    size_t n = run->N * run->T1 * (size_t)run->s->width;

    multiply(run,
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
    struct run run = run_of(layer, pass);
    const struct state *s = run.s;
    size_t width = (size_t)s->width, rows = run.N * run.T1, gates = (size_t)s->kind->gates * width;
    size_t wide = width > (size_t)s->levels[0].padded ? width : (size_t)s->levels[0].padded;
    float *dh = pass->scratch, *dx = dh + rows * wide, *dc = dx + rows * wide, *edge = dc + run.N * width;
    float *packed = edge + (size_t)s->H * LANES;

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

void recurrent_init(const struct layer *layer, uint64_t seed, float *params)
{
    static const char *const names[TENSORS] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
    const struct state *s = layer->state;
    const struct recurrent_args *args = layer->args;
    size_t rows = (size_t)(s->kind->gates * s->H);

    for (int l = 0; l < args->layers; l++)
        for (int i = 0; i < TENSORS; i++) {
            size_t count = rows * (size_t)(i == WEIGHT_IH ? s->levels[l].D : i == WEIGHT_HH ? s->H : 1);
            char name[32];

            snprintf(name, sizeof name, "%s_l%d", names[i], l);
            layer_init_uniform(layer, l * TENSORS + i, name, count, (size_t)s->H, seed, params);
        }
}

double recurrent_flops(const struct layer *layer, bool backward, bool wants_gx)
{
    const struct state *s = layer->state;
    const struct recurrent_args *args = layer->args;
    double total = 0;

    for (int l = 0; l < args->layers; l++) {
        double input = 2.0 * s->kind->gates * s->H * s->levels[l].D, hidden = 2.0 * s->kind->gates * s->H * s->H;

        total += backward ? input * (1 + (l > 0 || wants_gx)) + 2 * hidden : input + hidden;
    }
    return total * s->T;
}
