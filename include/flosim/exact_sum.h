/* Exact sums of weighted vectors: sum over clients of n_k * w_k, in 128-bit fixed point.
 *
 * Additions of integers commute, so the sum is the same bit for bit in whatever order updates come, and sums of parts
 * can be merged. The unit is 2^-72; what is smaller in a term is cut off (the same for the same term). The magnitudes
 * of all terms together must stay below 2^54, or the update is refused: with 2^31 samples that allows weights up to
 * 2^23.
 *
 * Sums with real factors are sums of numbers that are rounded once, as doubles, before they are added: each term is the
 * same for the same update, so these have no order either.
 *
 * Not thread safe; a sum belongs to its strategy. P floats; memory is 16 P bytes, however many clients there are. */
#ifndef FLOSIM_EXACT_SUM_H
#define FLOSIM_EXACT_SUM_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <flosim/strategy.h>

__extension__ typedef __int128 flosim_int128;

#define FLOSIM_EXACT_UNIT  0x1p-72
#define FLOSIM_EXACT_LIMIT 0x1p54

struct flosim_exact_sum {
    flosim_int128 *sums; /* [P] */
    size_t n;            /* P */
    int64_t total;       /* sum of the factors */
    double bound;        /* no element is larger than this */
};

/* Zeroed, in huge pages where they are to be had: 16 P bytes are many pages. */
static inline flosim_int128 *flosim_exact_sum_memory(size_t n)
{
#ifdef MADV_HUGEPAGE
    const size_t huge = 2u << 20;
    size_t size = (n * sizeof(flosim_int128) + huge - 1) / huge * huge;
    void *memory = size < 2 * huge || n > SIZE_MAX / 2 / sizeof(flosim_int128) ? NULL : aligned_alloc(huge, size);

    if (memory) {
        madvise(memory, size, MADV_HUGEPAGE);
        return memset(memory, 0, size);
    }
#endif
    return calloc(n, sizeof(flosim_int128));
}

static inline int flosim_exact_sum_init(struct flosim_exact_sum *sum, size_t n)
{
    *sum = (struct flosim_exact_sum){0};
    sum->sums = flosim_exact_sum_memory(n ? n : 1);
    sum->n = n;
    return sum->sums ? FLOSIM_OK : FLOSIM_MEMORY;
}

static inline void flosim_exact_sum_fini(struct flosim_exact_sum *sum)
{
    free(sum->sums);
    *sum = (struct flosim_exact_sum){0};
}

static inline void flosim_exact_sum_reset(struct flosim_exact_sum *sum)
{
    memset(sum->sums, 0, sum->n * sizeof *sum->sums);
    sum->total = 0;
    sum->bound = 0;
}

static inline uint32_t flosim_float_bits(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* The largest magnitude of w [n] as float bits; 0x7f800000 or more where one is not finite. */
static inline uint32_t flosim_largest_bits(const float *w, size_t n)
{
    uint32_t largest = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t bits = flosim_float_bits(w[i]) & 0x7fffffffu;

        largest = bits > largest ? bits : largest;
    }
    return largest;
}

/* factor * value in units of 2^-72. */
static inline flosim_int128 flosim_exact_term(float value, int64_t factor)
{
    uint32_t bits = flosim_float_bits(value);
    int exponent = (int)(bits >> 23 & 0xffu);
    int64_t mantissa = (int64_t)(bits & 0x7fffffu);
    flosim_int128 term;
    int shift;

    if (exponent)
        mantissa |= 0x800000;
    else
        exponent = 1;
    shift = exponent - 150 + 72; /* value = mantissa * 2^(exponent - 150) */
    term = (flosim_int128)mantissa * factor;
    if (shift >= 0)
        term <<= shift;
    else
        term = shift > -64 ? term >> -shift : 0;
    return bits >> 31 ? -term : term;
}

/* sum += factor * w. w [P]; 0 < factor < 2^31. FLOSIM_TOO_LARGE where the sum could leave its range, FLOSIM_INVALID for
 * a value that is not finite or a bad factor; then nothing changed. */
static inline int flosim_exact_sum_add(struct flosim_exact_sum *sum, const float *w, int64_t factor)
{
    uint32_t largest = flosim_largest_bits(w, sum->n);
    float magnitude;
    double bound;

    memcpy(&magnitude, &largest, sizeof magnitude);
    if (largest >= 0x7f800000u || factor <= 0 || factor > INT32_MAX)
        return FLOSIM_INVALID;
    bound = sum->bound + (double)magnitude * (double)factor;
    if (!(bound < FLOSIM_EXACT_LIMIT) || sum->total > INT64_MAX - factor)
        return FLOSIM_TOO_LARGE;
    for (size_t i = 0; i < sum->n; i++)
        sum->sums[i] += flosim_exact_term(w[i], factor);
    sum->bound = bound;
    sum->total += factor;
    return FLOSIM_OK;
}

/* value in units of 2^-72; finite, |value| < 2^54. */
static inline flosim_int128 flosim_exact_of(double value)
{
    uint64_t bits;
    int64_t mantissa;
    int shift;
    flosim_int128 term;

    memcpy(&bits, &value, sizeof bits);
    shift = (int)(bits >> 52 & 0x7ffu) - 1075 + 72;
    mantissa = (int64_t)((bits & 0xfffffffffffffu) | 0x10000000000000u);
    if (shift <= -64)
        return 0; /* less than one unit, numbers below 2^-1022 among them */
    term = shift >= 0 ? (flosim_int128)mantissa << shift : mantissa >> -shift;
    return bits >> 63 ? -term : term;
}

/* The largest |factor (w - x)|; infinite where one is not finite. w, x [n]. */
static inline double flosim_exact_reach(const float *w, const float *x, size_t n, double factor)
{
    double largest = 0;

    for (size_t i = 0; i < n; i++) {
        double term = factor * ((double)w[i] - (double)x[i]);

        term = term < 0 ? -term : term;
        largest = term > largest || term != term ? term : largest;
    }
    return largest < FLOSIM_EXACT_LIMIT ? largest : (double)INFINITY;
}

/* sum += factor (w - x), for any finite factor. w, x [P]. FLOSIM_TOO_LARGE where the sum could leave its range or a
 * value is not finite; then nothing changed. `total` stays as it is. */
static inline int flosim_exact_sum_add_real(struct flosim_exact_sum *sum, const float *w, const float *x, double factor)
{
    double bound = sum->bound + flosim_exact_reach(w, x, sum->n, factor);

    if (!(bound < FLOSIM_EXACT_LIMIT))
        return FLOSIM_TOO_LARGE;
    for (size_t i = 0; i < sum->n; i++)
        sum->sums[i] += flosim_exact_of(factor * ((double)w[i] - (double)x[i]));
    sum->bound = bound;
    return FLOSIM_OK;
}

/* Element i of the sum, rounded to double. */
static inline double flosim_exact_sum_at(const struct flosim_exact_sum *sum, size_t i)
{
    return (double)sum->sums[i] * FLOSIM_EXACT_UNIT;
}

/* An exact sum of single numbers. */
struct flosim_exact_scalar {
    flosim_int128 sum;
    double bound;
};

/* FLOSIM_TOO_LARGE where the sum could leave its range or value is not finite; then nothing changed. */
static inline int flosim_exact_scalar_add(struct flosim_exact_scalar *scalar, double value)
{
    double bound = scalar->bound + (value < 0 ? -value : value);

    if (!(bound < FLOSIM_EXACT_LIMIT))
        return FLOSIM_TOO_LARGE;
    scalar->sum += flosim_exact_of(value);
    scalar->bound = bound;
    return FLOSIM_OK;
}

static inline double flosim_exact_scalar_value(const struct flosim_exact_scalar *scalar)
{
    return (double)scalar->sum * FLOSIM_EXACT_UNIT;
}

/* sum += part (of the same P). */
static inline int flosim_exact_sum_merge(struct flosim_exact_sum *sum, const struct flosim_exact_sum *part)
{
    double bound = sum->bound + part->bound;

    if (sum->n != part->n)
        return FLOSIM_INVALID;
    if (!(bound < FLOSIM_EXACT_LIMIT) || sum->total > INT64_MAX - part->total)
        return FLOSIM_TOO_LARGE;
    for (size_t i = 0; i < sum->n; i++)
        sum->sums[i] += part->sums[i];
    sum->bound = bound;
    sum->total += part->total;
    return FLOSIM_OK;
}

/* out [P] = sum / total, rounded to float; total > 0. */
static inline void flosim_exact_sum_mean(const struct flosim_exact_sum *sum, float *out)
{
    double total = (double)sum->total;

    for (size_t i = 0; i < sum->n; i++)
        out[i] = (float)((double)sum->sums[i] * FLOSIM_EXACT_UNIT / total);
}

#endif
