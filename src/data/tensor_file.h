/* A data set in a safetensors file: tensors x [n, …] (U8 or F32) and y [n] (I64, I32 or U8), perhaps `group` [n] (I64
 * or I32: the natural client of each item), and in the metadata, as text, scale, mean, std, padding, num_classes. */
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
