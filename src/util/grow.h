/* Arrays that grow by one item at a time. */
#ifndef FLOSIM_UTIL_GROW_H
#define FLOSIM_UTIL_GROW_H

#include <stddef.h>

/* Room for one more behind the `n` items of `item_size` bytes: moves them to twice the room where n is a power of two,
 * so that an array grown by this alone needs no count of its room. NULL: out of memory; `items` is as it was. */
void *grow(void *items, size_t n, size_t item_size);

#endif
