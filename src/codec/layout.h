/* The tensor layout of a model's state: which named tensors lie where in one flat block of floats.
 * Aggregation, optimisers, wire and checkpoints are flat loops over the block; only this table knows the names.
 * Immutable once built; any thread may read. P = all floats of the block (parameters first, then F32 buffers). */
#ifndef FLOSIM_CODEC_LAYOUT_H
#define FLOSIM_CODEC_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

enum { TENSOR_MAX_DIMS = 6, TENSOR_NAME_MAX = 192, SHAPE_TEXT_MAX = TENSOR_MAX_DIMS * 22 + 3 };

enum tensor_role { TENSOR_PARAMETER, TENSOR_BUFFER };

struct tensor_info {
    char name[TENSOR_NAME_MAX]; /* PyTorch's state-dict name: conv1.weight */
    enum tensor_role role;
    bool is_i64; /* stored as I64 on the wire (num_batches_tracked); a float in the block, exact up to 2^24 */
    int num_dims;
    int64_t dims[TENSOR_MAX_DIMS];
    size_t offset, count; /* in floats */
};

struct layout {
    struct tensor_info *tensors; /* in state-dict order */
    size_t num_tensors, capacity;
    size_t num_floats;     /* P */
    size_t num_parameters; /* floats of role TENSOR_PARAMETER; they come first in the block */
};

void layout_init(struct layout *layout);
void layout_fini(struct layout *layout);

/* Append a tensor. Parameters lie before buffers in the block, whatever the order they are added in, so offsets are
 * final once all tensors are there. */
int layout_add(struct layout *layout, const char *name, enum tensor_role role, bool is_i64, int num_dims,
               const int64_t *dims, struct error *err);

const struct tensor_info *layout_find(const struct layout *layout, const char *name); /* NULL: none */
int layout_copy(const struct layout *from, struct layout *to, struct error *err);

/* ERR_INVALID naming the first tensor that differs (name, shape, type), or OK. */
int layout_compare(const struct layout *expected, const struct layout *found, struct error *err);

/* "[6, 1, 5, 5]" for messages, and the comparison behind them; num_dims <= TENSOR_MAX_DIMS. */
void shape_text(int num_dims, const int64_t *dims, char text[SHAPE_TEXT_MAX]);
bool shape_equal(int num_dims_a, const int64_t *a, int num_dims_b, const int64_t *b);

#endif
