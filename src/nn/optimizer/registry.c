#include <string.h>

#include "nn/optimizer/members.h"

const struct optimizer_ops *const optimizers[] = {
    // clang-format off
    &optimizer_sgd,
    &optimizer_adam,
    &optimizer_adamw,
    &optimizer_adagrad,
    &optimizer_adadelta,
    &optimizer_rmsprop,
    NULL,
    // clang-format on
};

const struct optimizer_ops *optimizer_find(const char *name)
{
    for (size_t i = 0; optimizers[i]; i++)
        if (strcmp(optimizers[i]->name, name) == 0)
            return optimizers[i];
    return NULL;
}
