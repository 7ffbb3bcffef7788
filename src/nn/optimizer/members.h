/* The entries that registry.c lists, one per file of this folder. */
#ifndef FLOSIM_NN_OPTIMIZER_MEMBERS_H
#define FLOSIM_NN_OPTIMIZER_MEMBERS_H

#include "nn/optimizer.h"

extern const struct optimizer_ops optimizer_sgd, optimizer_adam, optimizer_adamw, optimizer_adagrad, optimizer_adadelta,
    optimizer_rmsprop;

#endif
