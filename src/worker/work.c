#include "worker/work.h"

#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/fit.h"
#include "util/large.h"
#include "util/words.h"

int trainer_new(struct trainer **out, const struct trainer_setup *setup, struct error *err)
{
    struct trainer *trainer = calloc(1, sizeof *trainer);

    *out = trainer;
    if (!trainer)
        return FAIL(err, ERR_MEMORY, "out of memory for a trainer");
    trainer->setup = *setup;
    return OK;
}

void trainer_free(struct trainer *trainer)
{
    if (!trainer)
        return;
    cached_model_fini(&trainer->cached);
    free(trainer);
}

int work_cancelled(struct error *err)
{
    return FAIL(err, ERR_CANCELLED, "the work was stopped");
}

static bool should_stop(void *stopper)
{
    return stopper_is_raised(stopper);
}

int work_begin(struct work *work, const struct trainer *trainer, struct stopper *stop, struct error *err)
{
    const struct worker_host *host = trainer->setup.host;

    *work = (struct work){.trainer = trainer, .stop = stop};
    if (stopper_is_raised(stop))
        return work_cancelled(err);
    if (host->acquire_slot && !host->acquire_slot(host->context, should_stop, stop))
        return work_cancelled(err);
    stopwatch_start(&work->watch, host, trainer->setup.clock);
    return OK;
}

void work_end(struct work *work)
{
    const struct worker_host *host = work->trainer->setup.host;

    free(work->params);
    work->params = NULL;
    /* Thousands of workers share a machine: none keeps what only a training needs. */
    malloc_trim(0);
    if (host->release_slot)
        host->release_slot(host->context);
}

int work_idle(const struct work *work, double duration_s, struct error *err)
{
    double rest_s = duration_s - stopwatch_measured_s(&work->watch);

    if (!work->trainer->setup.host->idle_to_modelled || !stopwatch_is_modelled(&work->watch) || rest_s <= 0)
        return OK;
    return stopper_sleep(work->stop, rest_s) ? work_cancelled(err) : OK;
}

void request_bytes_drop(const struct request_bytes *bytes)
{
    if (bytes)
        bytes->drop(bytes->context);
}

/* ---- what a request names ---- */

static int fail_no_loss(const char *name, struct error *err)
{
    const char *names[MAX_WORDS_OF_A_KIND];
    char text[WORDS_TEXT];
    size_t n = 0;

    for (; n < MAX_WORDS_OF_A_KIND && losses[n]; n++)
        names[n] = losses[n]->name;
    return FAIL(err, ERR_INVALID, "%s", unknown_word("loss_function", name, names, n, text));
}

static int find_loss(struct span json, const struct loss_ops **out, struct error *err)
{
    const char *name = "crossentropy";
    json_error_t where;
    json_t *root = NULL;
    int status = refuse_pickle(json, "loss_function", err);

    if (!status && json.data && json.size) {
        root = json.size <= 65536 ? json_loadb(json.data, json.size, JSON_REJECT_DUPLICATES, &where) : NULL;
        name = json_string_value(json_object_get(root, "name"));
        if (!name)
            status = FAIL(err, ERR_INVALID, "loss_function must be JSON {\"name\": …, \"args\": {…}}");
    }
    if (!status && !(*out = loss_find(name)))
        status = fail_no_loss(name, err);
    json_decref(root);
    return status;
}

static int check_fit(const struct work *work, const struct work_order *order, struct error *err)
{
    int status = fit_check(work->model, work->loss, work->data.all.dataset, err);

    if (status)
        error_context(err, status, "data set %.64s, model %.64s", order->dataset_id, order->model_id);
    return status;
}

int work_prepare(struct work *work, struct trainer *trainer, const struct work_order *order, struct error *err)
{
    struct loader_args loader;

    if (order->batch_size < 1)
        return FAIL(err, ERR_INVALID, "batch_size is %d, must be at least 1", (int)order->batch_size);
    int status = find_loss(order->loss_function, &work->loss, err);
    if (!status)
        status = cached_model_use(&trainer->cached, trainer->setup.cache, order->model_id, order->model_class,
                                  order->model_config, err);
    if (!status)
        status = loader_args_parse(order->model_config.data, order->model_config.size, &loader, err);
    if (!status)
        status = datasets_use(trainer->setup.datasets, order->dataset_id, &loader, &work->data, err);
    if (status)
        return status;
    work->model = trainer->cached.model;
    work->batch = loader.batch_size ? (int)loader.batch_size : order->batch_size;
    status = check_fit(work, order, err);
    if (status)
        return status;
    work->params = large_alloc(model_layout(work->model)->num_floats * sizeof *work->params);
    return work->params ? OK : FAIL(err, ERR_MEMORY, "out of memory for the weights of %.64s", order->model_id);
}

bool work_has_values(const struct work *work)
{
    return work->data.all.dataset->values;
}

int work_check_limit(const struct work_limit *limit, struct error *err)
{
    if (limit->kind == LIMIT_TIMEOUT && !(limit->timeout_duration_s >= 0))
        return FAIL(err, ERR_INVALID, "timeout_duration_s must not be negative");
    if (limit->kind == LIMIT_MINI_BATCHES && limit->max_mini_batch_count < 0)
        return FAIL(err, ERR_INVALID, "max_mini_batch_count must not be negative");
    return OK;
}

json_t *work_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static int add_if_known(json_t *metrics, const char *name, double value)
{
    return isnan(value) ? 0 : json_object_set_new(metrics, name, work_number(value));
}

int work_add_figures(json_t *metrics, const struct evaluation *figures)
{
    int failed = json_object_set_new(metrics, "loss", work_number(figures->loss));

    failed |= json_object_set_new(metrics, "accuracy", work_number(figures->accuracy));
    failed |= add_if_known(metrics, "perplexity", figures->perplexity);
    failed |= add_if_known(metrics, "mae", figures->mae);
    return failed | add_if_known(metrics, "mse", figures->mse);
}

/* ---- training steps ---- */

int steps_init(struct steps *steps, const struct work *work, struct span optimizer, double learning_rate,
               struct error *err)
{
    size_t num_parameters = model_layout(work->model)->num_parameters;

    memset(steps, 0, sizeof *steps);
    int status = refuse_pickle(optimizer, "optimizer", err);
    if (!status)
        status = optimizer_new(optimizer, learning_rate, num_parameters, &steps->optimizer, err);
    if (!status)
        status = workspace_new(work->model, work->batch, true, &steps->ws, err);
    if (!status)
        status = workspace_set_threads(steps->ws, work->trainer->setup.threads, err);
    if (status)
        return status;
    steps->grads = large_alloc(num_parameters * sizeof *steps->grads);
    if (!steps->grads)
        return FAIL(err, ERR_MEMORY, "out of memory for %zu gradients", num_parameters);
    return batch_init(&steps->batch, work->model, work->loss, work_has_values(work), (size_t)work->batch, err);
}

void steps_fini(struct steps *steps)
{
    workspace_free(steps->ws);
    optimizer_free(steps->optimizer);
    free(steps->grads);
    batch_fini(&steps->batch);
}

void steps_run(struct steps *steps, struct work *work, const uint32_t *order, size_t first, size_t count,
               struct loss_sums *sums)
{
    struct batch *batch = &steps->batch;

    data_gather(&work->data.all, order, first, count, batch->x, batch->labels, batch->values);
    if (steps->hooks && steps->hooks->batch)
        steps->hooks->batch(work->trainer->setup.host->training_context, steps->round, batch->x, batch->labels, count);
    train_step(work->model, steps->ws, work->loss, steps->optimizer, work->params, steps->grads, batch->x,
               batch_targets(batch, work->model, work->loss, work_has_values(work), (int)count), (int)count,
               &steps->noise, sums);
    stopwatch_add_flops(&work->watch, model_flops_train(work->model) * (double)count);
}

/* A stretch of the data. */
struct stretch {
    const struct data_parts *data;
    size_t first;
};

static void fetch_stretch(const void *context, size_t first, size_t count, float *x, int32_t *labels, float *values)
{
    const struct stretch *stretch = context;

    data_gather(&stretch->data->all, NULL, stretch->first + first, count, x, labels, values);
}

static bool stretch_follows(const void *context, size_t i)
{
    const struct stretch *stretch = context;

    return data_follows(&stretch->data->all, stretch->first + i);
}

static bool was_stopped(const void *stopper)
{
    return stopper_is_raised(stopper);
}

int work_evaluate(struct work *work, size_t first, size_t count, struct evaluation *out, struct error *err)
{
    struct stretch stretch = {&work->data, first};
    struct batch_source source = {count, work_has_values(work), fetch_stretch, stretch_follows, &stretch};
    int status = evaluate(work->model, work->loss, work->params, &source, work->batch, work->trainer->setup.threads,
                          was_stopped, work->stop, out, err);

    stopwatch_add_flops(&work->watch, model_flops_forward(work->model) * (double)count);
    return status;
}
