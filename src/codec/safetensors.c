#include "codec/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are copied as they lie in memory");

enum {
    PREFIX_SIZE = 8,
    MAX_HEADER = SAFETENSORS_MAX_HEADER,
    MAX_TENSORS = SAFETENSORS_MAX_TENSORS,
};

static const char metadata_key[] = "__metadata__";

struct safetensors {
    json_t *header;
    struct safetensors_tensor *tensors; /* in the header's order; names belong to `header` */
    struct safetensors_tensor **by_name;
    size_t n;
};

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    {"F32", 4},  {"I64", 8}, {"U8", 1},  {"I32", 4}, {"F64", 8}, {"F16", 2},     {"BF16", 2},    {"I16", 2},
    {"BOOL", 1}, {"I8", 1},  {"U16", 2}, {"U32", 4}, {"U64", 8}, {"F8_E5M2", 1}, {"F8_E4M3", 1},
};

static size_t dtype_size(const char *name)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return dtypes[i].size;
    return 0;
}

static int parse_dtype(const json_t *entry, struct safetensors_tensor *tensor, struct error *err)
{
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));

    if (!dtype || !dtype_size(dtype))
        return FAIL(err, ERR_CORRUPT, "tensor %s: dtype is %s", tensor->name, dtype ? "unknown" : "missing");
    snprintf(tensor->dtype, sizeof tensor->dtype, "%s", dtype);
    return OK;
}

static int parse_shape(const json_t *entry, struct safetensors_tensor *tensor, struct error *err)
{
    const json_t *shape = json_object_get(entry, "shape");
    size_t n = json_array_size(shape);

    if (!json_is_array(shape) || n > TENSOR_MAX_DIMS)
        return FAIL(err, ERR_CORRUPT, "tensor %s: shape must be a list of at most %d sizes", tensor->name,
                    TENSOR_MAX_DIMS);
    tensor->num_dims = (int)n;
    for (size_t i = 0; i < n; i++) {
        const json_t *dim = json_array_get(shape, i);

        tensor->dims[i] = json_integer_value(dim);
        if (!json_is_integer(dim) || tensor->dims[i] < 0)
            return FAIL(err, ERR_CORRUPT, "tensor %s: shape[%zu] is not a size", tensor->name, i);
    }
    return OK;
}

/* Bytes that shape and dtype ask for; false where they pass `limit`. */
static bool tensor_bytes(const struct safetensors_tensor *tensor, size_t limit, size_t *bytes)
{
    *bytes = dtype_size(tensor->dtype);
    for (int i = 0; i < tensor->num_dims; i++)
        if (tensor->dims[i] == 0) {
            *bytes = 0;
            return true;
        }
    for (int i = 0; i < tensor->num_dims; i++) {
        if ((uint64_t)tensor->dims[i] > limit / *bytes)
            return false;
        *bytes *= (size_t)tensor->dims[i];
    }
    return *bytes <= limit;
}

static int parse_offsets(const json_t *entry, struct span data, struct safetensors_tensor *tensor, struct error *err)
{
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    json_int_t from = json_integer_value(begin), to = json_integer_value(end);
    size_t needed;

    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end))
        return FAIL(err, ERR_CORRUPT, "tensor %s: data_offsets must be two numbers", tensor->name);
    if (from < 0 || to < from || (uint64_t)to > data.size)
        return FAIL(err, ERR_CORRUPT, "tensor %s: data_offsets [%lld, %lld] lie outside the %zu bytes of data",
                    tensor->name, (long long)from, (long long)to, data.size);
    if (!tensor_bytes(tensor, data.size, &needed) || needed != (size_t)(to - from)) {
        char shape[SHAPE_TEXT_MAX];

        shape_text(tensor->num_dims, tensor->dims, shape);
        return FAIL(err, ERR_CORRUPT, "tensor %s: %lld bytes do not hold %s of shape %s", tensor->name,
                    (long long)(to - from), tensor->dtype, shape);
    }
    tensor->bytes = span_of((const char *)data.data + from, (size_t)(to - from));
    return OK;
}

static int parse_tensor(const json_t *entry, struct span data, struct safetensors_tensor *tensor, struct error *err)
{
    int status;

    if (!json_is_object(entry))
        return FAIL(err, ERR_CORRUPT, "tensor %s: its entry is not an object", tensor->name);
    if ((status = parse_dtype(entry, tensor, err)) != OK)
        return status;
    if ((status = parse_shape(entry, tensor, err)) != OK)
        return status;
    return parse_offsets(entry, data, tensor, err);
}

static int parse_metadata(const json_t *metadata, struct error *err)
{
    const char *key;
    json_t *value;

    if (!json_is_object(metadata))
        return FAIL(err, ERR_CORRUPT, "%s is not an object", metadata_key);
    json_object_foreach((json_t *)metadata, key, value) if (!json_is_string(value)) return FAIL(
        err, ERR_CORRUPT, "%s: the value of %.100s is not a string", metadata_key, key);
    return OK;
}

static int parse_entries(struct safetensors *file, struct span data, struct error *err)
{
    const char *key;
    json_t *value;
    int status;

    json_object_foreach(file->header, key, value)
    {
        if (strcmp(key, metadata_key) == 0) {
            status = parse_metadata(value, err);
        } else {
            struct safetensors_tensor *tensor = &file->tensors[file->n++];

            tensor->name = key;
            status = strlen(key) < TENSOR_NAME_MAX
                         ? parse_tensor(value, data, tensor, err)
                         : FAIL(err, ERR_CORRUPT, "a tensor's name is longer than %d bytes", TENSOR_NAME_MAX - 1);
        }
        if (status != OK)
            return status;
    }
    return OK;
}

static int compare_names(const void *a, const void *b)
{
    const struct safetensors_tensor *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

static int compare_places(const void *a, const void *b)
{
    const struct safetensors_tensor *const *x = a, *const *y = b;
    const char *p = (*x)->bytes.data, *q = (*y)->bytes.data;

    /* Empty tensors share their place with a neighbour and go before it. */
    if (p != q)
        return p < q ? -1 : 1;
    return ((*x)->bytes.size > 0) - ((*y)->bytes.size > 0);
}

/* The format allows neither overlaps nor holes; that also stops a small file from naming the same bytes many times. */
static int check_places(struct safetensors *file, struct span data, struct error *err)
{
    const char *at = data.data;

    for (size_t i = 0; i < file->n; i++)
        file->by_name[i] = &file->tensors[i];
    qsort(file->by_name, file->n, sizeof *file->by_name, compare_places);
    for (size_t i = 0; i < file->n; i++) {
        const struct safetensors_tensor *tensor = file->by_name[i];

        if ((const char *)tensor->bytes.data != at)
            return FAIL(err, ERR_CORRUPT, "tensor %s: its data %s", tensor->name,
                        (const char *)tensor->bytes.data < at ? "overlaps another tensor's" : "follows a gap");
        at += tensor->bytes.size;
    }
    if (at != (const char *)data.data + data.size)
        return FAIL(err, ERR_CORRUPT, "%zu bytes after the last tensor",
                    (size_t)((const char *)data.data + data.size - at));
    return OK;
}

static int parse_header(struct span text, struct safetensors *file, struct error *err)
{
    const char *bytes = text.data;
    size_t separators = 0;
    json_error_t where;

    for (size_t i = 0; i < text.size; i++)
        separators += bytes[i] == ',' || bytes[i] == ':';
    if (separators > SAFETENSORS_MAX_SEPARATORS)
        return FAIL(err, ERR_CORRUPT, "the header has too many values");
    file->header = json_loadb(bytes, text.size, JSON_REJECT_DUPLICATES, &where);
    if (!file->header)
        return FAIL(err, ERR_CORRUPT, "header at byte %d: %s", where.position + PREFIX_SIZE, where.text);
    if (!json_is_object(file->header) || json_object_size(file->header) > MAX_TENSORS)
        return FAIL(err, ERR_CORRUPT, "the header is not an object of at most %d tensors", MAX_TENSORS);
    return OK;
}

static int parse_image(struct span header, struct span data, struct safetensors *file, struct error *err)
{
    int status = parse_header(header, file, err);
    size_t n;

    if (status != OK)
        return status;
    n = json_object_size(file->header) + 1;
    file->tensors = calloc(n, sizeof *file->tensors);
    file->by_name = calloc(n, sizeof *file->by_name);
    if (!file->tensors || !file->by_name)
        return FAIL(err, ERR_MEMORY, "out of memory for %zu tensors", n);
    if ((status = parse_entries(file, data, err)) != OK)
        return status;
    if ((status = check_places(file, data, err)) != OK)
        return status;
    qsort(file->by_name, file->n, sizeof *file->by_name, compare_names);
    return OK;
}

int safetensors_parse(struct span image, struct safetensors **out, struct error *err)
{
    const char *bytes = image.data;
    struct safetensors *file;
    uint64_t header_size;
    int status;

    *out = NULL;
    if (!bytes || image.size < PREFIX_SIZE)
        return FAIL(err, ERR_CORRUPT, "safetensors: %zu bytes are too short for a header", image.size);
    memcpy(&header_size, bytes, sizeof header_size);
    if (header_size > MAX_HEADER || header_size > image.size - PREFIX_SIZE)
        return FAIL(err, ERR_CORRUPT, "safetensors: a header of %llu bytes is announced in %zu bytes (at most %d)",
                    (unsigned long long)header_size, image.size, MAX_HEADER);
    file = calloc(1, sizeof *file);
    if (!file)
        return FAIL(err, ERR_MEMORY, "safetensors: out of memory");
    bytes += PREFIX_SIZE;
    status = parse_image(span_of(bytes, header_size),
                         span_of(bytes + header_size, image.size - PREFIX_SIZE - header_size), file, err);
    if (status != OK) {
        safetensors_free(file);
        return error_context(err, status, "safetensors");
    }
    *out = file;
    return OK;
}

void safetensors_free(struct safetensors *file)
{
    if (!file)
        return;
    json_decref(file->header);
    free(file->tensors);
    free(file->by_name);
    free(file);
}

size_t safetensors_count(const struct safetensors *file)
{
    return file->n;
}

const struct safetensors_tensor *safetensors_at(const struct safetensors *file, size_t i)
{
    return &file->tensors[i];
}

const struct safetensors_tensor *safetensors_find(const struct safetensors *file, const char *name)
{
    struct safetensors_tensor wanted = {.name = name};
    struct safetensors_tensor *key = &wanted, **found;

    if (file->n == 0)
        return NULL;
    found = bsearch(&key, file->by_name, file->n, sizeof *file->by_name, compare_names);
    return found ? *found : NULL;
}

const json_t *safetensors_all_metadata(const struct safetensors *file)
{
    return json_object_get(file->header, metadata_key);
}

const char *safetensors_metadata(const struct safetensors *file, const char *key)
{
    return json_string_value(json_object_get(safetensors_all_metadata(file), key));
}

static int decode_tensor(const struct tensor_info *want, const struct safetensors_tensor *have, float *weights,
                         struct error *err)
{
    const char *dtype = want->is_i64 ? "I64" : "F32", *at = have->bytes.data;

    if (!shape_equal(want->num_dims, want->dims, have->num_dims, have->dims)) {
        char expected[SHAPE_TEXT_MAX], found[SHAPE_TEXT_MAX];

        shape_text(want->num_dims, want->dims, expected);
        shape_text(have->num_dims, have->dims, found);
        return FAIL(err, ERR_INVALID, "tensor %s: shape %s expected, %s found", want->name, expected, found);
    }
    if (strcmp(have->dtype, dtype) != 0)
        return FAIL(err, ERR_INVALID, "tensor %s: type %s expected, %s found", want->name, dtype, have->dtype);
    if (!want->is_i64) {
        memcpy(weights + want->offset, at, have->bytes.size);
        return OK;
    }
    for (size_t i = 0; i < want->count; i++) {
        int64_t whole;

        memcpy(&whole, at + i * sizeof whole, sizeof whole);
        weights[want->offset + i] = (float)whole;
    }
    return OK;
}

static int decode_all(const struct layout *layout, const struct safetensors *file, float *weights, struct error *err)
{
    for (size_t i = 0; i < layout->num_tensors; i++) {
        const struct tensor_info *want = &layout->tensors[i];
        const struct safetensors_tensor *have = safetensors_find(file, want->name);
        int status;

        if (!have)
            return FAIL(err, ERR_INVALID, "tensor %s is missing", want->name);
        if ((status = decode_tensor(want, have, weights, err)) != OK)
            return status;
    }
    for (size_t i = 0; i < file->n && file->n != layout->num_tensors; i++)
        if (!layout_find(layout, file->tensors[i].name))
            return FAIL(err, ERR_INVALID, "tensor %s is not of this model", file->tensors[i].name);
    return OK;
}

int safetensors_decode(const struct layout *layout, struct span image, float *weights, struct error *err)
{
    struct safetensors *file;
    int status = safetensors_parse(image, &file, err);

    if (status != OK)
        return status;
    status = decode_all(layout, file, weights, err);
    safetensors_free(file);
    return status;
}
