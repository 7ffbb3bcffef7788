/* A span borrows bytes; a blob owns them behind a reference count and never changes once shared.
 * Any thread may take and drop references. */
#ifndef FLOSIM_UTIL_SPAN_H
#define FLOSIM_UTIL_SPAN_H

#include <stddef.h>

struct span {
    const void *data; /* NULL: absent (which differs from empty) */
    size_t size;
};

static inline struct span span_of(const void *data, size_t size)
{
    return (struct span){data, size};
}

struct blob;

/* A new blob of `size` uninitialised bytes, one reference; NULL when out of memory. Fill it through blob_bytes
 * before it is shared. */
struct blob *blob_new(size_t size);

/* A new blob that takes `data` and gives it back through `release(context)` when the last reference goes. On NULL
 * (out of memory) nothing was taken. */
struct blob *blob_adopt(void *data, size_t size, void (*release)(void *context), void *context);

struct blob *blob_ref(struct blob *blob);   /* returns blob; NULL is legal */
void blob_unref(struct blob *blob);         /* NULL is legal */
void *blob_bytes(struct blob *blob);
size_t blob_size(const struct blob *blob);
struct span blob_span(const struct blob *blob); /* NULL gives the absent span */

#endif
