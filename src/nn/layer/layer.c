#include "nn/layer/layer.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t shape_count(const struct shape *shape)
{
    int64_t count = 1;

    for (int i = 0; i < shape->num_dims; i++)
        count *= shape->dims[i];
    return count;
}

int layer_error(const struct layer *layer, struct layer_builder *builder, const char *format, ...)
{
    char text[400];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    diag_error(builder->diags, layer->place, "%s (%s): %s", layer->name, layer->ops->name, text);
    return ERR_INVALID;
}

static int add(struct layer *layer, struct layer_builder *builder, const char *name, enum tensor_role role, bool is_i64,
               int num_dims, const int64_t *dims)
{
    char full[LAYER_NAME_MAX + 64];
    struct error err = ERROR_INIT;
    int64_t room = MODEL_MAX_FLOATS - (int64_t)builder->layout->num_floats;

    for (int i = 0; i < num_dims; i++)
        room /= dims[i];
    if (room < 1)
        return layer_error(layer, builder, "its %s makes the model larger than %lld values", name,
                           (long long)MODEL_MAX_FLOATS);
    snprintf(full, sizeof full, "%s.%s", layer->name, name);
    if (layout_add(builder->layout, full, role, is_i64, num_dims, dims, &err) != OK)
        return layer_error(layer, builder, "%s", err.message);
    assert(layer->num_tensors < LAYER_MAX_TENSORS);
    layer->tensor_index[layer->num_tensors++] = (int)builder->layout->num_tensors - 1;
    layer->trained |= role == TENSOR_PARAMETER;
    return OK;
}

int layer_add_tensor(struct layer *layer, struct layer_builder *builder, const char *name, int num_dims,
                     const int64_t *dims)
{
    return add(layer, builder, name, TENSOR_PARAMETER, false, num_dims, dims);
}

int layer_add_buffer(struct layer *layer, struct layer_builder *builder, const char *name, bool is_i64, int num_dims,
                     const int64_t *dims)
{
    return add(layer, builder, name, TENSOR_BUFFER, is_i64, num_dims, dims);
}

int64_t layer_vocabulary(const struct layer_builder *builder)
{
    return builder->vocabulary;
}

int layer_expect_dims(const struct layer *layer, struct layer_builder *builder, int num_dims, const char *wanted)
{
    char found[SHAPE_TEXT_MAX];

    if (layer->in.num_dims == num_dims)
        return OK;
    shape_text(layer->in.num_dims, layer->in.dims, found);
    return layer_error(layer, builder, "needs an input of shape %s, but gets %s", wanted, found);
}

int layer_pair(const struct layer *layer, struct layer_builder *builder, const char *key, const struct int_list *list,
               int pair[2])
{
    if (list->n > 2)
        return layer_error(layer, builder, "%s takes one number or two ([height, width])", key);
    for (size_t i = 0; i < 2 && list->n > 0; i++)
        pair[i] = (int)list->items[list->n == 1 ? 0 : i];
    return OK;
}

void layer_init_uniform(const struct layer *layer, int index, const char *name, size_t count, size_t fan_in,
                        uint64_t seed, float *params)
{
    char full[LAYER_NAME_MAX + 64];
    float bound = (float)(1 / sqrt((double)fan_in));
    struct rng rng;

    snprintf(full, sizeof full, "%s.%s", layer->name, name);
    rng_init(&rng, seed, "init", full, 0);
    for (size_t i = 0; i < count; i++)
        params[layer->tensors[index] + i] = rng_uniform_between(&rng, -bound, bound);
}

static int layer_check_size(const struct layer *layer, struct layer_builder *builder)
{
    int64_t count = 1;

    for (int i = 0; i < layer->out.num_dims; i++) {
        if (layer->out.dims[i] > LAYER_MAX_VALUES / count)
            return layer_error(layer, builder, "its output has more than %lld values", (long long)LAYER_MAX_VALUES);
        count *= layer->out.dims[i];
    }
    return OK;
}

int layer_new(const struct layer_ops *ops, const char *name, struct diag_place place, void *args,
              const struct shape *in, struct layer_builder *builder, struct layer **out)
{
    struct layer *layer = calloc(1, sizeof *layer);
    int status;

    *out = NULL;
    if (!layer) {
        if (ops->params && args)
            params_free(ops->params, args);
        free(args);
        diag_error(builder->diags, place, "out of memory");
        return ERR_MEMORY;
    }
    layer->ops = ops;
    layer->place = place;
    layer->args = args;
    layer->in = *in;
    layer->in_size = (size_t)shape_count(in);
    snprintf(layer->name, sizeof layer->name, "%s", name);
    status = ops->build(layer, builder);
    if (status == OK)
        status = layer_check_size(layer, builder);
    if (status != OK) {
        layer_free(layer);
        return status;
    }
    layer->out_size = (size_t)shape_count(&layer->out);
    layer->place.file = NULL; /* borrowed from the document that goes now */
    *out = layer;
    return OK;
}

void layer_locate(struct layer *layer, const struct layout *layout)
{
    for (int i = 0; i < layer->num_tensors; i++)
        layer->tensors[i] = layout->tensors[layer->tensor_index[i]].offset;
}

void layer_free(struct layer *layer)
{
    if (!layer)
        return;
    if (layer->ops->fini)
        layer->ops->fini(layer);
    if (layer->ops->params && layer->args)
        params_free(layer->ops->params, layer->args);
    free(layer->args);
    free(layer);
}
