/* The element-wise part of recurrent cells over one sample's gates, vectors along the hidden dimension. Every slot of
 * gates and every padded vector has `width` floats, a multiple of LANES; what lies beyond the hidden size is finite
 * rubbish. tanh and sigmoid are accurate to 1e-6. Formulas as in PyTorch's LSTM, GRU and RNN. */
#ifndef FLOSIM_NN_KERNELS_CELLS_H
#define FLOSIM_NN_KERNELS_CELLS_H

#include <stdbool.h>
#include <stddef.h>

struct cell {
    size_t width;
    bool relu;           /* of rnn, instead of tanh */
    float *gates;        /* forward: sums in, gates out; backward: gates in, gradients of the sums out */
    const float *c_prev; /* lstm: the cell's state before */
    const float *h_prev; /* gru: the hidden state before */
    float *c;            /* lstm: the state after */
    float *h;            /* forward: out; backward (rnn): the state after */
    float *dh;           /* backward: gradient of h; gru leaves what goes straight to h_prev */
    float *dc;           /* backward, lstm: gradient of c in, of c_prev out */
};

/* Slots of gates: lstm i f g o; rnn one; gru n r z and the hidden part of n, which r scales. */
struct cell_kernels {
    void (*lstm)(const struct cell *cell), (*lstm_backward)(const struct cell *cell);
    void (*gru)(const struct cell *cell), (*gru_backward)(const struct cell *cell);
    void (*rnn)(const struct cell *cell), (*rnn_backward)(const struct cell *cell);
};

#endif
