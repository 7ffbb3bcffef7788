/* The safetensors file format: 8 bytes little-endian header length, JSON header, raw tensors.
 * https://github.com/huggingface/safetensors (format 0.3). Everything read is untrusted: header at most 16 MiB,
 * at most 65,536 tensors, offsets checked against the file and against each other. */
#ifndef FLOSIM_CODEC_SAFETENSORS_H
#define FLOSIM_CODEC_SAFETENSORS_H

#include <jansson.h>

#include "codec/layout.h"
#include "util/span.h"

/* What a reader of ours takes. Commas and colons of a header are bounded so that what the JSON parser allocates stays
 * in proportion. */
enum { SAFETENSORS_MAX_HEADER = 16 << 20, SAFETENSORS_MAX_TENSORS = 65536, SAFETENSORS_MAX_SEPARATORS = 16 * 65536 };

struct safetensors; /* a parsed header over borrowed bytes */

struct safetensors_tensor {
    const char *name;
    char dtype[8]; /* "F32", "U8", "I64", … as in the file */
    int num_dims;
    int64_t dims[TENSOR_MAX_DIMS];
    struct span bytes; /* may be unaligned */
};

/* `image` is borrowed until safetensors_free. ERR_CORRUPT with the place and the reason. */
int safetensors_parse(struct span image, struct safetensors **out, struct error *err);
void safetensors_free(struct safetensors *file);
size_t safetensors_count(const struct safetensors *file);
const struct safetensors_tensor *safetensors_at(const struct safetensors *file, size_t i);
const struct safetensors_tensor *safetensors_find(const struct safetensors *file, const char *name);
const char *safetensors_metadata(const struct safetensors *file, const char *key); /* NULL: none */
const json_t *safetensors_all_metadata(const struct safetensors *file); /* strings by key, borrowed; NULL: none */

/* Image of a flat block [P]: returns a new blob. `metadata` (strings only, may be NULL) is borrowed. Deterministic:
 * the same input gives the same bytes; the data begins 8-byte aligned. */
int safetensors_encode(const struct layout *layout, const float *weights, json_t *metadata, struct blob **out,
                       struct error *err);

/* Fill weights [P] from an image whose tensors must match the layout exactly (F32, I64 where the layout says so).
 * ERR_INVALID names the tensor and both shapes; on error `weights` is undefined. */
int safetensors_decode(const struct layout *layout, struct span image, float *weights, struct error *err);

/* The head of a file, its length and header, for tensors whose bytes will follow in the order given; dims and byte
 * counts are taken, the bytes not looked at, names must differ. Returns a new blob. ERR_TOO_LARGE where
 * safetensors_parse would not take it. */
int safetensors_head(const struct safetensors_tensor *tensors, size_t n, json_t *metadata, struct blob **out,
                     struct error *err);

/* Write any set of raw tensors (datasets); dims as given, in order. */
int safetensors_write(const char *path, const struct safetensors_tensor *tensors, size_t n, json_t *metadata,
                      struct error *err);

#endif
