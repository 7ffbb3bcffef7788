/* What a corrupted client sends instead of its update: the fault `corrupt-update` at its victim's end. */
#ifndef FLOSIM_SIM_CORRUPTION_H
#define FLOSIM_SIM_CORRUPTION_H

#include <stddef.h>
#include <stdint.h>

#include "sim/shared.h"

/* Who sends and when: the noise depends on nothing else. */
struct corruption_source {
    uint64_t seed;
    const char *client;
    int64_t round;
};

/* weights [n], the trained ones, become garbage around received [n] as `order` says (which is not CORRUPT_NOT). Any
 * thread. */
void corrupt_weights(const struct corruption *order, const struct corruption_source *source, const float *received,
                     float *weights, size_t n);

#endif
