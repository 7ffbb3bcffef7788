#include "nn/layer/recurrent_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/kernels/share.h"

const char *const recurrent_returns[] = {"last", "all", NULL};

const struct recurrent_kind recurrent_lstm = {4, 4, {0, 1, 2, 3}, {0, 1, 2, 3}, 0, true};
const struct recurrent_kind recurrent_gru = {3, 4, {1, 2, 0}, {1, 2, 3}, 1, false};
const struct recurrent_kind recurrent_rnn = {1, 1, {0}, {0}, 0, false};

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

    return gates * (wide + (size_t)s->width) + (size_t)s->H * LANES + (size_t)(s->kind->slots * s->width);
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

struct run recurrent_run_of(const struct layer *layer, const struct pass *pass)
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
void recurrent_multiply(const struct run *run, struct product product, size_t rows, int cols)
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
    recurrent_multiply(run,
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

void recurrent_cell(const struct run *run, const struct cell *cell, bool backward)
{
    const struct cell_kernels *cells = run->pass->kernels->cells;

    if (run->s->kind == &recurrent_lstm)
        (backward ? cells->lstm_backward : cells->lstm)(cell);
    else if (run->s->kind == &recurrent_gru)
        (backward ? cells->gru_backward : cells->gru)(cell);
    else
        (backward ? cells->rnn_backward : cells->rnn)(cell);
}

struct cell recurrent_cell_at(const struct run *run, int l, size_t row)
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

    recurrent_multiply(
        run,
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
        struct cell cell = recurrent_cell_at(run, l, row);

        cell.h = hidden;
        recurrent_cell(run, &cell, false);
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
    struct run run = recurrent_run_of(layer, pass);
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
