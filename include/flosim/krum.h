/* Krum's scores: the sum of the squared distances to an update's nearest neighbours (Blanchard et al. 2017). Shared by
 * krum, multikrum and bulyan.
 *
 * O(n^2 P) for the distances, in double and always in the same order. */
#ifndef FLOSIM_KRUM_H
#define FLOSIM_KRUM_H

#include <flosim/held_updates.h>

enum { FLOSIM_KRUM_LANES = 8, FLOSIM_KRUM_BLOCK = 2048 };

struct flosim_krum {
    size_t n;
    double *distances;     /* [n, n] squared */
    uint32_t *neighbours;  /* [n, n]: for each the others by distance, nearest first, ties by index; itself last */
    unsigned char *chosen; /* [n] taken out: no candidate and nobody's neighbour any more */
};

static inline void flosim_krum_fini(struct flosim_krum *krum)
{
    free(krum->distances);
    free(krum->neighbours);
    free(krum->chosen);
    *krum = (struct flosim_krum){0};
}

/* The squared distance of a [n] and b [n]. */
static inline double flosim_square_distance(const float *a, const float *b, size_t n)
{
    double lanes[FLOSIM_KRUM_LANES] = {0}, sum = 0;
    size_t i = 0;

    for (; i + FLOSIM_KRUM_LANES <= n; i += FLOSIM_KRUM_LANES)
        for (size_t l = 0; l < FLOSIM_KRUM_LANES; l++) {
            double d = (double)a[i + l] - (double)b[i + l];

            lanes[l] += d * d;
        }
    for (size_t l = 0; l < FLOSIM_KRUM_LANES; l++)
        sum += lanes[l];
    for (; i < n; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sum;
}

/* Block by block, so that the updates' parts stay in the cache. */
static inline void flosim_krum_measure(struct flosim_krum *krum, const struct flosim_held *held)
{
    size_t num_weights = held->host->num_weights, n = krum->n;

    for (size_t first = 0; first < num_weights; first += FLOSIM_KRUM_BLOCK) {
        size_t left = num_weights - first, count = left < FLOSIM_KRUM_BLOCK ? left : FLOSIM_KRUM_BLOCK;

        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < i; k++)
                krum->distances[i * n + k] +=
                    flosim_square_distance(held->updates[i].weights + first, held->updates[k].weights + first, count);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            krum->distances[k * n + i] = krum->distances[i * n + k];
}

/* Insertion into the list of i, kept by (distance, index). */
static inline void flosim_krum_rank(struct flosim_krum *krum, size_t i)
{
    const double *distances = krum->distances + i * krum->n;
    uint32_t *list = krum->neighbours + i * krum->n;
    size_t length = 0;

    for (size_t k = 0; k < krum->n; k++) {
        size_t at = length;

        if (k == i)
            continue;
        for (; at > 0 && distances[list[at - 1]] > distances[k]; at--)
            list[at] = list[at - 1];
        list[at] = (uint32_t)k;
        length++;
    }
    list[length] = (uint32_t)i;
}

/* Of all updates held. FLOSIM_MEMORY. */
static inline int flosim_krum_init(struct flosim_krum *krum, const struct flosim_held *held)
{
    size_t n = held->n;

    *krum = (struct flosim_krum){n, calloc(n * n + 1, sizeof *krum->distances),
                                 calloc(n * n + 1, sizeof *krum->neighbours), calloc(n + 1, 1)};
    if (!krum->distances || !krum->neighbours || !krum->chosen) {
        flosim_krum_fini(krum);
        return held->host->explain(held->host, FLOSIM_MEMORY, "no memory for distances of %zu updates", n);
    }
    flosim_krum_measure(krum, held);
    for (size_t i = 0; i < n; i++)
        flosim_krum_rank(krum, i);
    return FLOSIM_OK;
}

/* Sum over the `count` nearest that are not taken out; fewer where there are no more. */
static inline double flosim_krum_score(const struct flosim_krum *krum, size_t i, size_t count)
{
    const uint32_t *list = krum->neighbours + i * krum->n;
    double sum = 0;

    for (size_t k = 0; k + 1 < krum->n && count > 0; k++) {
        if (krum->chosen[list[k]])
            continue;
        sum += krum->distances[i * krum->n + list[k]];
        count--;
    }
    return sum;
}

/* The candidate with the least score, the first by id of equal ones; n where none is left. */
static inline size_t flosim_krum_best(const struct flosim_krum *krum, size_t count)
{
    size_t best = krum->n;
    double least = 0;

    for (size_t i = 0; i < krum->n; i++) {
        double score = krum->chosen[i] ? 0 : flosim_krum_score(krum, i, count);

        if (!krum->chosen[i] && (best == krum->n || score < least)) {
            best = i;
            least = score;
        }
    }
    return best;
}

/* ---- rules over a number f of clients that lie ------------------------------------------------------------------- */

/* f tolerated among n updates where a rule needs n >= k f + 3 (k = 2: Krum, 4: Bulyan): `asked`, or for a negative one
 * as many as n allows. FLOSIM_TOO_FEW where n is too small. */
static inline int flosim_krum_tolerates(const struct flosim_host *host, int64_t asked, size_t k, size_t n, size_t *f)
{
    *f = asked >= 0 ? (size_t)asked : n < 3 ? 0 : (n - 3) / k;
    if (n >= k * *f + 3)
        return FLOSIM_OK;
    return host->explain(host, FLOSIM_TOO_FEW, "%zu updates are too few: f = %zu needs %zu f + 3 = %zu", n, *f, k,
                         k * *f + 3);
}

/* The same in `prepare`, before anybody trains: a round that can never have enough is an error, which ends the session.
 * The arguments begin with f. */
static inline int flosim_krum_check_round(const void *state, const struct flosim_round *round, size_t k)
{
    const struct flosim_held *held = state;
    const struct flosim_host *host = held->host;
    int64_t asked = *(const int64_t *)held->args;
    size_t f;

    if (round->num_wanted == 0 || flosim_krum_tolerates(host, asked, k, round->num_wanted, &f) == FLOSIM_OK)
        return FLOSIM_OK;
    return host->explain(host, FLOSIM_INVALID,
                         "a round of %zu updates is too small: f = %zu needs %zu f + 3 = %zu clients selected",
                         round->num_wanted, f, k, k * f + 3);
}

/* `prepare` of Krum's rules. */
static inline int flosim_krum_prepare(void *state, const char *client, const struct flosim_round *round,
                                      struct flosim_request *request)
{
    (void)client;
    (void)request;
    return flosim_krum_check_round(state, round, 2);
}

/* The row `f`, the first of a rule's `struct args`; `needed` is the k of its k f + 3, as text. */
#define FLOSIM_KRUM_F(needed)                                                                                          \
    {                                                                                                                  \
        .name = "f", .type = FLOSIM_INT, .offset = offsetof(struct args, f), .fallback = "-1", .min = -1, .max = 1e5,  \
        .flags = FLOSIM_OURS,                                                                                          \
        .help = "Clients of a round that may lie; n updates must be at least " needed                                  \
                "f + 3. -1: the largest that n allows.",                                                               \
    }

#endif
