/* The entries that registry.c lists, one per file of this folder. */
#ifndef FLOSIM_NN_LOSS_MEMBERS_H
#define FLOSIM_NN_LOSS_MEMBERS_H

#include "nn/loss.h"

extern const struct loss_ops loss_crossentropy, loss_mean_square_error, loss_binary_crossentropy, loss_binary_kldiv,
    loss_binary_l1loss;

#endif
