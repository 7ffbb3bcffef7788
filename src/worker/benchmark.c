/* InitBench's arithmetic: training steps of a fresh model against the clock. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "worker/work.h"

static int check_request(const struct bench_request *request, struct error *err)
{
    const struct work_limit *limit = &request->limit;
    bool bounded = (limit->kind == LIMIT_TIMEOUT && limit->timeout_duration_s > 0) ||
                   (limit->kind == LIMIT_MINI_BATCHES && limit->max_mini_batch_count > 0);

    if (!isfinite(request->learning_rate))
        return FAIL(err, ERR_INVALID, "learning_rate is not a number");
    int status = work_check_limit(limit, err);
    if (!status && !bounded)
        status = FAIL(err, ERR_INVALID, "a benchmark needs a timeout_duration_s or a max_mini_batch_count above 0");
    return status;
}

static int prepare(struct work *work, struct steps *steps, struct trainer *trainer, const struct bench_request *request,
                   struct error *err)
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
    if (!work->data.num_train)
        return FAIL(err, ERR_PRECONDITION, "data set %.64s has no items to train on", request->dataset_id);
    if ((size_t)work->batch > work->data.num_train)
        work->batch = (int)work->data.num_train;
    model_init_params(work->model, 0, work->params);
    return steps_init(steps, work, request->optimizer, (double)request->learning_rate, err);
}

static int run_mini_batches(struct work *work, struct steps *steps, const struct bench_request *request,
                            struct bench_result *out, struct error *err)
{
    size_t n = work->data.num_train, batch = (size_t)work->batch, first = 0;
    bool one_pass = stopwatch_is_modelled(&work->watch) && request->limit.kind == LIMIT_TIMEOUT;

    rng_init(&steps->noise, 0, "benchmark", work->trainer->setup.client_id, 0);
    stopwatch_start(&work->watch, work->watch.host, work->watch.clock); /* setting up is not what is measured */
    do {
        size_t count = n - first < batch ? n - first : batch;
        steps_run(steps, work, NULL, first, count, &(struct loss_sums){0});
        out->num_mini_batches++;
        if (stopper_is_raised(work->stop))
            return work_cancelled(err);
        first = first + count < n ? first + count : 0;
    } while (!stopwatch_limit_reached(&work->watch, &request->limit, out->num_mini_batches) &&
             !(one_pass && first == 0) && out->num_mini_batches < INT32_MAX);
    out->duration_s = stopwatch_compute_s(&work->watch);
    return OK;
}

int trainer_benchmark(struct trainer *trainer, const struct bench_request *request, struct stopper *stop,
                      struct bench_result *out, struct error *err)
{
    struct work work;
    struct steps steps = {0};

    *out = (struct bench_result){0};
    int status = check_request(request, err);
    if (!status)
        status = work_begin(&work, trainer, stop, err);
    if (status)
        return status;
    status = prepare(&work, &steps, trainer, request, err);
    if (!status)
        status = run_mini_batches(&work, &steps, request, out, err);
    if (!status)
        strcpy(out->model_hash, trainer->cached.hash);
    steps_fini(&steps);
    work_end(&work);
    return status ? status : work_idle(&work, out->duration_s, err);
}
