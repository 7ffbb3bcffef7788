#include "util/rng.h"

#include <math.h>
#include <stdlib.h>

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    uint64_t state = hash ^ value;

    return splitmix64(&state);
}

/* Every byte and the length count, so ("ab", "c") and ("a", "bc") differ. */
static uint64_t mix_text(uint64_t hash, const char *text)
{
    uint64_t length = 0;

    for (; text && *text; text++, length++)
        hash = mix(hash, (unsigned char)*text + 1u);
    return mix(hash, length);
}

void rng_init(struct rng *rng, uint64_t seed, const char *purpose, const char *client, uint64_t round)
{
    uint64_t key = mix(mix_text(mix_text(mix(0, seed), purpose), client), round);

    for (int i = 0; i < 4; i++)
        rng->s[i] = splitmix64(&key);
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t rng_u64(struct rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
    uint64_t threshold = -bound % bound; /* the low values that would be drawn once too often */

    for (;;) {
        uint64_t x = rng_u64(rng);
        if (x >= threshold)
            return x % bound;
    }
}

double rng_uniform(struct rng *rng)
{
    return (double)(rng_u64(rng) >> 11) * 0x1.0p-53;
}

float rng_uniform_between(struct rng *rng, float lo, float hi)
{
    float unit = (float)(rng_u64(rng) >> 40) * 0x1.0p-24f;

    return lo + (hi - lo) * unit;
}

double rng_normal(struct rng *rng)
{
    double u = 1.0 - rng_uniform(rng); /* (0, 1]: the logarithm is finite */
    double v = rng_uniform(rng);

    return sqrt(-2.0 * log(u)) * cos(2.0 * 3.14159265358979323846 * v);
}

double rng_exponential(struct rng *rng, double mean)
{
    return -mean * log(1.0 - rng_uniform(rng));
}

double rng_gamma(struct rng *rng, double shape)
{
    if (shape < 1.0) {
        double boost = pow(1.0 - rng_uniform(rng), 1.0 / shape);
        return rng_gamma(rng, shape + 1.0) * boost;
    }
    double d = shape - 1.0 / 3.0;
    double c = 1.0 / sqrt(9.0 * d);
    for (;;) {
        double x = rng_normal(rng);
        double v = 1.0 + c * x;
        if (v <= 0.0)
            continue;
        v = v * v * v;
        double u = 1.0 - rng_uniform(rng);
        if (log(u) < 0.5 * x * x + d - d * v + d * log(v))
            return d * v;
    }
}

void rng_shuffle_u32(struct rng *rng, uint32_t *items, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)rng_below(rng, i);
        uint32_t item = items[i - 1];
        items[i - 1] = items[j];
        items[j] = item;
    }
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

void rng_choose_u32(struct rng *rng, uint32_t *out, size_t k, uint32_t *scratch, size_t n)
{
    for (size_t i = 0; i < n; i++)
        scratch[i] = (uint32_t)i;
    for (size_t i = 0; i < k; i++) {
        size_t j = i + (size_t)rng_below(rng, n - i);
        uint32_t item = scratch[j];
        scratch[j] = scratch[i];
        scratch[i] = item;
        out[i] = item;
    }
    qsort(out, k, sizeof *out, compare_u32);
}
