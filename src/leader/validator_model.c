#include <stdlib.h>

#include "config/fit.h"
#include "leader/validator.h"
#include "nn/loss.h"
#include "nn/model.h"
#include "nn/run.h"
#include "util/loop.h"

struct model_validator {
    struct validator base;
    struct model *model;
    const struct loss_ops *loss;
    struct validator_data data;
    int batch, threads;
};

static void fetch(const void *context, size_t first, size_t count, float *x, int32_t *labels, float *values)
{
    data_gather(context, NULL, first, count, x, labels, values);
}

static bool follows(const void *context, size_t i)
{
    return data_follows(context, i);
}

static int run(struct validator *base, const float *weights, bool (*stop)(const void *context),
               const void *stop_context, struct validation_figures *out, struct error *err)
{
    struct model_validator *self = CONTAINER_OF(base, struct model_validator, base);
    struct batch_source source = {
        .num_items = self->data.view->num_items,
        .has_values = self->data.view->dataset->values,
        .fetch = fetch,
        .follows = follows,
        .context = self->data.view,
    };
    struct evaluation figures;
    int status = evaluate(self->model, self->loss, weights, &source, self->batch, self->threads, stop, stop_context,
                          &figures, err);

    if (status == OK)
        *out = (struct validation_figures){figures.loss, figures.accuracy, figures.perplexity,
                                           figures.mae,  figures.mse,      figures.num_items};
    return status;
}

static void free_validator(struct validator *base)
{
    struct model_validator *self = CONTAINER_OF(base, struct model_validator, base);

    model_free(self->model);
    if (self->data.release)
        self->data.release(self->data.owned);
    free(self);
}

static int check_data(const struct model *model, const struct loss_ops *loss, const struct data_view *view,
                      struct error *err)
{
    int status;

    if (view->num_items == 0)
        return FAIL(err, ERR_INVALID, "the validation data %s is empty", view->dataset->name);
    status = fit_check(model, loss, view->dataset, err);
    if (status != OK)
        error_context(err, status, "the validation data %s", view->dataset->name);
    return status;
}

int validator_model_new(struct model *model, const struct loss_ops *loss, const struct validator_data *data, int batch,
                        int threads, struct validator **out, struct error *err)
{
    struct model_validator *self = malloc(sizeof *self);
    int status = self ? check_data(model, loss, data->view, err) : FAIL(err, ERR_MEMORY, "no memory for validation");

    *out = NULL;
    if (status != OK) {
        free(self);
        model_free(model);
        if (data->release)
            data->release(data->owned);
        return status;
    }
    *self = (struct model_validator){{run, free_validator}, model, loss, *data, batch, threads > 0 ? threads : 1};
    *out = &self->base;
    return OK;
}
