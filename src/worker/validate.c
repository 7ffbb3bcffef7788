/* StartValidation's arithmetic: the given weights on the held-out items. */
#include <stdlib.h>
#include <string.h>

#include "codec/encoding.h"
#include "worker/work.h"

static int compute(struct work *work, struct trainer *trainer, const struct validation_request *request,
                   const struct request_bytes *bytes, struct evaluation *out, struct error *err)
{
    struct work_order order = {
        .model_id = request->model_id,
        .model_class = request->model_class,
        .dataset_id = request->dataset_id,
        .model_config = request->model_config,
        .loss_function = request->loss_function,
        .batch_size = request->batch_size,
    };
    int status = work_prepare(work, trainer, &order, err);

    if (status)
        return status;
    if (!work->data.num_held_out)
        return FAIL(err, ERR_PRECONDITION, "data set %.64s holds no items back for validation", request->dataset_id);
    if ((size_t)work->batch > work->data.num_held_out)
        work->batch = (int)work->data.num_held_out;
    status = weights_decode(model_layout(work->model), request->weights, work->params, err);
    if (status)
        return status;
    request_bytes_drop(bytes);
    return work_evaluate(work, work->data.num_train, work->data.num_held_out, out, err);
}

static int write_metrics(const struct evaluation *result, char **out, struct error *err)
{
    json_t *metrics = json_pack("{s:I}", "num_samples", (json_int_t)result->num_items);

    *out = work_add_figures(metrics, result) == 0 ? json_dumps(metrics, JSON_COMPACT) : NULL;
    json_decref(metrics);
    return *out ? OK : FAIL(err, ERR_MEMORY, "out of memory for metrics");
}

int trainer_validate(struct trainer *trainer, const struct validation_request *request,
                     const struct request_bytes *bytes, struct stopper *stop, char **metrics, struct error *err)
{
    struct work work;
    struct evaluation result = {0};
    double duration_s = 0;
    int status = work_begin(&work, trainer, stop, err);

    *metrics = NULL;
    if (status)
        return status;
    status = compute(&work, trainer, request, bytes, &result, err);
    if (!status)
        duration_s = stopwatch_duration_s(&work.watch, request->round_idx, request->weights.size, 0);
    work_end(&work);
    if (!status)
        status = work_idle(&work, duration_s, err);
    return status ? status : write_metrics(&result, metrics, err);
}
