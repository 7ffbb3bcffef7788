/* Strings by number and numbers by string: what is added first is 0. Strings are borrowed. One thread. */
#ifndef FLOSIM_DATA_STRING_INDEX_H
#define FLOSIM_DATA_STRING_INDEX_H

#include <stdint.h>

#include "util/error.h"
#include "util/span.h"

struct string_index {
    struct span *strings; /* [n] */
    size_t n, room;
    uint32_t *slots; /* number + 1, 0: free */
    size_t num_slots;
};

/* Begin with {0}. The number of a string, which is added where it is new; ERR_MEMORY, ERR_TOO_LARGE past 2^31. */
int string_index_add(struct string_index *index, struct span string, uint32_t *number, struct error *err);

/* UINT32_MAX: not there. */
uint32_t string_index_find(const struct string_index *index, struct span string);
void string_index_fini(struct string_index *index);

#endif
