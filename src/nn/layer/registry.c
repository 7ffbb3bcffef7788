#include <strings.h>

#include "nn/layer/members.h"

const struct layer_ops *const layer_kinds[] = {
    // clang-format off
    &layer_linear,
    &layer_conv2d,
    &layer_maxpool2d,
    &layer_avgpool2d,
    &layer_adaptive_avgpool2d,
    &layer_batchnorm2d,
    &layer_groupnorm,
    &layer_layernorm,
    &layer_dropout,
    &layer_relu,
    &layer_relu6,
    &layer_leaky_relu,
    &layer_gelu,
    &layer_tanh,
    &layer_sigmoid,
    &layer_softmax,
    &layer_log_softmax,
    &layer_flatten,
    &layer_embedding,
    &layer_rnn,
    &layer_gru,
    &layer_lstm,
    NULL,
    // clang-format on
};

const struct layer_ops *layer_kind_find(const char *name)
{
    for (size_t i = 0; layer_kinds[i]; i++)
        if (strcasecmp(layer_kinds[i]->name, name) == 0)
            return layer_kinds[i];
    return NULL;
}
