/* Whether a network, a loss and a data set go together. */
#ifndef FLOSIM_CONFIG_FIT_H
#define FLOSIM_CONFIG_FIT_H

#include "data/dataset.h"
#include "nn/loss.h"
#include "nn/model.h"

/* `loss` may be NULL. ERR_INVALID with a sentence that names both sides. */
int fit_check(const struct model *model, const struct loss_ops *loss, const struct dataset *dataset, struct error *err);

#endif
