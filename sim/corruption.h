/* What a corrupted client sends instead of its update: the fault `corrupt-update` at its victim's end. */
#ifndef FLOSIM_SIM_CORRUPTION_H
#define FLOSIM_SIM_CORRUPTION_H

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"
#include "util/span.h"

enum corruption_kind {
    CORRUPT_GAUSSIAN,
    CORRUPT_SIGN_FLIP,
    CORRUPT_SCALE,
    CORRUPT_NAN,
    CORRUPT_ZERO,
    CORRUPT_INF,
    CORRUPT_BIT_FLIP,
    CORRUPT_TRUNCATED, /* not the weights: their encoded bytes */
};

/* What the values of the order mean. */
enum corruption_value { CORRUPT_KIND, CORRUPT_SIGMA, CORRUPT_FACTOR, CORRUPT_BITS };

/* Who sends and when: what is random depends on nothing else. */
struct corruption_source {
    uint64_t seed;
    const char *client;
    int64_t round;
};

/* weights [n], the trained ones, become garbage around received [n] as the order's values say. Any thread. */
void corrupt_weights(const double *order, const struct corruption_source *source, const float *received, float *weights,
                     size_t n);

/* Weights [n] become the received ones plus N(0, sigma^2) in each. `purpose` names the random numbers. */
void corruption_add_noise(const struct corruption_source *source, const char *purpose, double sigma,
                          const float *received, float *weights, size_t n);

/* An image of the same tensors, but the last one lacks a row (a scalar gets a dimension), as a new blob; NULL: out of
 * memory. */
struct blob *corruption_reshape(struct blob *image);

/* The first half of an image, as a new blob; NULL: out of memory. */
struct blob *corruption_cut(struct blob *image);

#endif
