/* Random numbers that depend on nothing but (seed, purpose, client, round): no global state, the same on every
 * machine. SplitMix64 mixes the key (Steele et al. 2014); xoshiro256** generates (Blackman & Vigna 2018). */
#ifndef FLOSIM_UTIL_RNG_H
#define FLOSIM_UTIL_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t s[4];
};

/* `purpose` is a short fixed word ("init", "shuffle", "selection", …); `client` an id or "" ; `round` counts from 0. */
void rng_init(struct rng *rng, uint64_t seed, const char *purpose, const char *client, uint64_t round);

uint64_t rng_u64(struct rng *rng);
uint64_t rng_below(struct rng *rng, uint64_t bound);          /* uniform in [0, bound), without bias; bound > 0 */
double rng_uniform(struct rng *rng);                          /* [0, 1) with 53 bits */
float rng_uniform_between(struct rng *rng, float lo, float hi); /* [lo, hi) */
double rng_normal(struct rng *rng);                           /* N(0, 1), Box-Muller, no cached second value */
double rng_exponential(struct rng *rng, double mean);
double rng_gamma(struct rng *rng, double shape);              /* scale 1; Marsaglia & Tsang 2000; shape > 0 */
void rng_shuffle_u32(struct rng *rng, uint32_t *items, size_t n); /* Fisher-Yates */

/* Draw k of n without replacement: fills out[k] with ascending indices; k <= n. Floyd's choice would do; n is small,
 * so a partial shuffle of `scratch` [n] is used. */
void rng_choose_u32(struct rng *rng, uint32_t *out, size_t k, uint32_t *scratch, size_t n);

#endif
