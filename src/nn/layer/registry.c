#include <string.h>

#include "nn/layer/members.h"

const struct layer_ops *const layer_kinds[] = {
    // clang-format off
    &layer_linear,
    &layer_conv2d,
    &layer_maxpool2d,
    &layer_relu,
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
        if (strcmp(layer_kinds[i]->name, name) == 0)
            return layer_kinds[i];
    return NULL;
}
