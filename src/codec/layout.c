#include "codec/layout.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void layout_init(struct layout *layout)
{
    memset(layout, 0, sizeof *layout);
}

void layout_fini(struct layout *layout)
{
    free(layout->tensors);
    layout_init(layout);
}

static int layout_grow(struct layout *layout, struct error *err)
{
    size_t capacity = layout->capacity ? 2 * layout->capacity : 16;
    struct tensor_info *tensors;

    if (layout->num_tensors < layout->capacity)
        return OK;
    tensors = realloc(layout->tensors, capacity * sizeof *tensors);
    if (!tensors)
        return FAIL(err, ERR_MEMORY, "out of memory for %zu tensors", capacity);
    layout->tensors = tensors;
    layout->capacity = capacity;
    return OK;
}

/* The product of dims, or an error; a scalar (no dims) counts 1. */
static int layout_count(const char *name, int num_dims, const int64_t *dims, size_t *count, struct error *err)
{
    size_t product = 1;

    for (int i = 0; i < num_dims; i++) {
        if (dims[i] < 0 || (dims[i] > 0 && product > SIZE_MAX / sizeof(int64_t) / (size_t)dims[i]))
            return FAIL(err, ERR_INVALID, "tensor %s: dimension %d (%lld) is out of range", name, i,
                        (long long)dims[i]);
        product *= (size_t)dims[i];
    }
    *count = product;
    return OK;
}

static int layout_check(const struct layout *layout, const char *name, int num_dims, struct error *err)
{
    if (!*name || strlen(name) >= TENSOR_NAME_MAX)
        return FAIL(err, ERR_INVALID, "a tensor's name must have 1 to %d bytes: `%.40s`", TENSOR_NAME_MAX - 1, name);
    if (num_dims < 0 || num_dims > TENSOR_MAX_DIMS)
        return FAIL(err, ERR_INVALID, "tensor %s: %d dimensions; at most %d", name, num_dims, TENSOR_MAX_DIMS);
    if (layout_find(layout, name))
        return FAIL(err, ERR_EXISTS, "two tensors are called %s", name);
    return OK;
}

/* A parameter that comes after buffers pushes them back: parameters lie first in the block. */
static void layout_place(struct layout *layout, struct tensor_info *tensor)
{
    tensor->offset = tensor->role == TENSOR_PARAMETER ? layout->num_parameters : layout->num_floats;
    layout->num_floats += tensor->count;
    if (tensor->role != TENSOR_PARAMETER)
        return;
    layout->num_parameters += tensor->count;
    for (struct tensor_info *t = layout->tensors; t < tensor; t++)
        if (t->role == TENSOR_BUFFER)
            t->offset += tensor->count;
}

int layout_add(struct layout *layout, const char *name, enum tensor_role role, bool is_i64, int num_dims,
               const int64_t *dims, struct error *err)
{
    struct tensor_info *tensor;
    size_t count = 0;
    int status = layout_check(layout, name, num_dims, err);

    if (status == OK)
        status = layout_count(name, num_dims, dims, &count, err);
    if (status == OK && count > SIZE_MAX / sizeof(int64_t) - layout->num_floats)
        status = FAIL(err, ERR_INVALID, "tensor %s: the model becomes too large", name);
    if (status == OK)
        status = layout_grow(layout, err);
    if (status != OK)
        return status;

    tensor = &layout->tensors[layout->num_tensors++];
    memset(tensor, 0, sizeof *tensor);
    snprintf(tensor->name, sizeof tensor->name, "%s", name);
    tensor->role = role;
    tensor->is_i64 = is_i64;
    tensor->num_dims = num_dims;
    for (int i = 0; i < num_dims; i++)
        tensor->dims[i] = dims[i];
    tensor->count = count;
    layout_place(layout, tensor);
    return OK;
}

const struct tensor_info *layout_find(const struct layout *layout, const char *name)
{
    for (size_t i = 0; i < layout->num_tensors; i++)
        if (strcmp(layout->tensors[i].name, name) == 0)
            return &layout->tensors[i];
    return NULL;
}

int layout_copy(const struct layout *from, struct layout *to, struct error *err)
{
    size_t n = from->num_tensors;

    layout_init(to);
    if (n == 0)
        return OK;
    to->tensors = malloc(n * sizeof *to->tensors);
    if (!to->tensors)
        return FAIL(err, ERR_MEMORY, "out of memory for %zu tensors", n);
    memcpy(to->tensors, from->tensors, n * sizeof *to->tensors);
    to->num_tensors = to->capacity = n;
    to->num_floats = from->num_floats;
    to->num_parameters = from->num_parameters;
    return OK;
}

/* "[6, 1, 5, 5]" */
void shape_text(int num_dims, const int64_t *dims, char text[SHAPE_TEXT_MAX])
{
    int used = snprintf(text, SHAPE_TEXT_MAX, "[");

    for (int i = 0; i < num_dims; i++)
        used += snprintf(text + used, (size_t)(SHAPE_TEXT_MAX - used), "%s%lld", i ? ", " : "", (long long)dims[i]);
    snprintf(text + used, (size_t)(SHAPE_TEXT_MAX - used), "]");
}

bool shape_equal(int num_dims_a, const int64_t *a, int num_dims_b, const int64_t *b)
{
    if (num_dims_a != num_dims_b)
        return false;
    for (int i = 0; i < num_dims_a; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

static int tensor_compare(const struct tensor_info *a, const struct tensor_info *b, struct error *err)
{
    char shape_a[SHAPE_TEXT_MAX], shape_b[SHAPE_TEXT_MAX];

    if (strcmp(a->name, b->name) != 0)
        return FAIL(err, ERR_INVALID, "tensor %s expected, %s found", a->name, b->name);
    if (!shape_equal(a->num_dims, a->dims, b->num_dims, b->dims)) {
        shape_text(a->num_dims, a->dims, shape_a);
        shape_text(b->num_dims, b->dims, shape_b);
        return FAIL(err, ERR_INVALID, "tensor %s: shape %s expected, %s found", a->name, shape_a, shape_b);
    }
    if (a->role != b->role || a->is_i64 != b->is_i64)
        return FAIL(err, ERR_INVALID, "tensor %s: %s %s expected, %s %s found", a->name, a->is_i64 ? "I64" : "F32",
                    a->role == TENSOR_PARAMETER ? "parameter" : "buffer", b->is_i64 ? "I64" : "F32",
                    b->role == TENSOR_PARAMETER ? "parameter" : "buffer");
    return OK;
}

int layout_compare(const struct layout *expected, const struct layout *found, struct error *err)
{
    for (size_t i = 0; i < expected->num_tensors || i < found->num_tensors; i++) {
        int status;

        if (i >= found->num_tensors)
            return FAIL(err, ERR_INVALID, "tensor %s is missing", expected->tensors[i].name);
        if (i >= expected->num_tensors)
            return FAIL(err, ERR_INVALID, "tensor %s is not of this model", found->tensors[i].name);
        status = tensor_compare(&expected->tensors[i], &found->tensors[i], err);
        if (status != OK)
            return status;
    }
    return OK;
}
