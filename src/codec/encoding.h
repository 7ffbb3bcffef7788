/* Encodings of weights on the wire: a registry (safetensors first; pickle, compressed and masked ones come later).
 * An encoding is recognised by its first bytes; one row per member in encoding.c. Pure functions, any thread. */
#ifndef FLOSIM_CODEC_ENCODING_H
#define FLOSIM_CODEC_ENCODING_H

#include "codec/layout.h"
#include "util/span.h"

struct encoding {
    const char *name; /* as in the advert's `codec` list */
    /* Do these bytes look like this encoding? Looks at the head only. */
    int (*recognises)(struct span image);
    /* As safetensors_encode / safetensors_decode. NULL: known by sight, not spoken (answered with ERR_UNIMPLEMENTED).
     */
    int (*encode)(const struct layout *layout, const float *weights, struct blob **out, struct error *err);
    int (*decode)(const struct layout *layout, struct span image, float *weights, struct error *err);
};

extern const struct encoding *const encodings[]; /* NULL-terminated */

const struct encoding *encoding_find(const char *name);

/* Encode as what all roles read: safetensors. Returns a new blob. */
int weights_encode(const struct layout *layout, const float *weights, struct blob **out, struct error *err);

/* Decode by sight: ERR_UNIMPLEMENTED for a pickle, ERR_INVALID for bytes that no row recognises. */
int weights_decode(const struct layout *layout, struct span image, float *weights, struct error *err);

/* Do these bytes look like any encoding at all? */
bool weights_are_known(struct span image);

#endif
