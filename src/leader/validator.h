/* Validation of the global model on the leader's data. The one place in the leader that knows networks is its member
 * `model` (validator_model.c). Compute thread only. */
#ifndef FLOSIM_LEADER_VALIDATOR_H
#define FLOSIM_LEADER_VALIDATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "data/dataset.h"
#include "util/error.h"

struct model;
struct loss_ops;

struct validation_figures {
    double loss, accuracy;       /* mean; percent, NaN where the network does not tell classes */
    double perplexity, mae, mse; /* NaN where they mean nothing */
    int64_t num_items;
};

struct validator {
    /* weights [P] borrowed. `stop` (may be NULL) breaks off with ERR_CANCELLED. */
    int (*run)(struct validator *self, const float *weights, bool (*stop)(const void *context),
               const void *stop_context, struct validation_figures *out, struct error *err);
    void (*free)(struct validator *self);
};

struct validator_data {
    const struct data_view *view; /* borrowed, or the view of what is owned */
    void (*release)(void *owned); /* NULL: nothing is owned */
    void *owned;
};

/* Takes the model and what `data` owns (also on failure). The data's items must fit the model's input, its classes the
 * output: ERR_INVALID says both shapes. */
int validator_model_new(struct model *model, const struct loss_ops *loss, const struct validator_data *data, int batch,
                        int threads, struct validator **out, struct error *err);

#endif
