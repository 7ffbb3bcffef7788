/* StartValidation's arithmetic: the given weights on the held-out items. */
#include <stdlib.h>
#include <string.h>

#include "codec/encoding.h"
#include "worker/work.h"

static void fetch_held_out(const void *context, size_t first, size_t count, float *x, int32_t *labels, float *values)
{
    const struct data_parts *data = context;

    data_gather(&data->all, NULL, data->num_train + first, count, x, labels, values);
}

static bool held_out_follows(const void *context, size_t i)
{
    const struct data_parts *data = context;

    return data_follows(&data->all, data->num_train + i);
}

static bool should_stop(const void *stopper)
{
    return stopper_is_raised(stopper);
}

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
    struct batch_source source = {work->data.num_held_out, work_has_values(work), fetch_held_out, held_out_follows,
                                  &work->data};
    status = evaluate(work->model, work->loss, work->params, &source, work->batch, trainer->setup.threads, should_stop,
                      work->stop, out, err);
    stopwatch_add_flops(&work->watch, model_flops_forward(work->model) * (double)work->data.num_held_out);
    return status;
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
        duration_s = stopwatch_duration_s(&work.watch, request->weights.size, 0);
    work_end(&work);
    if (!status)
        status = work_idle(&work, duration_s, err);
    return status ? status : write_metrics(&result, metrics, err);
}
