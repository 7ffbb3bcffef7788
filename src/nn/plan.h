/* Placing buffers of known lifetimes in one block of memory, so that those which never live together share room. */
#ifndef FLOSIM_NN_PLAN_H
#define FLOSIM_NN_PLAN_H

#include <stddef.h>

struct plan_buffer {
    size_t size;     /* in floats */
    int first, last; /* the steps between which it holds something, both included */
    size_t offset;   /* filled by plan_place; a multiple of 16 floats */
};

/* Greedy, largest first (Pisarchyk & Lee 2020). Returns the floats needed in all. `order` [n] is scratch. */
size_t plan_place(struct plan_buffer *buffers, size_t n, size_t *order);

#endif
