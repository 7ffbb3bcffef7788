#include "data/arrays.h"

#include <math.h>
#include <string.h>

#include "data/labels.h"

size_t array_type_size(enum array_type type)
{
    static const size_t sizes[] = {1, 4, 8, 2, 4, 8};

    return sizes[type];
}

static bool is_float(enum array_type type)
{
    return type == ARRAY_F16 || type == ARRAY_F32 || type == ARRAY_F64;
}

int arrays_describe(const struct data_array *x, struct dataset *out, struct error *err)
{
    if (x->num_dims < 2 || x->num_dims > DATA_MAX_DIMS + 1)
        return FAIL(err, ERR_INVALID, "`%s` has %d dimensions: the items and 1 to %d more are possible", x->name,
                    x->num_dims, DATA_MAX_DIMS);
    for (int i = 0; i < x->num_dims; i++)
        if (x->dims[i] < 1)
            return FAIL(err, ERR_INVALID, "`%s`: dimension %d is %lld: there is no data", x->name, i,
                        (long long)x->dims[i]);
    out->type = x->type == ARRAY_U8 ? DATA_U8 : is_float(x->type) ? DATA_F32 : DATA_I32;
    out->num_items = (size_t)x->dims[0];
    out->num_dims = x->num_dims - 1;
    for (int i = 0; i < out->num_dims; i++)
        out->dims[i] = x->dims[i + 1];
    return OK;
}

/* IEEE 754 half precision. */
static float half_to_float(uint16_t half)
{
    int exponent = half >> 10 & 31, fraction = half & 1023;
    float value = exponent == 0    ? ldexpf((float)fraction, -24)
                  : exponent == 31 ? (fraction ? NAN : INFINITY)
                                   : ldexpf((float)(fraction + 1024), exponent - 25);

    return half & 0x8000 ? -value : value;
}

static float float_at(const struct data_array *array, size_t i)
{
    const unsigned char *at = (const unsigned char *)array->bytes.data + i * array_type_size(array->type);
    uint16_t half;
    float single;
    double wide;

    if (array->type == ARRAY_F16) {
        memcpy(&half, at, sizeof half);
        return half_to_float(half);
    }
    if (array->type == ARRAY_F32) {
        memcpy(&single, at, sizeof single);
        return single;
    }
    memcpy(&wide, at, sizeof wide);
    return (float)wide;
}

/* What does not fit into int32_t, or is negative, becomes -1, which no label may be. */
static int32_t integer_at(const struct data_array *array, size_t i)
{
    const unsigned char *at = (const unsigned char *)array->bytes.data + i * array_type_size(array->type);
    int64_t wide = *at;
    int32_t narrow;

    if (array->type == ARRAY_I64)
        memcpy(&wide, at, sizeof wide);
    if (array->type == ARRAY_I32) {
        memcpy(&narrow, at, sizeof narrow);
        wide = narrow;
    }
    return wide >= 0 && wide <= INT32_MAX ? (int32_t)wide : -1;
}

static unsigned long long place_of(const struct data_array *array, size_t i)
{
    return array->first_byte + i * array_type_size(array->type);
}

static int read_floats(const struct data_array *array, size_t n, float *out, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = float_at(array, i);
        if (!isfinite(out[i]))
            return FAIL(err, ERR_INVALID,
                        "byte %llu: value %zu of `%s` is not a finite number (of single precision): replace or leave "
                        "out what is missing",
                        place_of(array, i), i, array->name);
    }
    return OK;
}

static int read_integers(const struct data_array *array, size_t n, int32_t *out, struct error *err)
{
    if (is_float(array->type))
        return FAIL(err, ERR_UNIMPLEMENTED,
                    "`%s` has a type of floats; 64-bit, 32-bit and unsigned 8-bit integers are read: convert it",
                    array->name);
    for (size_t i = 0; i < n; i++)
        out[i] = integer_at(array, i);
    return OK;
}

static int read_tokens(const struct data_array *x, struct dataset *out, int32_t *to, struct error *err)
{
    int64_t limit = out->vocabulary > 0 ? out->vocabulary : DATA_MAX_CLASSES, largest = 0;
    size_t n = out->num_items * out->item_size;

    for (size_t i = 0; i < n; i++) {
        to[i] = integer_at(x, i);
        if (to[i] < 0 || to[i] >= limit)
            return FAIL(
                err, ERR_INVALID,
                "byte %llu: value %zu of `%s` is no token between 0 and %lld; whole numbers are tokens: convert "
                "features to floats",
                place_of(x, i), i, x->name, (long long)limit - 1);
        largest = to[i] > largest ? to[i] : largest;
    }
    out->vocabulary = out->vocabulary > 0 ? out->vocabulary : largest + 1;
    return OK;
}

static int read_x(const struct data_array *x, struct dataset *out, void *to, struct error *err)
{
    if (out->type == DATA_I32)
        return read_tokens(x, out, to, err);
    if (out->type == DATA_F32)
        return read_floats(x, out->num_items * out->item_size, to, err);
    memcpy(to, x->bytes.data, x->bytes.size);
    return OK;
}

/* [n], or [n, targets]. */
static int check_targets(const struct data_array *y, const struct dataset *out, size_t *num_targets, struct error *err)
{
    if (y->num_dims < 1 || y->num_dims > 2 || y->dims[0] != (int64_t)out->num_items ||
        (y->num_dims == 2 && y->dims[1] < 1))
        return FAIL(err, ERR_INVALID,
                    "`%s` must have the shape [%zu], one value for each item of `x`, or [%zu, targets] for several",
                    y->name, out->num_items, out->num_items);
    *num_targets = y->num_dims == 2 ? (size_t)y->dims[1] : 1;
    return OK;
}

static int read_labels(const struct data_array *y, struct dataset *out, int32_t *labels, struct error *err)
{
    const struct label_places places = {.first_byte = y->first_byte, .width = array_type_size(y->type)};
    size_t n = out->num_items * out->num_targets;
    int status = read_integers(y, n, labels, err);

    return status ? status : labels_check(labels, n, &places, &out->num_classes, err);
}

static int read_groups(const struct data_array *group, struct dataset *out, int32_t *groups, struct error *err)
{
    if (group->num_dims != 1 || group->dims[0] != (int64_t)out->num_items)
        return FAIL(err, ERR_INVALID, "`%s` must have the shape [%zu], one value for each item of `x`", group->name,
                    out->num_items);
    int status = read_integers(group, out->num_items, groups, err);
    for (size_t i = 0; i < out->num_items && !status; i++)
        if (groups[i] < 0)
            status = FAIL(err, ERR_INVALID, "byte %llu: the group of item %zu is not between 0 and %d",
                          place_of(group, i), i, INT32_MAX);
    return status;
}

int arrays_fill(const struct data_arrays *arrays, struct dataset *out, struct error *err)
{
    struct dataset_need need = {.groups = arrays->group, .values = is_float(arrays->y->type)};
    struct dataset_fill fill = {0};
    int status = check_targets(arrays->y, out, &need.num_targets, err);

    need.tokens_text = arrays->tokens ? arrays->tokens->bytes.size : 0;
    if (!status && arrays->tokens && arrays->tokens->type != ARRAY_U8)
        status = FAIL(err, ERR_INVALID, "`%s` must be bytes: one token a line", arrays->tokens->name);
    if (!status)
        status = dataset_alloc_for(out, &need, &fill, err);
    if (!status)
        status = read_x(arrays->x, out, fill.x, err);
    if (!status && need.values)
        status = read_floats(arrays->y, out->num_items * out->num_targets, fill.values, err);
    if (!status && !need.values)
        status = read_labels(arrays->y, out, fill.labels, err);
    if (!status && need.groups)
        status = read_groups(arrays->group, out, fill.groups, err);
    if (!status && need.tokens_text)
        memcpy(fill.tokens_text, arrays->tokens->bytes.data, need.tokens_text);
    if (!status && need.values)
        out->num_classes = 0;
    return status;
}
