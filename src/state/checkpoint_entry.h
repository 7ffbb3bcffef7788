/* One entry of a checkpoint: all values of a store as ONE safetensors file, which any reader of that format can open.
 * Not for other rooms; any thread.
 *
 *   texts    stand in `__metadata__` under their key, as long as they are not too many for a header
 *   images   (values that are safetensors themselves): their tensors are the file's, named `<key>/<tensor>`, and their
 *            own header's text stands in `__metadata__` under `<key>/`, so that the very same bytes come back
 *   others   U8 tensors named `<key>`; what is too much for a header lies together in the tensor `__rest__`
 *
 * `__values__` in `__metadata__` lists the images and others in the order of the file's data, as JSON:
 * [[key, bytes of data, 1 for an image else 0], ...]. */
#ifndef FLOSIM_STATE_CHECKPOINT_ENTRY_H
#define FLOSIM_STATE_CHECKPOINT_ENTRY_H

#include "util/error.h"
#include "util/span.h"

struct checkpoint_value {
    const char *key;
    struct span bytes;
};

struct checkpoint_entry {
    struct blob *head;
    struct span *parts; /* the file: the head, then slices of the values, which are borrowed */
    size_t num_parts, size;
};

/* Keys differ and come in an order that the caller repeats. ERR_INVALID for a key that is not UTF-8, ERR_TOO_LARGE for
 * more values than a header can list (some 300,000). */
int checkpoint_entry_make(const struct checkpoint_value *values, size_t n, struct checkpoint_entry *out,
                          struct error *err);
void checkpoint_entry_fini(struct checkpoint_entry *entry);

typedef int (*checkpoint_visit)(void *context, const char *key, struct blob *value, struct error *err);

/* Calls `visit` for every value (it takes a reference of its own) until it fails. ERR_CORRUPT says what is wrong. The
 * image is untrusted. */
int checkpoint_entry_read(struct span image, checkpoint_visit visit, void *context, struct error *err);

/* Names in an entry's file that are not values. */
#define CHECKPOINT_DIRECTORY "__values__"
#define CHECKPOINT_REST      "__rest__"

#endif
