/* The entries that registry.c lists, one per file of this folder. */
#ifndef FLOSIM_NN_LAYER_MEMBERS_H
#define FLOSIM_NN_LAYER_MEMBERS_H

#include "nn/layer/layer.h"

extern const struct layer_ops layer_linear, layer_conv2d, layer_maxpool2d, layer_relu, layer_flatten;
extern const struct layer_ops layer_embedding, layer_rnn, layer_gru, layer_lstm;

#endif
