/* Writing safetensors; reading is in safetensors.c. */
#include <stdlib.h>
#include <string.h>

#include "codec/safetensors.h"
#include "util/fs.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are copied as they lie in memory");

enum { PREFIX_SIZE = 8, ALIGNMENT = 8 };

static const char metadata_key[] = "__metadata__";

/* Add one tensor's entry to the header and move *offset past its data. */
static int header_add(json_t *header, const char *name, const char *dtype, int num_dims, const int64_t *dims,
                      size_t bytes, size_t *offset)
{
    json_t *shape = json_array();
    json_t *entry;

    for (int i = 0; i < num_dims; i++)
        json_array_append_new(shape, json_integer(dims[i]));
    entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype, "shape", shape, "data_offsets", (json_int_t)*offset,
                      (json_int_t)(*offset + bytes));
    *offset += bytes;
    return json_object_set_new(header, name, entry) == 0 ? OK : ERR_MEMORY;
}

static json_t *header_new(json_t *metadata)
{
    json_t *header = json_object();

    if (header && metadata && json_object_set(header, metadata_key, metadata) != 0) {
        json_decref(header);
        return NULL;
    }
    return header;
}

/* The 8 bytes of length and the header, padded with spaces so that the data begins aligned; `room` more bytes follow.
 */
static int header_print(const json_t *header, size_t room, struct blob **out, size_t *size, struct error *err)
{
    char *text = json_dumps(header, JSON_COMPACT);
    size_t length = text ? strlen(text) : 0;
    uint64_t padded = (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    char *bytes;

    *out = text ? blob_new(PREFIX_SIZE + padded + room) : NULL;
    if (!*out) {
        free(text);
        return FAIL(err, ERR_MEMORY, "safetensors: out of memory for a header");
    }
    bytes = blob_bytes(*out);
    memcpy(bytes, &padded, PREFIX_SIZE);
    memcpy(bytes + PREFIX_SIZE, text, length);
    memset(bytes + PREFIX_SIZE + length, ' ', padded - length);
    *size = PREFIX_SIZE + padded;
    free(text);
    return OK;
}

/* I64 tensors go first so that everything is aligned; within a type the layout's order holds. */
static int layout_header(const struct layout *layout, json_t *header, size_t *data_size)
{
    *data_size = 0;
    for (int want_i64 = 1; want_i64 >= 0; want_i64--) {
        for (size_t i = 0; i < layout->num_tensors; i++) {
            const struct tensor_info *t = &layout->tensors[i];

            if (t->is_i64 == want_i64 && header_add(header, t->name, want_i64 ? "I64" : "F32", t->num_dims, t->dims,
                                                    t->count * (want_i64 ? 8 : 4), data_size) != OK)
                return ERR_MEMORY;
        }
    }
    return OK;
}

static int encode_i64(const struct tensor_info *tensor, const float *weights, char **at, struct error *err)
{
    for (size_t i = 0; i < tensor->count; i++) {
        float value = weights[tensor->offset + i];
        int64_t whole;

        if (!(value > -9e18F && value < 9e18F))
            return FAIL(err, ERR_INVALID, "tensor %s: %g is not a whole number", tensor->name, (double)value);
        whole = (int64_t)value;
        memcpy(*at, &whole, sizeof whole);
        *at += sizeof whole;
    }
    return OK;
}

static int encode_data(const struct layout *layout, const float *weights, char *at, struct error *err)
{
    for (size_t i = 0; i < layout->num_tensors; i++) {
        int status = layout->tensors[i].is_i64 ? encode_i64(&layout->tensors[i], weights, &at, err) : OK;

        if (status != OK)
            return status;
    }
    for (size_t i = 0; i < layout->num_tensors; i++) {
        const struct tensor_info *tensor = &layout->tensors[i];

        if (tensor->is_i64)
            continue;
        memcpy(at, weights + tensor->offset, tensor->count * sizeof *weights);
        at += tensor->count * sizeof *weights;
    }
    return OK;
}

int safetensors_encode(const struct layout *layout, const float *weights, json_t *metadata, struct blob **out,
                       struct error *err)
{
    json_t *header = header_new(metadata);
    size_t data_size, header_size;
    int status;

    *out = NULL;
    if (!header || layout_header(layout, header, &data_size) != OK)
        status = FAIL(err, ERR_MEMORY, "safetensors: out of memory for a header");
    else
        status = header_print(header, data_size, out, &header_size, err);
    if (status == OK)
        status = encode_data(layout, weights, (char *)blob_bytes(*out) + header_size, err);
    if (status != OK) {
        blob_unref(*out);
        *out = NULL;
    }
    json_decref(header);
    return status;
}

static size_t separators(struct span text)
{
    const char *bytes = text.data;
    size_t n = 0;

    for (size_t i = 0; i < text.size; i++)
        n += bytes[i] == ',' || bytes[i] == ':';
    return n;
}

static int check_head(struct span head, size_t n, struct error *err)
{
    if (n > SAFETENSORS_MAX_TENSORS || head.size > SAFETENSORS_MAX_HEADER ||
        separators(head) > SAFETENSORS_MAX_SEPARATORS)
        return FAIL(err, ERR_TOO_LARGE, "safetensors: %zu tensors need a header of %zu bytes; no reader takes that", n,
                    head.size);
    return OK;
}

int safetensors_head(const struct safetensors_tensor *tensors, size_t n, json_t *metadata, struct blob **out,
                     struct error *err)
{
    json_t *header = header_new(metadata);
    size_t data_size = 0, head_size;
    int status = header ? OK : FAIL(err, ERR_MEMORY, "safetensors: out of memory");

    *out = NULL;
    for (size_t i = 0; i < n && status == OK; i++) {
        const struct safetensors_tensor *t = &tensors[i];

        if (header_add(header, t->name, t->dtype, t->num_dims, t->dims, t->bytes.size, &data_size) != OK)
            status = FAIL(err, ERR_MEMORY, "safetensors: out of memory for a header");
    }
    if (status == OK)
        status = header_print(header, 0, out, &head_size, err);
    if (status == OK)
        status = check_head(blob_span(*out), n, err);
    if (status != OK) {
        blob_unref(*out);
        *out = NULL;
    }
    json_decref(header);
    return status;
}

int safetensors_write(const char *path, const struct safetensors_tensor *tensors, size_t n, json_t *metadata,
                      struct error *err)
{
    struct span *parts = calloc(n + 1, sizeof *parts);
    struct blob *head = NULL;
    int status = parts ? safetensors_head(tensors, n, metadata, &head, err)
                       : FAIL(err, ERR_MEMORY, "safetensors: out of memory");

    if (status == OK) {
        parts[0] = blob_span(head);
        for (size_t i = 0; i < n; i++)
            parts[i + 1] = tensors[i].bytes;
        status = fs_write_atomic(path, parts, n + 1, err);
    }
    blob_unref(head);
    free(parts);
    return status;
}
