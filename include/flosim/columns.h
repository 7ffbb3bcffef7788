/* Coordinate-wise order statistics of held updates: for each coordinate the n values in ascending order.
 *
 * A block of coordinates is sorted at once by Batcher's merge exchange (Knuth, The Art of Computer Programming 3,
 * Algorithm 5.2.2 M), whose comparisons do not depend on the values: each one is a minimum and a maximum over a whole
 * block, which compilers turn into vector instructions. O(n log^2 n) for each coordinate. */
#ifndef FLOSIM_COLUMNS_H
#define FLOSIM_COLUMNS_H

#include <flosim/held_updates.h>

enum { FLOSIM_COLUMNS = 64 }; /* coordinates in a block */

/* Two comparisons, each of its own: of one alone compilers make a branch instead of vector instructions (100 updates of
 * 100,000 weights: 0.05 s instead of 0.65 s). */
static inline void flosim_columns_exchange(float *restrict low, float *restrict high)
{
    for (size_t c = 0; c < FLOSIM_COLUMNS; c++) {
        float a = low[c], b = high[c];

        low[c] = a < b ? a : b;
        high[c] = a > b ? a : b;
    }
}

/* Sort each column of block [n, FLOSIM_COLUMNS]; its values are finite. */
static inline void flosim_columns_sort(float *block, size_t n)
{
    size_t top = 1;

    if (n < 2)
        return;
    while (2 * top < n)
        top *= 2;
    for (size_t p = top; p > 0; p /= 2) {
        for (size_t q = top, r = 0, d = p;; d = q - p, q /= 2, r = p) {
            for (size_t i = 0; i + d < n; i++)
                if ((i & p) == r)
                    flosim_columns_exchange(block + i * FLOSIM_COLUMNS, block + (i + d) * FLOSIM_COLUMNS);
            if (q == p)
                break;
        }
    }
}

/* What becomes of one coordinate: `sorted` points to the smallest of its n values, the next one lies FLOSIM_COLUMNS
 * floats further. */
typedef float flosim_column_rule(const float *sorted, size_t n, const void *context);

static inline void flosim_columns_gather(const float *const *rows, size_t n, size_t first, size_t count, float *block)
{
    for (size_t i = 0; i < n; i++) {
        memcpy(block + i * FLOSIM_COLUMNS, rows[i] + first, count * sizeof *block);
        memset(block + i * FLOSIM_COLUMNS + count, 0, (FLOSIM_COLUMNS - count) * sizeof *block);
    }
}

/* out [P] = rule of each coordinate of rows [n][P]. FLOSIM_MEMORY. */
static inline int flosim_columns_reduce(const struct flosim_host *host, const float *const *rows, size_t n,
                                        flosim_column_rule *rule, const void *context, float *out)
{
    float *block = malloc(n * FLOSIM_COLUMNS * sizeof *block);

    if (!block)
        return host->explain(host, FLOSIM_MEMORY, "no memory to sort %zu updates", n);
    for (size_t first = 0; first < host->num_weights; first += FLOSIM_COLUMNS) {
        size_t left = host->num_weights - first, count = left < FLOSIM_COLUMNS ? left : FLOSIM_COLUMNS;

        flosim_columns_gather(rows, n, first, count, block);
        flosim_columns_sort(block, n);
        for (size_t c = 0; c < count; c++)
            out[first + c] = rule(block + c, n, context);
    }
    free(block);
    return FLOSIM_OK;
}

/* The same of all updates held. */
static inline int flosim_columns_reduce_held(const struct flosim_held *held, flosim_column_rule *rule,
                                             const void *context, float *out)
{
    const float **rows = malloc((held->n + 1) * sizeof *rows);
    int status;

    if (!rows)
        return held->host->explain(held->host, FLOSIM_MEMORY, "no memory to sort %zu updates", held->n);
    for (size_t i = 0; i < held->n; i++)
        rows[i] = held->updates[i].weights;
    status = flosim_columns_reduce(held->host, rows, held->n, rule, context, out);
    free(rows);
    return status;
}

/* The k-th smallest value, from 0. */
static inline double flosim_column_at(const float *sorted, size_t k)
{
    return (double)sorted[k * FLOSIM_COLUMNS];
}

/* Of an even number the mean of the two in the middle. */
static inline double flosim_column_median(const float *sorted, size_t n)
{
    return n % 2 ? flosim_column_at(sorted, n / 2)
                 : (flosim_column_at(sorted, n / 2 - 1) + flosim_column_at(sorted, n / 2)) / 2;
}

/* The mean of `count` values from the first-th on. */
static inline double flosim_column_mean(const float *sorted, size_t first, size_t count)
{
    double sum = 0;

    for (size_t i = first; i < first + count; i++)
        sum += flosim_column_at(sorted, i);
    return sum / (double)count;
}

#endif
