/* One layer, loss or optimizer against its record, from the metadata alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/model.h"
#include "nn/layer/layer.h"
#include "nn/loss.h"
#include "nn/optimizer.h"
#include "util/rng.h"

/* --- optimizers: p0 [P], grads [steps, P], params [steps, P] --- */

static int verify_optimizer(const struct record *record, struct comparison *out, struct error *err)
{
    struct deviation *params = comparison_add(out, "parameters");
    const struct safetensors_tensor *all;
    struct optimizer *optimizer = NULL;
    float *p = NULL, *grads = NULL, *expected = NULL;
    int status = record_find(record, "grads", &all, err);
    size_t n = 0;

    if (!status && (all->num_dims != 2 || all->dims[0] < 1 || all->dims[1] < 1))
        status = FAIL(err, ERR_INVALID, "the record's `grads` must be [steps, parameters]");
    if (!status) {
        n = (size_t)all->dims[1];
        status = record_floats(record, "p0", 1, &all->dims[1], &p, err);
        if (!status)
            status = record_floats(record, "grads", 2, all->dims, &grads, err);
        if (!status)
            status = record_floats(record, "params", 2, all->dims, &expected, err);
        if (!status)
            status = record_optimizer(record, n, &optimizer, err);
    }
    for (int64_t i = 0; !status && i < all->dims[0]; i++) {
        char name[32];

        snprintf(name, sizeof name, "params[%lld]", (long long)i);
        optimizer_step(optimizer, NULL, p, grads + (size_t)i * n);
        deviation_add(params, name, p, expected + (size_t)i * n, n);
    }
    optimizer_free(optimizer);
    free(p), free(grads), free(expected);
    return status;
}

/* --- losses: input [N, ..., O], target, value [1], grad as input --- */

struct loss_run {
    float *y, *values, *expected, *grad, *gy;
    int32_t *labels;
    size_t N, O; /* predictions, values of each */
};

/* Labels stand for the last dimension, as networks give their classes (PyTorch has them second). */
static int read_target(const struct record *record, const struct loss_ops *loss, const struct safetensors_tensor *input,
                       struct loss_run *run, struct error *err)
{
    const struct safetensors_tensor *target;
    char found[SHAPE_TEXT_MAX], wanted[SHAPE_TEXT_MAX];
    int status = record_find(record, "target", &target, err);

    if (status)
        return status;
    if (loss->wants_values)
        return record_floats(record, "target", input->num_dims, input->dims, &run->values, err);
    if (shape_equal(target->num_dims, target->dims, input->num_dims - 1, input->dims))
        return record_numbers(record, "target", (int64_t)run->O, &run->labels, err);
    shape_text(target->num_dims, target->dims, found);
    shape_text(input->num_dims - 1, input->dims, wanted);
    return FAIL(err, ERR_INVALID,
                "the record's `target` is %s, but labels must be %s: `input` is [N, ..., O], its classes last", found,
                wanted);
}

static int read_loss(const struct record *record, const struct loss_ops *loss, struct loss_run *run, struct error *err)
{
    const struct safetensors_tensor *input;
    const int64_t one = 1;
    int status = record_find(record, "input", &input, err);

    if (status)
        return status;
    run->N = run->O = 1;
    for (int i = 0; i < input->num_dims; i++)
        *(i > 0 && i == input->num_dims - 1 ? &run->O : &run->N) *= (size_t)input->dims[i];
    if (input->num_dims < (loss->wants_values ? 1 : 2) || run->N * run->O < 1)
        return FAIL(err, ERR_INVALID, "the record's `input` must be [N, ..., O]");
    status = record_floats(record, "input", input->num_dims, input->dims, &run->y, err);
    if (!status)
        status = record_floats(record, "grad", input->num_dims, input->dims, &run->grad, err);
    if (!status)
        status = record_floats(record, "value", 1, &one, &run->expected, err);
    if (!status)
        status = read_target(record, loss, input, run, err);
    if (!status && !(run->gy = calloc(run->N * run->O, sizeof *run->gy)))
        status = FAIL(err, ERR_MEMORY, "out of memory");
    return status;
}

static int verify_loss(const struct record *record, struct comparison *out, struct error *err)
{
    struct deviation *value = comparison_add(out, "value"), *gradient = comparison_add(out, "gradient");
    const struct loss_ops *loss = record_loss(record, err);
    struct loss_run run = {.y = NULL};
    struct loss_sums sums = {0};
    int status =
        loss ? record_check_metadata(record, loss->name, (const struct param_table *const[]){NULL}, err) : ERR_INVALID;

    if (!status)
        status = read_loss(record, loss, &run, err);
    if (!status) {
        loss->evaluate(run.y, (struct targets){run.labels, run.values}, run.N, run.O, run.gy, &sums);
        deviation_add_value(value, "value", sums.loss / (double)sums.predictions, (double)run.expected[0]);
        deviation_add(gradient, "grad", run.gy, run.grad, run.N * run.O);
    }
    free(run.y), free(run.values), free(run.expected), free(run.grad), free(run.gy), free(run.labels);
    return status;
}

/* --- layers: x, y, gy, gx, param.*, grad.*, after.* --- */

struct layer_run {
    const struct record *record;
    const struct safetensors_tensor *x, *y;
    struct model *model;
    struct workspace *ws;
    float *params, *grads, *gx;
    bool training;
};

/* What no metadata says but the tensors' shapes do. */
static size_t inferred(const struct layer_run *run, struct argument more[4])
{
    const struct safetensors_tensor *weight = safetensors_find(run->record->file, "param.weight");

    memset(more, 0, 4 * sizeof *more);
    more[0].name = "out", more[1].name = "dim", more[2].name = "hidden", more[3].name = "return";
    if (weight && weight->num_dims > 0)
        snprintf(more[0].value, sizeof more[0].value, "%lld", (long long)weight->dims[0]);
    if (weight && weight->num_dims > 1)
        snprintf(more[1].value, sizeof more[1].value, "%lld", (long long)weight->dims[1]);
    snprintf(more[2].value, sizeof more[2].value, "%lld", (long long)run->y->dims[run->y->num_dims - 1]);
    snprintf(more[3].value, sizeof more[3].value, "%s", run->y->num_dims == 3 ? "all" : "last");
    return 4;
}

static int input_text(const struct layer_run *run, char *text, size_t size, struct error *err)
{
    const struct safetensors_tensor *weight = safetensors_find(run->record->file, "param.weight");
    size_t used = 0;

    if (run->x->dtype[0] == 'I') {
        if (!weight || run->x->num_dims != 2)
            return FAIL(err, ERR_INVALID, "a record with whole numbers in `x` needs x [N, T] and `param.weight`");
        snprintf(text, size, "{tokens: {length: %lld, vocabulary: %lld}}", (long long)run->x->dims[1],
                 (long long)weight->dims[0]);
        return OK;
    }
    used = (size_t)snprintf(text, size, "[");
    for (int i = 1; i < run->x->num_dims; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", i > 1 ? ", " : "", (long long)run->x->dims[i]);
    snprintf(text + used, size - used, "]");
    return OK;
}

/* A network of that layer, called `l`, and flatten behind it, for a network gives [O]. */
static int build_layer(struct layer_run *run, struct error *err)
{
    const char *kind = record_word(run->record, "kind", "");
    const struct layer_ops *ops = layer_kind_find(kind);
    struct argument more[4];
    struct diags *diags;
    char input[256], args[512], text[1024];
    int status;

    if (!ops)
        return FAIL(err, ERR_INVALID, "the record's metadata names the kind of layer `%.40s`, which there is not",
                    kind);
    status = input_text(run, input, sizeof input, err);
    if (!status)
        status =
            record_check_metadata(run->record, ops->name, (const struct param_table *const[]){ops->params, NULL}, err);
    if (!status)
        status = record_arguments(run->record, ops->params, more, inferred(run, more), args, sizeof args, err);
    if (status)
        return status;
    snprintf(text, sizeof text, "input: %s\nlayers: [l: {%s: %s}, {flatten: {}}]\n", input, kind, args);
    diags = diags_new();
    if (!diags)
        return FAIL(err, ERR_MEMORY, "out of memory");
    if (model_load_text(text, "the record's layer", NULL, &run->model, diags) != OK)
        status = diags_status(diags, err);
    diags_free(diags);
    return status;
}

/* Tensors "<prefix>.NAME" of the layer: `load` into the block, else compared with it. */
static int each_tensor(const struct layer_run *run, const char *prefix, enum tensor_role only, bool all, float *load,
                       const float *compare, struct deviation *out, struct error *err)
{
    const struct layout *layout = model_layout(run->model);

    for (size_t i = 0; i < layout->num_tensors; i++) {
        const struct tensor_info *t = &layout->tensors[i];
        char name[TENSOR_NAME_MAX + 16];
        float *values;

        if (!all && t->role != only)
            continue;
        snprintf(name, sizeof name, "%s.%s", prefix, t->name + 2); /* behind "l." */
        if (record_floats(run->record, name, t->num_dims, t->dims, &values, err) != OK)
            return ERR_INVALID;
        if (load)
            memcpy(load + t->offset, values, t->count * sizeof *values);
        else
            deviation_add(out, name, compare + t->offset, values, t->count);
        free(values);
    }
    return OK;
}

static int forward(struct layer_run *run, struct deviation *out, struct error *err)
{
    size_t n = (size_t)run->x->dims[0] * model_output_size(run->model);
    float *x = NULL, *y = NULL;
    struct rng rng;
    int status;

    rng_init(&rng, 0, "verify", "dropout", 0);
    status = record_floats(run->record, "x", 0, NULL, &x, err);
    if (!status)
        status = record_floats(run->record, "y", 0, NULL, &y, err);
    if (!status)
        deviation_add(out, "y",
                      model_forward(run->model, run->ws, run->params, x, (int)run->x->dims[0], run->training, &rng), y,
                      n);
    free(x), free(y);
    return status;
}

static int backward(struct layer_run *run, struct deviation *out, struct error *err)
{
    const bool wants_gx = run->x->dtype[0] != 'I';
    float *gy = NULL, *gx = NULL;
    int status = record_floats(run->record, "gy", run->y->num_dims, run->y->dims, &gy, err);

    if (!status && wants_gx)
        status = record_floats(run->record, "gx", run->x->num_dims, run->x->dims, &gx, err);
    if (!status) {
        model_backward(run->model, run->ws, run->params, gy, run->grads, wants_gx ? run->gx : NULL);
        if (wants_gx)
            deviation_add(out, "gx", run->gx, gx, (size_t)run->x->dims[0] * model_input_size(run->model));
        status = each_tensor(run, "grad", TENSOR_PARAMETER, false, NULL, run->grads, out, err);
    }
    free(gy), free(gx);
    return status;
}

static int run_layer(struct layer_run *run, struct comparison *out, struct error *err)
{
    struct deviation *output = comparison_add(out, "output"), *gradients = comparison_add(out, "gradients"),
                     *buffers = comparison_add(out, "buffers");
    const struct layout *layout = model_layout(run->model);
    size_t count = 1, wanted = (size_t)run->x->dims[0] * model_output_size(run->model);
    int status;

    for (int i = 0; i < run->y->num_dims; i++)
        count *= (size_t)run->y->dims[i];
    if (count != wanted)
        return FAIL(err, ERR_INVALID, "the record's `y` has %zu values, but the layer gives %zu", count, wanted);
    run->params = calloc(layout->num_floats + 1, sizeof *run->params);
    run->grads = calloc(layout->num_parameters + 1, sizeof *run->grads);
    run->gx = calloc((size_t)run->x->dims[0] * model_input_size(run->model), sizeof *run->gx);
    if (!run->params || !run->grads || !run->gx)
        return FAIL(err, ERR_MEMORY, "out of memory for a layer");
    status = workspace_new(run->model, (int)run->x->dims[0], true, &run->ws, err);
    if (!status)
        status = each_tensor(run, "param", 0, true, run->params, NULL, NULL, err);
    if (!status)
        status = forward(run, output, err);
    if (!status)
        status = backward(run, gradients, err);
    return status ? status : each_tensor(run, "after", TENSOR_BUFFER, false, NULL, run->params, buffers, err);
}

static int verify_layer(const struct record *record, struct comparison *out, struct error *err)
{
    struct layer_run run = {.record = record, .training = strcmp(record_word(record, "train", "True"), "False") != 0};
    int status;

    status = record_find(record, "x", &run.x, err);
    if (!status)
        status = record_find(record, "y", &run.y, err);
    if (!status &&
        (run.x->num_dims < 2 || run.y->num_dims < 2 || run.x->dims[0] < 1 || run.x->dims[0] > WORKSPACE_MAX_BATCH))
        status = FAIL(err, ERR_INVALID, "the record's `x` and `y` must be [N, ...]");
    if (!status)
        status = build_layer(&run, err);
    if (!status && model_vocabulary(run.model) > 0) {
        int32_t *tokens;

        status = record_numbers(record, "x", model_vocabulary(run.model), &tokens, err);
        free(tokens);
    }
    if (!status)
        status = run_layer(&run, out, err);
    workspace_free(run.ws);
    free(run.params), free(run.grads), free(run.gx);
    model_free(run.model);
    return status;
}

int verify_part(const struct record *record, struct comparison *out, struct error *err)
{
    if (safetensors_find(record->file, "p0"))
        return verify_optimizer(record, out, err);
    if (safetensors_find(record->file, "input"))
        return verify_loss(record, out, err);
    return verify_layer(record, out, err);
}
