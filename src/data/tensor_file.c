#include "data/tensor_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec/safetensors.h"
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

static int find_tensor(const struct source_file *file, const char *name, const struct safetensors_tensor **out,
                       struct error *err)
{
    *out = safetensors_find(file->parsed, name);
    if (!*out)
        return FAIL(err, ERR_INVALID,
                    "no tensor `%s`: a data file has x [n, ...] (U8 or F32) and y [n] (I64, I32 or U8)", name);
    return OK;
}

static int check_x(const struct safetensors_tensor *x, struct dataset *out, struct error *err)
{
    bool u8 = strcmp(x->dtype, "U8") == 0;

    if (!u8 && strcmp(x->dtype, "F32") != 0)
        return FAIL(err, ERR_UNIMPLEMENTED, "tensor `x` has type %s; U8 and F32 are read: convert it", x->dtype);
    if (x->num_dims < 2 || x->num_dims > DATA_MAX_DIMS + 1)
        return FAIL(err, ERR_INVALID, "tensor `x` has %d dimensions: the items and 1 to %d more are possible",
                    x->num_dims, DATA_MAX_DIMS);
    for (int i = 0; i < x->num_dims; i++)
        if (x->dims[i] < 1)
            return FAIL(err, ERR_INVALID, "tensor `x`: dimension %d is %lld: there is no data", i,
                        (long long)x->dims[i]);
    out->type = u8 ? DATA_U8 : DATA_F32;
    out->num_items = (size_t)x->dims[0];
    out->num_dims = x->num_dims - 1;
    for (int i = 0; i < out->num_dims; i++)
        out->dims[i] = x->dims[i + 1];
    return OK;
}

/* Whole numbers [n] of any accepted type into int32_t; a value that does not fit becomes -1, which no label may be. */
static int read_integers(const struct safetensors_tensor *tensor, size_t n, int32_t *out, size_t *width,
                         struct error *err)
{
    const unsigned char *bytes = tensor->bytes.data;
    bool i64 = strcmp(tensor->dtype, "I64") == 0, i32 = strcmp(tensor->dtype, "I32") == 0;

    if (!i64 && !i32 && strcmp(tensor->dtype, "U8") != 0)
        return FAIL(err, ERR_UNIMPLEMENTED, "tensor `%s` has type %s; I64, I32 and U8 are read: convert it",
                    tensor->name, tensor->dtype);
    if (tensor->num_dims != 1 || tensor->dims[0] != (int64_t)n)
        return FAIL(err, ERR_INVALID, "tensor `%s` must have the shape [%zu], one value for each item of `x`",
                    tensor->name, n);
    *width = i64 ? 8 : i32 ? 4 : 1;
    for (size_t i = 0; i < n; i++, bytes += *width) {
        int64_t wide = *bytes;
        int32_t narrow;
        if (i64)
            memcpy(&wide, bytes, sizeof wide);
        if (i32) {
            memcpy(&narrow, bytes, sizeof narrow);
            wide = narrow;
        }
        out[i] = wide >= 0 && wide <= INT32_MAX ? (int32_t)wide : -1;
    }
    return OK;
}

static int read_labels(const struct source_file *file, const struct safetensors_tensor *y, struct dataset *out,
                       int32_t *labels, struct error *err)
{
    struct label_places places = {.first_byte = place_of(file, y)};
    int status = read_integers(y, out->num_items, labels, &places.width, err);

    return status ? status : labels_check(labels, out->num_items, &places, &out->num_classes, err);
}

static int read_groups(const struct source_file *file, const struct safetensors_tensor *group, struct dataset *out,
                       int32_t *groups, struct error *err)
{
    size_t width;
    int status = read_integers(group, out->num_items, groups, &width, err);

    for (size_t i = 0; i < out->num_items && !status; i++)
        if (groups[i] < 0)
            status = FAIL(err, ERR_INVALID, "byte %llu: the group of item %zu is not between 0 and %d",
                          (unsigned long long)(place_of(file, group) + i * width), i, INT32_MAX);
    return status;
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

static int read_metadata(const struct source_file *file, struct dataset *out, bool *has_transform, struct error *err)
{
    double scale = 1.0, mean = 0.0, std = 1.0, padding = 0.0, classes = out->num_classes;
    bool ignored = false;

    *has_transform = false;
    int status = read_number(file, "scale", TRANSFORM_SMALLEST, TRANSFORM_LARGEST, &scale, has_transform, err);
    if (!status)
        status = read_number(file, "mean", -TRANSFORM_LARGEST, TRANSFORM_LARGEST, &mean, has_transform, err);
    if (!status)
        status = read_number(file, "std", TRANSFORM_SMALLEST, TRANSFORM_LARGEST, &std, has_transform, err);
    if (!status)
        status = read_number(file, "padding", 0, TRANSFORM_MAX_PADDING, &padding, has_transform, err);
    if (!status && out->num_classes == 0)
        status = read_number(file, "num_classes", 1, DATA_MAX_CLASSES, &classes, &ignored, err);
    out->transform = (struct transform){(float)scale, (float)mean, (float)std, (int)padding};
    out->num_classes = (int32_t)classes;
    return status;
}

static int decode(const struct source_file *file, struct dataset *out, bool *has_transform, struct error *err)
{
    const struct safetensors_tensor *x, *y, *group = safetensors_find(file->parsed, "group");
    struct dataset_fill fill = {0};
    int status = find_tensor(file, "x", &x, err);

    if (!status)
        status = find_tensor(file, "y", &y, err);
    if (!status)
        status = check_x(x, out, err);
    if (!status)
        status = read_metadata(file, out, has_transform, err);
    if (!status)
        status = dataset_alloc(out, group != NULL, &fill, err);
    if (!status)
        status = read_labels(file, y, out, fill.labels, err);
    if (!status && group)
        status = read_groups(file, group, out, fill.groups, err);
    if (!status)
        memcpy(fill.x, x->bytes.data, x->bytes.size);
    return status;
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

/* The items of a view behind one another: raw values, 64-bit labels. */
struct flat {
    char *x;
    int64_t *y;
    size_t x_size;
};

static int flatten(const struct data_view *view, struct flat *flat, struct error *err)
{
    const struct dataset *dataset = view->dataset;
    size_t item_bytes = dataset->item_size * data_type_size(dataset->type);

    flat->x_size = view->num_items * item_bytes;
    flat->x = malloc(flat->x_size);
    flat->y = malloc(view->num_items * sizeof *flat->y);
    if (!flat->x || !flat->y)
        return FAIL(err, ERR_MEMORY, "no memory for %zu items", view->num_items);
    for (size_t i = 0; i < view->num_items; i++) {
        size_t item = view->index ? view->index[i] : i;
        memcpy(flat->x + i * item_bytes, (const char *)dataset->x + item * item_bytes, item_bytes);
        flat->y[i] = dataset->labels[item];
    }
    return OK;
}

static json_t *metadata_of(const struct dataset *dataset)
{
    const struct transform *t = &dataset->transform;
    json_t *metadata = json_object();
    char text[32];

    snprintf(text, sizeof text, "%d", dataset->num_classes);
    json_object_set_new(metadata, "num_classes", json_string(text));
    snprintf(text, sizeof text, "%.9g", (double)t->scale);
    json_object_set_new(metadata, "scale", json_string(text));
    snprintf(text, sizeof text, "%.9g", (double)t->mean);
    json_object_set_new(metadata, "mean", json_string(text));
    snprintf(text, sizeof text, "%.9g", (double)t->std);
    json_object_set_new(metadata, "std", json_string(text));
    snprintf(text, sizeof text, "%d", t->padding);
    json_object_set_new(metadata, "padding", json_string(text));
    return metadata;
}

/* Labels go first: they are wider, so everything lies aligned whatever the number of items. */
static int write_flat(const char *path, const struct data_view *view, const struct flat *flat, json_t *metadata,
                      struct error *err)
{
    const struct dataset *dataset = view->dataset;
    struct safetensors_tensor tensors[2] = {
        {.name = "y", .dtype = "I64", .num_dims = 1, .bytes = span_of(flat->y, view->num_items * sizeof *flat->y)},
        {.name = "x", .num_dims = dataset->num_dims + 1, .bytes = span_of(flat->x, flat->x_size)}};

    strcpy(tensors[1].dtype, dataset->type == DATA_U8 ? "U8" : "F32");
    tensors[0].dims[0] = tensors[1].dims[0] = (int64_t)view->num_items;
    for (int i = 0; i < dataset->num_dims; i++)
        tensors[1].dims[i + 1] = dataset->dims[i];
    return safetensors_write(path, tensors, 2, metadata, err);
}

int tensor_file_write(const char *path, const struct data_view *view, struct error *err)
{
    struct flat flat = {0};

    if (view->num_items == 0)
        return FAIL(err, ERR_INVALID, "%s: there are no items to write", path);
    int status = flatten(view, &flat, err);
    json_t *metadata = status ? NULL : metadata_of(view->dataset);
    if (!status && json_object_size(metadata) != 5)
        status = FAIL(err, ERR_MEMORY, "no memory for the metadata of %s", path);
    if (!status)
        status = write_flat(path, view, &flat, metadata, err);
    json_decref(metadata);
    free(flat.x);
    free(flat.y);
    return status;
}
