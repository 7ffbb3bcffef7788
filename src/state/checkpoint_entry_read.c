#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "codec/safetensors.h"
#include "state/checkpoint_entry.h"

enum { PREFIX_SIZE = 8 };

struct reader {
    const struct safetensors *file;
    struct span rest; /* of the data, in the directory's order */
    json_t *seen;     /* keys of values, and of the images' headers */
    json_t *headers;  /* metadata keys that are images' headers */
    checkpoint_visit visit;
    void *context;
};

static int give(struct reader *self, const char *key, struct span a, struct span b, struct span c, struct error *err)
{
    struct blob *value;
    int status;

    if (json_object_get(self->seen, key))
        return FAIL(err, ERR_CORRUPT, "the value %s stands in it twice", key);
    value = blob_new(a.size + b.size + c.size);
    if (!value || json_object_set_new(self->seen, key, json_true())) {
        blob_unref(value);
        return FAIL(err, ERR_MEMORY, "out of memory for the value %s", key);
    }
    if (a.size)
        memcpy(blob_bytes(value), a.data, a.size);
    if (b.size)
        memcpy((char *)blob_bytes(value) + a.size, b.data, b.size);
    if (c.size)
        memcpy((char *)blob_bytes(value) + a.size + b.size, c.data, c.size);
    status = self->visit(self->context, key, value, err);
    blob_unref(value);
    return status;
}

/* Its header's text stands in the metadata under `<key>/`. */
static int give_image(struct reader *self, const char *key, struct span data, struct error *err)
{
    size_t length = strlen(key);
    char *name = malloc(length + 2);
    const json_t *header;
    uint64_t header_size;
    int status;

    if (!name)
        return FAIL(err, ERR_MEMORY, "out of memory for the value %s", key);
    memcpy(name, key, length);
    memcpy(name + length, "/", 2);
    header = json_object_get(safetensors_all_metadata(self->file), name);
    header_size = json_string_length(header);
    if (!header)
        status = FAIL(err, ERR_CORRUPT, "the header of the value %s is missing", key);
    else if (json_object_set_new(self->headers, name, json_true()))
        status = FAIL(err, ERR_MEMORY, "out of memory for the value %s", key);
    else
        status = give(self, key, span_of(&header_size, PREFIX_SIZE), span_of(json_string_value(header), header_size),
                      data, err);
    free(name);
    return status;
}

static int read_listed(struct reader *self, const json_t *item, struct error *err)
{
    const char *key = json_string_value(json_array_get(item, 0));
    const json_t *size = json_array_get(item, 1), *image = json_array_get(item, 2);
    struct span data;

    if (json_array_size(item) != 3 || !key || !json_is_integer(size) || json_integer_value(size) < 0 ||
        !json_is_integer(image))
        return FAIL(err, ERR_CORRUPT, "an item of " CHECKPOINT_DIRECTORY " is not [key, size, kind]");
    data = span_of(self->rest.data, (size_t)json_integer_value(size));
    if (data.size > self->rest.size)
        return FAIL(err, ERR_CORRUPT, "the value %s is to have %zu bytes; %zu are left", key, data.size,
                    self->rest.size);
    self->rest = span_of((const char *)self->rest.data + data.size, self->rest.size - data.size);
    if (json_integer_value(image))
        return give_image(self, key, data, err);
    return give(self, key, data, span_of(NULL, 0), span_of(NULL, 0), err);
}

static int read_directory(struct reader *self, struct error *err)
{
    const char *text = safetensors_metadata(self->file, CHECKPOINT_DIRECTORY);
    json_t *directory = text ? json_loads(text, 0, NULL) : NULL;
    int status = json_is_array(directory)
                     ? OK
                     : FAIL(err, ERR_CORRUPT, "its list " CHECKPOINT_DIRECTORY " is %s", text ? "no list" : "missing");

    for (size_t i = 0; status == OK && i < json_array_size(directory); i++)
        status = read_listed(self, json_array_get(directory, i), err);
    if (status == OK && self->rest.size)
        status = FAIL(err, ERR_CORRUPT, "%zu bytes belong to no value", self->rest.size);
    json_decref(directory);
    return status;
}

static int read_texts(struct reader *self, struct error *err)
{
    const char *key;
    json_t *text;
    int status = OK;

    json_object_foreach((json_t *)safetensors_all_metadata(self->file), key, text)
    {
        if (strcmp(key, CHECKPOINT_DIRECTORY) == 0 || json_object_get(self->headers, key))
            continue;
        status = give(self, key, span_of(json_string_value(text), json_string_length(text)), span_of(NULL, 0),
                      span_of(NULL, 0), err);
        if (status != OK)
            break;
    }
    return status;
}

int checkpoint_entry_read(struct span image, checkpoint_visit visit, void *context, struct error *err)
{
    struct reader self = {.visit = visit, .context = context};
    struct safetensors *file;
    uint64_t header_size;
    int status = safetensors_parse(image, &file, err);

    if (status != OK)
        return status;
    memcpy(&header_size, image.data, sizeof header_size);
    self.file = file;
    self.rest = span_of((const char *)image.data + PREFIX_SIZE + header_size, image.size - PREFIX_SIZE - header_size);
    self.seen = json_object();
    self.headers = json_object();
    status = self.seen && self.headers ? OK : FAIL(err, ERR_MEMORY, "out of memory for a checkpoint");
    if (status == OK)
        status = read_directory(&self, err);
    if (status == OK)
        status = read_texts(&self, err);
    json_decref(self.seen);
    json_decref(self.headers);
    safetensors_free(file);
    return status;
}
