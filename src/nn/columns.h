/* How a source is evaluated by a model that carries its state: in columns, runs of items that follow each other, read
 * side by side, each from an empty state. As PyTorch's usual `batchify` does, with nothing left out. */
#ifndef FLOSIM_NN_COLUMNS_H
#define FLOSIM_NN_COLUMNS_H

#include "nn/run.h"

struct column {
    size_t first, count; /* items of the source; count > 0 */
};

/* Cut the source into columns of at most ceil(num_items / wanted) items: `wanted` of them, and more only where a text
 * ends within one. The longest come first, else in the source's order. New array [*num]; NULL with err set. */
struct column *columns_cut(const struct batch_source *source, size_t wanted, size_t *num, struct error *err);

#endif
