/* A data set from named arrays, whatever file they came from (safetensors, npz): x [n, ...], y [n] or [n, targets],
 * perhaps group [n] and tokens. Pure; private to data. */
#ifndef FLOSIM_DATA_ARRAYS_H
#define FLOSIM_DATA_ARRAYS_H

#include "data/dataset.h"
#include "util/span.h"

enum array_type { ARRAY_U8, ARRAY_I32, ARRAY_I64, ARRAY_F16, ARRAY_F32, ARRAY_F64 };
enum { ARRAY_MAX_DIMS = 8 };

struct data_array {
    const char *name;
    enum array_type type;
    int num_dims;
    int64_t dims[ARRAY_MAX_DIMS];
    struct span bytes;   /* little-endian, the last dimension fastest; dims and size agree */
    uint64_t first_byte; /* where they stand in their file, for messages */
};

struct data_arrays {
    const struct data_array *x, *y;
    const struct data_array *group, *tokens; /* or NULL; tokens: U8, what dataset.tokens_text says */
};

size_t array_type_size(enum array_type type);

/* Type, dims and num_items of x: U8 stays bytes, floats become F32, wide whole numbers are tokens. */
int arrays_describe(const struct data_array *x, struct dataset *out, struct error *err);

/* Fill what arrays_describe has described. The caller has set name, num_classes and vocabulary (0: the largest label
 * or token + 1). Whole numbers y are labels, floats y values. ERR_INVALID names array, item and byte. On failure the
 * caller calls dataset_fini. */
int arrays_fill(const struct data_arrays *arrays, struct dataset *out, struct error *err);

#endif
