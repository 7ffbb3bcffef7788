/* Inside rnn, gru and lstm: where everything lies, for recurrent.c and recurrent_backward.c. */
#ifndef FLOSIM_NN_LAYER_RECURRENT_RUN_H
#define FLOSIM_NN_LAYER_RECURRENT_RUN_H

#include "nn/layer/recurrent.h"

/* The tensors of one layer of the stack, in order. */
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

struct run recurrent_run_of(const struct layer *layer, const struct pass *pass);

/* C [rows][cols * LANES] = A [rows][length] * B, with B [cols][length][LANES]; A's values side by side. */
void recurrent_multiply(const struct run *run, struct product product, size_t rows, int cols);

/* The cell of row `row` > 0 of layer l; h, dh and dc are the caller's to set. */
struct cell recurrent_cell_at(const struct run *run, int l, size_t row);
void recurrent_cell(const struct run *run, const struct cell *cell, bool backward);

static inline size_t rounded(size_t n)
{
    return (n + LANES - 1) / LANES * LANES;
}

#endif
