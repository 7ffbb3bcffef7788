/* Replaying a recorded training of a whole network. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/model.h"
#include "nn/loss.h"
#include "nn/optimizer.h"
#include "util/rng.h"

struct replay {
    const struct record *record;
    const struct model *model;
    const struct loss_ops *loss;
    struct optimizer *optimizer;
    struct workspace *ws;
    float *params, *grads;
    float *x, *values, *first_output, *losses;
    int32_t *labels;
    int64_t steps, N;
};

/* x is [steps, N, ...item]: an item's values are the model's input, in whatever shape. */
static int read_inputs(struct replay *r, struct error *err)
{
    const struct safetensors_tensor *x;
    char item[SHAPE_TEXT_MAX], wanted[SHAPE_TEXT_MAX];
    int64_t dims[TENSOR_MAX_DIMS], size = 1;
    int num_dims = model_input_shape(r->model, dims), status = record_find(r->record, "x", &x, err);

    if (status)
        return status;
    if (x->num_dims < 3 || x->dims[0] < 1 || x->dims[1] < 1 || x->dims[1] > WORKSPACE_MAX_BATCH)
        return FAIL(err, ERR_INVALID, "the record's `x` must be [batches, samples of a batch, ...]");
    r->steps = x->dims[0];
    r->N = x->dims[1];
    for (int i = 2; i < x->num_dims; i++)
        size *= x->dims[i];
    shape_text(x->num_dims - 2, x->dims + 2, item);
    shape_text(num_dims, dims, wanted);
    if ((size_t)size != model_input_size(r->model))
        return FAIL(err, ERR_INVALID, "a sample of the record is %s, but the model takes %s", item, wanted);
    if (model_vocabulary(r->model) > 0) { /* checked as numbers, computed with as floats */
        int32_t *tokens;

        status = record_numbers(r->record, "x", model_vocabulary(r->model), &tokens, err);
        free(tokens);
    }
    return status ? status : record_floats(r->record, "x", 0, NULL, &r->x, err);
}

static int read_targets(struct replay *r, struct error *err)
{
    size_t rows = model_output_rows(r->model), O = model_output_size(r->model) / rows;
    const struct safetensors_tensor *y;
    int status = record_find(r->record, "y", &y, err);
    size_t count = 1, wanted = (size_t)(r->steps * r->N) * rows * (r->loss->wants_values ? O : 1);

    if (status)
        return status;
    for (int i = 0; i < y->num_dims; i++)
        count *= (size_t)y->dims[i];
    if (count != wanted)
        return FAIL(err, ERR_INVALID, "the record's `y` has %zu values, but %s of this model wants %zu", count,
                    r->loss->name, wanted);
    if (r->loss->wants_values)
        return record_floats(r->record, "y", 0, NULL, &r->values, err);
    return record_numbers(r->record, "y", (int64_t)O, &r->labels, err);
}

/* Every tensor of the model from "init.NAME", and no other may be there. */
static int read_params(struct replay *r, struct error *err)
{
    const struct layout *layout = model_layout(r->model);

    for (size_t i = 0; i < layout->num_tensors; i++) {
        const struct tensor_info *t = &layout->tensors[i];
        char name[TENSOR_NAME_MAX + 8];
        float *values;

        snprintf(name, sizeof name, "init.%s", t->name);
        if (record_floats(r->record, name, t->num_dims, t->dims, &values, err) != OK)
            return ERR_INVALID;
        memcpy(r->params + t->offset, values, t->count * sizeof *values);
        free(values);
    }
    for (size_t i = 0; i < safetensors_count(r->record->file); i++) {
        const char *name = safetensors_at(r->record->file, i)->name;

        if (!strncmp(name, "init.", 5) && !layout_find(layout, name + 5))
            return FAIL(err, ERR_INVALID, "the record has `%s`, but the model has no tensor `%s`", name, name + 5);
    }
    return OK;
}

static int prepare(struct replay *r, struct error *err)
{
    const struct layout *layout = model_layout(r->model);
    int status;

    r->loss = record_loss(r->record, err);
    r->params = calloc(layout->num_floats + 1, sizeof *r->params);
    r->grads = calloc(layout->num_parameters + 1, sizeof *r->grads);
    if (!r->params || !r->grads)
        return FAIL(err, ERR_MEMORY, "out of memory for a model");
    if (!r->loss)
        return ERR_INVALID;
    status = read_inputs(r, err);
    if (!status)
        status = read_targets(r, err);
    if (!status)
        status = read_params(r, err);
    if (status)
        return status;
    status = record_floats(r->record, "losses", 1, &r->steps, &r->losses, err);
    if (!status)
        status = record_floats(r->record, "first_output", 0, NULL, &r->first_output, err);
    if (!status)
        status = record_optimizer(r->record, layout->num_parameters, &r->optimizer, err);
    if (!status)
        status = workspace_new(r->model, (int)r->N, true, &r->ws, err);
    return status;
}

static int check_first_output(const struct replay *r, struct error *err)
{
    const struct safetensors_tensor *tensor;
    size_t wanted = (size_t)r->N * model_output_size(r->model), count = 1;
    int status = record_find(r->record, "first_output", &tensor, err);

    for (int i = 0; !status && i < tensor->num_dims; i++)
        count *= (size_t)tensor->dims[i];
    if (!status && count != wanted)
        return FAIL(err, ERR_INVALID, "the record's `first_output` has %zu values, but the model gives %zu", count,
                    wanted);
    return status;
}

/* Dropout would draw its own numbers: a record of it cannot be replayed, so its probability must be 0. */
static void step(struct replay *r, int64_t i, struct deviation *outputs, struct deviation *means)
{
    size_t rows = model_output_rows(r->model), size = model_output_size(r->model), n = (size_t)r->N;
    const float *x = r->x + (size_t)i * n * model_input_size(r->model), *y;
    struct targets targets = {.labels = r->labels ? r->labels + (size_t)i * n * rows : NULL,
                              .values = r->values ? r->values + (size_t)i * n * size : NULL};
    struct loss_sums sums = {0};
    struct rng rng;
    char name[32];

    rng_init(&rng, 0, "verify", "dropout", (uint64_t)i);
    workspace_reset(r->ws); /* every batch begins anew, as when PyTorch is given no state */
    y = model_forward(r->model, r->ws, r->params, x, (int)n, true, &rng);
    if (i == 0)
        deviation_add(outputs, "first_output", y, r->first_output, n * size);
    r->loss->evaluate(y, targets, n * rows, size / rows, workspace_gradient(r->ws), &sums);
    snprintf(name, sizeof name, "losses[%lld]", (long long)i);
    deviation_add_value(means, name, sums.loss / (double)sums.predictions, (double)r->losses[i]);
    model_backward(r->model, r->ws, r->params, workspace_gradient(r->ws), r->grads, NULL);
    optimizer_step(r->optimizer, NULL, r->params, r->grads);
}

static double norm_of(const float *values, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)values[i] * (double)values[i];
    return sqrt(sum);
}

/* What the record says of one tensor at the end: all of it, its first values, its norm. */
static int compare_tensor(const struct replay *r, const struct tensor_info *t, struct deviation *out, struct error *err)
{
    static const char *const kinds[] = {"final", "final_head", "final_norm"};
    const float *values = r->params + t->offset;

    for (int k = 0; k < 3; k++) {
        char name[TENSOR_NAME_MAX + 16];
        int64_t count = k == 0 ? (int64_t)t->count : t->count < 32 ? (int64_t)t->count : 32, one = 1;
        float *expected;
        int status;

        snprintf(name, sizeof name, "%s.%s", kinds[k], t->name);
        if (!safetensors_find(r->record->file, name))
            continue;
        status = k == 0   ? record_floats(r->record, name, t->num_dims, t->dims, &expected, err)
                 : k == 1 ? record_floats(r->record, name, 1, &count, &expected, err)
                          : record_floats(r->record, name, 1, &one, &expected, err);
        if (status)
            return status;
        if (k == 2)
            deviation_add_value(out, name, norm_of(values, t->count), (double)expected[0]);
        else
            deviation_add(out, name, values, expected, (size_t)count);
        free(expected);
    }
    return OK;
}

static int replay(struct replay *r, struct comparison *out, struct error *err)
{
    struct deviation *outputs = comparison_add(out, "outputs"), *means = comparison_add(out, "losses"),
                     *weights = comparison_add(out, "final weights");
    const struct layout *layout = model_layout(r->model);
    int status = prepare(r, err);

    if (!status)
        status = check_first_output(r, err);
    for (int64_t i = 0; !status && i < r->steps; i++)
        step(r, i, outputs, means);
    for (size_t i = 0; !status && i < layout->num_tensors; i++)
        status = compare_tensor(r, &layout->tensors[i], weights, err);
    if (!status && weights->tensors == 0)
        status = FAIL(err, ERR_INVALID, "the record has none of final.*, final_head.*, final_norm.*");
    return status;
}

int verify_run(const struct record *record, const struct model *model, struct comparison *out, struct error *err)
{
    struct replay r = {.record = record, .model = model};
    int status = replay(&r, out, err);

    optimizer_free(r.optimizer);
    workspace_free(r.ws);
    free(r.params), free(r.grads), free(r.x), free(r.values), free(r.labels), free(r.first_output), free(r.losses);
    return status;
}
