/* What a model tells of itself. */
#include <string.h>

#include "nn/loss.h"
#include "nn/network.h"

/* Flops are those of layers; what is done everywhere once per value is not counted, as in relu. The backward pass of a
 * layer of which nothing is trained, and in front of which nothing is, does not happen. */
static double node_flops(const struct node *node, bool backward)
{
    const struct layer *layer = node->layer;

    if (!layer || !layer->ops->flops || (backward && !layer->trained && !node->wants_gx))
        return 0;
    return layer->ops->flops(layer, backward, backward && node->wants_gx);
}

const struct layout *model_layout(const struct model *model)
{
    return &model->layout;
}

size_t model_input_size(const struct model *model)
{
    return (size_t)shape_count(&model->in);
}

size_t model_output_size(const struct model *model)
{
    return (size_t)shape_count(&model->out);
}

size_t model_output_rows(const struct model *model)
{
    return model->out.num_dims == 2 ? (size_t)model->out.dims[0] : 1;
}

int64_t model_vocabulary(const struct model *model)
{
    return model->vocabulary;
}

int model_input_shape(const struct model *model, int64_t dims[TENSOR_MAX_DIMS])
{
    memcpy(dims, model->in.dims, sizeof model->in.dims);
    return model->in.num_dims;
}

static int check_shape(const struct model *model, const struct item_facts *items, struct error *err)
{
    char item[SHAPE_TEXT_MAX], input[SHAPE_TEXT_MAX];
    size_t size = 1;

    for (int i = 0; i < items->num_dims; i++)
        size *= (size_t)items->dims[i];
    shape_text(items->num_dims, items->dims, item);
    shape_text(model->in.num_dims, model->in.dims, input);
    if (size != model_input_size(model))
        return FAIL(err, ERR_INVALID,
                    "an item is %s, but the model takes %s; `padding` and the model's `input` must fit", item, input);
    if (model->vocabulary > 0 && items->vocabulary == 0)
        return FAIL(err, ERR_INVALID, "its items are values, but the model takes tokens (text)");
    if (model->vocabulary == 0 && items->vocabulary > 0)
        return FAIL(err, ERR_INVALID, "its items are tokens, but the model takes values: its `input` must be `tokens`");
    if (items->vocabulary > model->vocabulary)
        return FAIL(err, ERR_INVALID, "it has %lld different tokens, but the model knows only %lld",
                    (long long)items->vocabulary, (long long)model->vocabulary);
    return OK;
}

static int check_targets(const struct model *model, const struct item_facts *items, const struct loss_ops *loss,
                         struct error *err)
{
    size_t predictions = model_output_rows(model), O = model_output_size(model) / predictions;

    if (items->has_values && loss && !loss->wants_values)
        return FAIL(err, ERR_INVALID, "its targets are values, but the loss %s takes labels; take mean_square_error",
                    loss->name);
    if (items->num_targets != (items->has_values ? predictions * O : predictions))
        return FAIL(err, ERR_INVALID, "an item has %zu %s, but the model gives %zu", items->num_targets,
                    items->has_values ? "values to predict" : "labels",
                    items->has_values ? predictions * O : predictions);
    if (!items->has_values && !(loss && loss->wants_values && O == 1) &&
        (items->num_classes < 0 || (uint64_t)items->num_classes > O))
        return FAIL(err, ERR_INVALID,
                    "it has %lld classes, but the model tells only %zu apart; set "
                    "model_config.model_args.num_classes",
                    (long long)items->num_classes, O);
    return OK;
}

int model_check_items(const struct model *model, const struct item_facts *items, const struct loss_ops *loss,
                      struct error *err)
{
    int status = check_shape(model, items, err);

    return status ? status : check_targets(model, items, loss, err);
}

double model_flops_forward(const struct model *model)
{
    double flops = 0;

    for (size_t i = 0; i < model->num_nodes; i++)
        flops += node_flops(&model->nodes[i], false);
    return flops;
}

double model_flops_train(const struct model *model)
{
    double flops = model_flops_forward(model);

    for (size_t i = 0; i < model->num_nodes; i++)
        flops += node_flops(&model->nodes[i], true);
    return flops;
}

void model_init_params(const struct model *model, uint64_t seed, float *params)
{
    memset(params, 0, model->layout.num_floats * sizeof *params);
    for (size_t i = 0; i < model->num_nodes; i++) {
        const struct layer *layer = model->nodes[i].layer;

        if (layer && layer->ops->init)
            layer->ops->init(layer, seed, params);
    }
}

size_t model_num_layers(const struct model *model)
{
    return model->num_nodes;
}

/* A residual shows where it ends, under its own name. */
bool model_layer_at(const struct model *model, size_t i, struct layer_facts *out)
{
    const struct node *node = &model->nodes[i];
    const struct layer *layer = node->layer;

    if (node->kind == NODE_FORK || node->kind == NODE_BRANCH)
        return false;
    *out = (struct layer_facts){
        .name = node->name,
        .kind = layer ? layer->ops->name : "residual",
        .num_dims = node->out.num_dims,
        .flops_forward = node_flops(node, false),
    };
    memcpy(out->dims, node->out.dims, sizeof out->dims);
    for (int t = 0; layer && t < layer->num_tensors; t++) {
        const struct tensor_info *tensor = &model->layout.tensors[layer->tensor_index[t]];

        *(tensor->role == TENSOR_PARAMETER ? &out->parameters : &out->buffers) += tensor->count;
    }
    return true;
}

bool model_carries(const struct model *model)
{
    for (size_t i = 0; i < model->num_nodes; i++)
        if (model->nodes[i].kind == NODE_LAYER && model->nodes[i].layer->carries)
            return true;
    return false;
}
