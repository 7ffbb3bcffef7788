/* The entries that registry.c lists, one per file of this folder. */
#ifndef FLOSIM_NN_OPTIMIZER_MEMBERS_H
#define FLOSIM_NN_OPTIMIZER_MEMBERS_H

#include "nn/optimizer.h"

/* The row that every table ends with; struct args has `maximize` for it, which optimizer_step reads. */
#define MAXIMIZE_ROW                                                                                                   \
    {                                                                                                                  \
        .name = "maximize", .type = PARAM_BOOL, .offset = offsetof(struct args, maximize), .fallback = "false",        \
        .help = "Climb the gradient instead of descending it."                                                         \
    }

extern const struct optimizer_ops optimizer_sgd, optimizer_adam, optimizer_adamw, optimizer_adagrad, optimizer_adadelta,
    optimizer_rmsprop;

#endif
