/* A data set in a safetensors file: tensors x [n, ...] and y [n] or [n, targets], perhaps `group` [n] (the natural
 * client of each item) and `tokens` (bytes: what token 0, 1, ... mean, one a line). x: U8, or F32, F16, F64, which
 * become F32, or I64, I32, which are tokens. y: I64, I32, U8 are labels, floats are values. In the metadata, as text:
 * scale, mean, std (one number, or one a channel with commas), padding, num_classes, vocabulary. */
#ifndef FLOSIM_DATA_TENSOR_FILE_H
#define FLOSIM_DATA_TENSOR_FILE_H

#include "data/dataset.h"
#include "util/span.h"

/* Fill a data set from a file image (borrowed). `name` is set by the caller, and num_classes (0: the metadata's, else
 * the largest label + 1). *has_transform: the file told the transform; else it is the identity. Pure. On failure
 * nothing is held. */
int tensor_file_decode(struct span image, struct dataset *out, bool *has_transform, struct error *err);

/* The same from a file; every failure goes to `diags`. */
int tensor_file_load(const char *path, struct dataset *out, bool *has_transform, struct diags *diags);

/* Write the items of a view as such a file, raw, with the transform. */
int tensor_file_write(const char *path, const struct data_view *view, struct error *err);

#endif
