#include "util/span.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "util/large.h"

struct blob {
    atomic_size_t refs;
    void *data;
    size_t size;
    void (*release)(void *context);
    void *context;
};

struct blob *blob_adopt(void *data, size_t size, void (*release)(void *context), void *context)
{
    struct blob *blob = malloc(sizeof *blob);

    if (!blob)
        return NULL;
    atomic_init(&blob->refs, 1);
    blob->data = data;
    blob->size = size;
    blob->release = release;
    blob->context = context;
    return blob;
}

struct blob *blob_new(size_t size)
{
    void *data = large_alloc(size);
    struct blob *blob = data ? blob_adopt(data, size, free, data) : NULL;

    if (!blob)
        free(data);
    return blob;
}

struct blob *blob_ref(struct blob *blob)
{
    if (blob)
        atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    return blob;
}

void blob_unref(struct blob *blob)
{
    if (!blob || atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (blob->release)
        blob->release(blob->context);
    free(blob);
}

void *blob_bytes(struct blob *blob)
{
    return blob->data;
}

size_t blob_size(const struct blob *blob)
{
    return blob ? blob->size : 0;
}

struct span blob_span(const struct blob *blob)
{
    return blob ? span_of(blob->data, blob->size) : span_of(NULL, 0);
}
