/* What rnn, gru and lstm share: everything but the cell. Inside, samples are rows: a sequence of T steps takes T + 1
 * rows, of which row 0 holds the state before. Input products run over all steps at once, recurrent products step by
 * step over all samples, with vectors along the hidden dimension. */
#ifndef FLOSIM_NN_LAYER_RECURRENT_H
#define FLOSIM_NN_LAYER_RECURRENT_H

#include "nn/kernels/cells.h"
#include "nn/layer/layer.h"

/* As many as layer->tensors has room for. */
enum { RECURRENT_MAX_LAYERS = LAYER_MAX_TENSORS / 4 };

struct recurrent_args {
    int64_t hidden, layers;
    double dropout;
    int returned; /* 0: the last step, 1: all */
    bool carry;
    int nonlinearity; /* rnn: 0 tanh, 1 relu */
};

/* How a kind's gates lie in its slots (kernels/cells.h). */
struct recurrent_kind {
    int gates, slots;
    int input_slot[4];   /* of PyTorch's gate g in the product with the input */
    int hidden_slot[4];  /* the same with the hidden state */
    int first_hidden;    /* slots [first_hidden, first_hidden + gates) take the hidden state's product */
    bool has_cell_state; /* lstm */
};

extern const char *const recurrent_returns[];
extern const struct recurrent_kind recurrent_lstm, recurrent_gru, recurrent_rnn;

int recurrent_build(struct layer *layer, struct layer_builder *builder, const struct recurrent_kind *kind);
void recurrent_fini(struct layer *layer);
void recurrent_plan(const struct layer *layer, int num_blocks, struct layer_needs *needs);
void recurrent_forward(const struct layer *layer, const struct pass *pass);
void recurrent_backward(const struct layer *layer, const struct pass *pass);
void recurrent_init(const struct layer *layer, uint64_t seed, float *params);
double recurrent_flops(const struct layer *layer, bool backward, bool wants_gx);

/* Rows of the kinds' tables. */
#define RECURRENT_ROWS                                                                                                 \
    {.name = "hidden",                                                                                                 \
     .alias = "hidden_size",                                                                                           \
     .type = PARAM_INT,                                                                                                \
     .offset = offsetof(struct recurrent_args, hidden),                                                                \
     .min = 1,                                                                                                         \
     .max = 1 << 16,                                                                                                   \
     .flags = PARAM_REQUIRED,                                                                                          \
     .help = "Values of the hidden state."},                                                                           \
        {.name = "layers",                                                                                             \
         .alias = "num_layers",                                                                                        \
         .type = PARAM_INT,                                                                                            \
         .offset = offsetof(struct recurrent_args, layers),                                                            \
         .fallback = "1",                                                                                              \
         .min = 1,                                                                                                     \
         .max = RECURRENT_MAX_LAYERS,                                                                                  \
         .help = "Layers, each of which takes the hidden states of the one below."},                                   \
        {.name = "dropout",                                                                                            \
         .type = PARAM_DOUBLE,                                                                                         \
         .offset = offsetof(struct recurrent_args, dropout),                                                           \
         .fallback = "0",                                                                                              \
         .min = 0,                                                                                                     \
         .max = 0.999,                                                                                                 \
         .help = "Share of the values between layers that is dropped while training."},                                \
        {.name = "return",                                                                                             \
         .type = PARAM_CHOICE,                                                                                         \
         .offset = offsetof(struct recurrent_args, returned),                                                          \
         .fallback = "last",                                                                                           \
         .choices = recurrent_returns,                                                                                 \
         .help = "The hidden state of the last step, [H], or of all steps, [T, H]."},                                  \
    {                                                                                                                  \
        .name = "carry", .type = PARAM_BOOL, .offset = offsetof(struct recurrent_args, carry), .fallback = "false",    \
        .help = "Begin each batch with the state that the one before ended with; no gradient goes back to it."         \
    }

#endif
