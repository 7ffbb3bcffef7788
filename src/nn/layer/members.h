/* The entries that registry.c lists, one per file of this folder. */
#ifndef FLOSIM_NN_LAYER_MEMBERS_H
#define FLOSIM_NN_LAYER_MEMBERS_H

#include "nn/layer/layer.h"

extern const struct layer_ops layer_linear, layer_conv2d, layer_maxpool2d, layer_relu, layer_flatten;
extern const struct layer_ops layer_avgpool2d, layer_adaptive_avgpool2d, layer_batchnorm2d, layer_groupnorm,
    layer_layernorm, layer_dropout;
extern const struct layer_ops layer_relu6, layer_leaky_relu, layer_gelu, layer_tanh, layer_sigmoid, layer_softmax,
    layer_log_softmax;
extern const struct layer_ops layer_embedding, layer_rnn, layer_gru, layer_lstm;

#endif
