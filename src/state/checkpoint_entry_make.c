#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/safetensors.h"
#include "codec/utf8.h"
#include "state/checkpoint_entry.h"

/* Shares of a header, far enough from what a reader takes. */
enum { MAX_TENSORS = SAFETENSORS_MAX_TENSORS / 2, MAX_TEXT = 512 * 1024, PREFIX_SIZE = 8 };

struct maker {
    const struct checkpoint_value *values;
    size_t n;
    bool *placed; /* [n] */
    json_t *metadata, *directory;
    json_t *names; /* of the tensors, as keys: a set that owns them */
    struct safetensors_tensor *tensors;
    size_t num_tensors, capacity;
    size_t text;        /* bytes in the metadata */
    struct span *parts; /* [1 + n] */
    size_t num_parts;
};

static int no_memory(struct error *err)
{
    return FAIL(err, ERR_MEMORY, "out of memory for a checkpoint");
}

/* ---- texts ---- */

/* What a person reads: a header is no place for bytes that happen to be valid. */
static bool is_text(struct span bytes)
{
    const unsigned char *at = bytes.data;

    for (size_t i = 0; i < bytes.size; i++)
        if (at[i] < ' ' && at[i] != '\n' && at[i] != '\t' && at[i] != '\r')
            return false;
    return utf8_is_valid(bytes);
}

static int put_text(struct maker *self, const char *key, struct span text, struct error *err)
{
    self->text += text.size;
    if (json_object_set_new(self->metadata, key, json_stringn(text.size ? text.data : "", text.size)))
        return no_memory(err);
    return OK;
}

static int place_texts(struct maker *self, struct error *err)
{
    for (size_t i = 0; i < self->n; i++) {
        const struct checkpoint_value *value = &self->values[i];

        if (value->bytes.size > MAX_TEXT - self->text || !is_text(value->bytes) ||
            strcmp(value->key, CHECKPOINT_DIRECTORY) == 0)
            continue;
        if (put_text(self, value->key, value->bytes, err) != OK)
            return ERR_MEMORY;
        self->placed[i] = true;
    }
    return OK;
}

/* ---- tensors ---- */

static int list_value(struct maker *self, const char *key, struct span data, bool is_image, struct error *err)
{
    if (json_array_append_new(self->directory, json_pack("[s, I, i]", key, (json_int_t)data.size, (int)is_image)))
        return no_memory(err);
    if (data.size)
        self->parts[self->num_parts++] = data;
    return OK;
}

static int reserve(struct maker *self, size_t more)
{
    size_t wanted = self->num_tensors + more, capacity = self->capacity ? self->capacity : 16;
    struct safetensors_tensor *grown;

    if (wanted <= self->capacity)
        return OK;
    while (capacity < wanted)
        capacity *= 2;
    grown = realloc(self->tensors, capacity * sizeof *grown);
    if (!grown)
        return ERR_MEMORY;
    self->tensors = grown;
    self->capacity = capacity;
    return OK;
}

/* Takes over everything of `tensor` but its name. */
static int add_tensor(struct maker *self, const char *name, const struct safetensors_tensor *tensor, struct error *err)
{
    struct safetensors_tensor *added;

    if (reserve(self, 1) != OK || json_object_set_new(self->names, name, json_true()))
        return no_memory(err);
    added = &self->tensors[self->num_tensors++];
    *added = *tensor;
    added->name = json_object_iter_key(json_object_iter_at(self->names, name));
    return OK;
}

static int compare_places(const void *a, const void *b)
{
    const struct safetensors_tensor *const *x = a, *const *y = b;
    const char *p = (*x)->bytes.data, *q = (*y)->bytes.data;

    if (p != q) /* an empty tensor goes before the one that begins where it stands */
        return p < q ? -1 : 1;
    return ((*x)->bytes.size > 0) - ((*y)->bytes.size > 0);
}

/* The file's tensors in the order of their data; NULL when out of memory. */
static const struct safetensors_tensor **by_place(const struct safetensors *file)
{
    size_t n = safetensors_count(file);
    const struct safetensors_tensor **sorted = calloc(n + 1, sizeof *sorted);

    for (size_t i = 0; sorted && i < n; i++)
        sorted[i] = safetensors_at(file, i);
    if (sorted)
        qsort(sorted, n, sizeof *sorted, compare_places);
    return sorted;
}

static void name_in_entry(char name[TENSOR_NAME_MAX], const char *key, const char *tensor)
{
    snprintf(name, TENSOR_NAME_MAX, "%s/%s", key, tensor);
}

static bool name_is_free(const struct maker *self, const char *name)
{
    return !json_object_get(self->names, name) && strcmp(name, "__metadata__") != 0 &&
           strcmp(name, CHECKPOINT_REST) != 0;
}

static bool image_fits(const struct maker *self, const char *key, const struct safetensors *file, size_t header_size)
{
    char name[TENSOR_NAME_MAX];

    if (self->num_tensors + safetensors_count(file) > MAX_TENSORS || header_size > MAX_TEXT - self->text ||
        strlen(key) + 1 >= sizeof name)
        return false;
    name_in_entry(name, key, "");
    if (json_object_get(self->metadata, name))
        return false;
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const char *tensor = safetensors_at(file, i)->name;

        name_in_entry(name, key, tensor);
        if (strlen(key) + 1 + strlen(tensor) >= sizeof name || !name_is_free(self, name))
            return false;
    }
    return true;
}

static int add_image(struct maker *self, const struct checkpoint_value *value, const struct safetensors *file,
                     size_t header_size, struct error *err)
{
    const struct safetensors_tensor **sorted = by_place(file);
    const char *header = (const char *)value->bytes.data + PREFIX_SIZE;
    char name[TENSOR_NAME_MAX];
    int status = sorted ? OK : no_memory(err);

    for (size_t i = 0; status == OK && i < safetensors_count(file); i++) {
        name_in_entry(name, value->key, sorted[i]->name);
        status = add_tensor(self, name, sorted[i], err);
    }
    name_in_entry(name, value->key, "");
    if (status == OK)
        status = put_text(self, name, span_of(header, header_size), err);
    if (status == OK)
        status = list_value(self, value->key,
                            span_of(header + header_size, value->bytes.size - PREFIX_SIZE - header_size), true, err);
    free(sorted);
    return status;
}

static int place_images(struct maker *self, struct error *err)
{
    int status = OK;

    for (size_t i = 0; i < self->n && status == OK; i++) {
        const struct checkpoint_value *value = &self->values[i];
        struct safetensors *file;
        uint64_t header_size;

        if (self->placed[i] || safetensors_parse(value->bytes, &file, NULL) != OK)
            continue;
        memcpy(&header_size, value->bytes.data, sizeof header_size);
        if (image_fits(self, value->key, file, header_size)) {
            status = add_image(self, value, file, header_size, err);
            self->placed[i] = true;
        }
        safetensors_free(file);
    }
    return status;
}

static int add_bytes(struct maker *self, const char *name, size_t size, struct error *err)
{
    struct safetensors_tensor tensor = {
        .dtype = "U8", .num_dims = 1, .dims = {(int64_t)size}, .bytes = span_of(NULL, size)};

    return add_tensor(self, name, &tensor, err);
}

static bool deserves_tensor(const struct maker *self, const char *key)
{
    return self->num_tensors < MAX_TENSORS && strlen(key) < TENSOR_NAME_MAX && name_is_free(self, key);
}

/* Everything else: first what gets a tensor of its own, then the rest. */
static int place_others(struct maker *self, struct error *err)
{
    size_t rest = 0;
    int status = OK;

    for (size_t i = 0; i < self->n && status == OK; i++) {
        const struct checkpoint_value *value = &self->values[i];

        if (self->placed[i] || !deserves_tensor(self, value->key))
            continue;
        self->placed[i] = true;
        status = add_bytes(self, value->key, value->bytes.size, err);
        if (status == OK)
            status = list_value(self, value->key, value->bytes, false, err);
    }
    for (size_t i = 0; i < self->n && status == OK; i++) {
        if (self->placed[i])
            continue;
        rest += self->values[i].bytes.size;
        status = list_value(self, self->values[i].key, self->values[i].bytes, false, err);
    }
    return status == OK && rest ? add_bytes(self, CHECKPOINT_REST, rest, err) : status;
}

/* ---- the whole ---- */

static int check_keys(const struct maker *self, struct error *err)
{
    for (size_t i = 0; i < self->n; i++) {
        const char *key = self->values[i].key;

        if (!utf8_is_valid(span_of(key, strlen(key))))
            return FAIL(err, ERR_INVALID, "the key %s is not UTF-8; a checkpoint cannot hold it", key);
    }
    return OK;
}

static int finish(struct maker *self, struct checkpoint_entry *out, struct error *err)
{
    char *directory = json_dumps(self->directory, JSON_COMPACT);
    int status = OK;

    if (!directory || json_object_set_new(self->metadata, CHECKPOINT_DIRECTORY, json_string(directory)))
        status = no_memory(err);
    free(directory);
    if (status == OK)
        status = safetensors_head(self->tensors, self->num_tensors, self->metadata, &out->head, err);
    if (status != OK)
        return status;
    self->parts[0] = blob_span(out->head);
    out->parts = self->parts;
    out->num_parts = self->num_parts;
    self->parts = NULL;
    for (size_t i = 0; i < out->num_parts; i++)
        out->size += out->parts[i].size;
    return OK;
}

int checkpoint_entry_make(const struct checkpoint_value *values, size_t n, struct checkpoint_entry *out,
                          struct error *err)
{
    struct maker self = {.values = values, .n = n, .num_parts = 1};
    int status;

    *out = (struct checkpoint_entry){0};
    self.placed = calloc(n + 1, sizeof *self.placed);
    self.parts = calloc(n + 1, sizeof *self.parts);
    self.metadata = json_object();
    self.directory = json_array();
    self.names = json_object();
    status = self.placed && self.parts && self.metadata && self.directory && self.names ? OK : no_memory(err);
    if (status == OK)
        status = check_keys(&self, err);
    if (status == OK)
        status = place_texts(&self, err);
    if (status == OK)
        status = place_images(&self, err);
    if (status == OK)
        status = place_others(&self, err);
    if (status == OK)
        status = finish(&self, out, err);
    free(self.placed);
    free(self.parts);
    free(self.tensors);
    json_decref(self.metadata);
    json_decref(self.directory);
    json_decref(self.names);
    return status;
}

void checkpoint_entry_fini(struct checkpoint_entry *entry)
{
    blob_unref(entry->head);
    free(entry->parts);
    *entry = (struct checkpoint_entry){0};
}
