#include "data/tensor_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec/safetensors.h"
#include "data/arrays.h"
#include "data/labels.h"
#include "data/transform_args.h"
#include "util/fs.h"

struct source_file {
    struct span image;
    struct safetensors *parsed;
};

static uint64_t place_of(const struct source_file *file, const struct safetensors_tensor *tensor)
{
    return (uint64_t)((const char *)tensor->bytes.data - (const char *)file->image.data);
}

static int type_of(const struct safetensors_tensor *tensor, enum array_type *type, struct error *err)
{
    static const struct {
        char text[4];
        enum array_type type;
    } types[] = {{"U8", ARRAY_U8},   {"I32", ARRAY_I32}, {"I64", ARRAY_I64},
                 {"F16", ARRAY_F16}, {"F32", ARRAY_F32}, {"F64", ARRAY_F64}};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(tensor->dtype, types[i].text) == 0) {
            *type = types[i].type;
            return OK;
        }
    return FAIL(err, ERR_UNIMPLEMENTED, "tensor `%s` has type %s; U8, I32, I64, F16, F32 and F64 are read: convert it",
                tensor->name, tensor->dtype);
}

/* *found false and OK: the file has no such tensor. */
static int find_array(const struct source_file *file, const char *name, struct data_array *out, bool *found,
                      struct error *err)
{
    const struct safetensors_tensor *tensor = safetensors_find(file->parsed, name);

    *found = tensor != NULL;
    if (!tensor)
        return OK;
    _Static_assert((int)TENSOR_MAX_DIMS <= (int)ARRAY_MAX_DIMS, "every tensor fits");
    *out = (struct data_array){.name = name, .num_dims = tensor->num_dims, .bytes = tensor->bytes};
    out->first_byte = place_of(file, tensor);
    memcpy(out->dims, tensor->dims, (size_t)tensor->num_dims * sizeof *out->dims);
    return type_of(tensor, &out->type, err);
}

static int require_array(const struct source_file *file, const char *name, struct data_array *out, struct error *err)
{
    bool found;
    int status = find_array(file, name, out, &found, err);

    if (status || found)
        return status;
    return FAIL(
        err, ERR_INVALID,
        "no tensor `%s`: a data file has x [n, ...] and y [n] or [n, targets]: whole numbers for labels, floats "
        "for values",
        name);
}

/* A number of the metadata; absent leaves *out. */
static int read_number(const struct source_file *file, const char *key, double min, double max, double *out,
                       bool *found, struct error *err)
{
    const char *text = safetensors_metadata(file->parsed, key);
    char *end;

    if (!text)
        return OK;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= min && value <= max))
        return FAIL(err, ERR_INVALID, "metadata `%s` is `%.40s` where a number between %g and %g is expected", key,
                    text, min, max);
    *out = value;
    *found = true;
    return OK;
}

/* One number or a list with commas, one for each channel; absent leaves *n 0. */
static int read_channels(const struct source_file *file, const char *key, double min, float out[DATA_MAX_CHANNELS],
                         int *n, struct error *err)
{
    const char *text = safetensors_metadata(file->parsed, key);
    char *end;

    for (*n = 0; text && *n < DATA_MAX_CHANNELS; text = end + 1) {
        double value = strtod(text, &end);
        if (end == text || (*end != ',' && *end != '\0') || !(value >= min && value <= TRANSFORM_LARGEST))
            break;
        out[(*n)++] = (float)value;
        if (*end == '\0')
            return OK;
    }
    return !text ? OK
                 : FAIL(err, ERR_INVALID,
                        "metadata `%s` is `%.40s` where a number between %g and %g, or up to %d of them with commas, "
                        "is expected",
                        key, safetensors_metadata(file->parsed, key), min, TRANSFORM_LARGEST, DATA_MAX_CHANNELS);
}

/* mean and std, each one for all or one a channel. */
static int read_affine(const struct source_file *file, struct transform *t, bool *found, struct error *err)
{
    int means, stds;
    int status = read_channels(file, "mean", -TRANSFORM_LARGEST, t->mean, &means, err);

    if (!status)
        status = read_channels(file, "std", TRANSFORM_SMALLEST, t->std, &stds, err);
    if (status)
        return status;
    *found = *found || means || stds;
    t->num_channels = means > stds ? means : stds > 1 ? stds : 1;
    for (int c = 0; c < t->num_channels; c++) {
        t->mean[c] = means == 0 ? 0.0f : t->mean[means == 1 ? 0 : c];
        t->std[c] = stds == 0 ? 1.0f : t->std[stds == 1 ? 0 : c];
    }
    if (means > 1 && stds > 1 && means != stds)
        return FAIL(err, ERR_INVALID, "metadata `mean` has %d numbers and `std` has %d", means, stds);
    return OK;
}

static int read_metadata(const struct source_file *file, struct dataset *out, bool *has_transform, struct error *err)
{
    double scale = 1.0, padding = 0.0, classes = out->num_classes, vocabulary = 0.0;
    bool ignored = false;

    *has_transform = false;
    int status = read_number(file, "scale", TRANSFORM_SMALLEST, TRANSFORM_LARGEST, &scale, has_transform, err);
    if (!status)
        status = read_affine(file, &out->transform, has_transform, err);
    if (!status)
        status = read_number(file, "padding", 0, TRANSFORM_MAX_PADDING, &padding, has_transform, err);
    if (!status && out->num_classes == 0)
        status = read_number(file, "num_classes", 1, DATA_MAX_CLASSES, &classes, &ignored, err);
    if (!status && out->type == DATA_I32)
        status = read_number(file, "vocabulary", 1, DATA_MAX_CLASSES, &vocabulary, &ignored, err);
    out->vocabulary = (int64_t)vocabulary;
    out->transform.scale = (float)scale;
    out->transform.padding = (int)padding;
    out->num_classes = (int32_t)classes;
    return status ? status : transform_check(out, err);
}

static int decode(const struct source_file *file, struct dataset *out, bool *has_transform, struct error *err)
{
    struct data_array x, y, group, tokens;
    bool has_group = false, has_tokens = false;
    int status = require_array(file, "x", &x, err);

    if (!status)
        status = require_array(file, "y", &y, err);
    if (!status)
        status = find_array(file, "group", &group, &has_group, err);
    if (!status)
        status = find_array(file, "tokens", &tokens, &has_tokens, err);
    if (!status)
        status = arrays_describe(&x, out, err);
    if (!status)
        status = read_metadata(file, out, has_transform, err);
    const struct data_arrays arrays = {&x, &y, has_group ? &group : NULL, has_tokens ? &tokens : NULL};
    return status ? status : arrays_fill(&arrays, out, err);
}

int tensor_file_decode(struct span image, struct dataset *out, bool *has_transform, struct error *err)
{
    struct source_file file = {.image = image};
    int status = safetensors_parse(image, &file.parsed, err);

    if (!status)
        status = decode(&file, out, has_transform, err);
    safetensors_free(file.parsed);
    if (status)
        dataset_fini(out);
    else
        dataset_seal(out);
    return status;
}

int tensor_file_load(const char *path, struct dataset *out, bool *has_transform, struct diags *diags)
{
    struct blob *image = NULL;
    struct error err = ERROR_INIT;
    int status = fs_map(path, &image, &err);

    if (!status)
        status = tensor_file_decode(blob_span(image), out, has_transform, &err);
    blob_unref(image);
    if (status)
        diag_error(diags, (struct diag_place){path, 0, 0}, "%s", err.message);
    return status;
}

/* The items of a view behind one another: raw values, and 64-bit labels or values. */
struct flat {
    char *x;
    int64_t *labels;
    float *values;
    int32_t *groups;            /* NULL where the data have none */
    size_t x_size, num_targets; /* of all items */
};

static int flat_alloc(struct flat *flat, const struct data_view *view, size_t item_bytes, struct error *err)
{
    flat->num_targets = view->num_items * view->dataset->num_targets;
    flat->x_size = view->num_items * item_bytes;
    flat->x = malloc(flat->x_size);
    if (view->dataset->values)
        flat->values = malloc(flat->num_targets * sizeof *flat->values);
    else
        flat->labels = malloc(flat->num_targets * sizeof *flat->labels);
    if (view->dataset->groups)
        flat->groups = malloc(view->num_items * sizeof *flat->groups);
    if (!flat->x || (!flat->labels && !flat->values) || (view->dataset->groups && !flat->groups))
        return FAIL(err, ERR_MEMORY, "no memory for %zu items", view->num_items);
    return OK;
}

static int flatten(const struct data_view *view, struct flat *flat, struct error *err)
{
    const struct dataset *dataset = view->dataset;
    size_t width = data_type_size(dataset->type), item_bytes = dataset->item_size * width, n = dataset->num_targets;
    int status = flat_alloc(flat, view, item_bytes, err);

    for (size_t i = 0; i < view->num_items && !status; i++) {
        size_t item = view->index ? view->index[i] : i;
        size_t x_at = dataset->starts ? dataset->starts[item] : item * dataset->item_size;
        size_t y_at = dataset->starts ? dataset->starts[item] : item * n;
        memcpy(flat->x + i * item_bytes, (const char *)dataset->x + x_at * width, item_bytes);
        if (flat->values)
            memcpy(flat->values + i * n, dataset->values + y_at, n * sizeof *flat->values);
        for (size_t t = 0; t < n && flat->labels; t++)
            flat->labels[i * n + t] = dataset->labels[y_at + t];
        if (flat->groups)
            flat->groups[i] = dataset->groups[item];
    }
    return status;
}

static void set_number(json_t *metadata, const char *key, const char *format, double number)
{
    char text[32];

    snprintf(text, sizeof text, format, number);
    json_object_set_new(metadata, key, json_string(text));
}

static void set_channels(json_t *metadata, const char *key, const float *numbers, int n)
{
    char text[DATA_MAX_CHANNELS * 20] = "";

    for (int c = 0; c < n; c++) {
        size_t at = strlen(text);
        snprintf(text + at, sizeof text - at, "%s%.9g", c ? "," : "", (double)numbers[c]);
    }
    json_object_set_new(metadata, key, json_string(text));
}

/* NULL when out of memory. */
static json_t *metadata_of(const struct dataset *dataset)
{
    const struct transform *t = &dataset->transform;
    json_t *metadata = json_object();
    size_t expected = 4u + (dataset->num_classes > 0 ? 1u : 0u) + (dataset->vocabulary > 0 ? 1u : 0u);

    if (dataset->num_classes > 0)
        set_number(metadata, "num_classes", "%.0f", dataset->num_classes);
    if (dataset->vocabulary > 0)
        set_number(metadata, "vocabulary", "%.0f", (double)dataset->vocabulary);
    set_number(metadata, "scale", "%.9g", (double)t->scale);
    set_channels(metadata, "mean", t->mean, t->num_channels);
    set_channels(metadata, "std", t->std, t->num_channels);
    set_number(metadata, "padding", "%.0f", t->padding);
    if (json_object_size(metadata) == expected)
        return metadata;
    json_decref(metadata);
    return NULL;
}

static void describe_y(const struct dataset *dataset, const struct flat *flat, int64_t num_items,
                       struct safetensors_tensor *out)
{
    *out = (struct safetensors_tensor){.name = "y", .num_dims = dataset->num_targets > 1 ? 2 : 1};
    out->dims[0] = num_items;
    out->dims[1] = (int64_t)dataset->num_targets;
    strcpy(out->dtype, flat->values ? "F32" : "I64");
    out->bytes = flat->values ? span_of(flat->values, flat->num_targets * sizeof *flat->values)
                              : span_of(flat->labels, flat->num_targets * sizeof *flat->labels);
}

/* Wider values go first, so everything lies aligned whatever the number of items. */
static int write_flat(const char *path, const struct data_view *view, const struct flat *flat, json_t *metadata,
                      struct error *err)
{
    static const char *const types[] = {[DATA_U8] = "U8", [DATA_F32] = "F32", [DATA_I32] = "I32"};
    const struct dataset *dataset = view->dataset;
    size_t n = 1;
    struct safetensors_tensor tensors[4];

    describe_y(dataset, flat, (int64_t)view->num_items, &tensors[0]);
    if (flat->groups)
        tensors[n++] = (struct safetensors_tensor){.name = "group",
                                                   .dtype = "I32",
                                                   .num_dims = 1,
                                                   .dims = {(int64_t)view->num_items},
                                                   .bytes = span_of(flat->groups, view->num_items * sizeof(int32_t))};
    struct safetensors_tensor *x = &tensors[n++];
    *x = (struct safetensors_tensor){
        .name = "x", .num_dims = dataset->num_dims + 1, .bytes = span_of(flat->x, flat->x_size)};
    strcpy(x->dtype, types[dataset->type]);
    x->dims[0] = (int64_t)view->num_items;
    for (int i = 0; i < dataset->num_dims; i++)
        x->dims[i + 1] = dataset->dims[i];
    if (dataset->tokens_text)
        tensors[n++] = (struct safetensors_tensor){.name = "tokens",
                                                   .dtype = "U8",
                                                   .num_dims = 1,
                                                   .dims = {(int64_t)dataset->tokens_text_size},
                                                   .bytes = span_of(dataset->tokens_text, dataset->tokens_text_size)};
    return safetensors_write(path, tensors, n, metadata, err);
}

int tensor_file_write(const char *path, const struct data_view *view, struct error *err)
{
    struct flat flat = {0};

    if (view->num_items == 0)
        return FAIL(err, ERR_INVALID, "%s: there are no items to write", path);
    int status = flatten(view, &flat, err);
    json_t *metadata = status ? NULL : metadata_of(view->dataset);
    if (!status && !metadata)
        status = FAIL(err, ERR_MEMORY, "no memory for the metadata of %s", path);
    if (!status)
        status = write_flat(path, view, &flat, metadata, err);
    json_decref(metadata);
    free(flat.x);
    free(flat.labels);
    free(flat.values);
    free(flat.groups);
    return status;
}
