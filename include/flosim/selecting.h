/* What several selections share: when a round may begin, ranking, weighted draws. */
#ifndef FLOSIM_SELECTING_H
#define FLOSIM_SELECTING_H

#include <math.h>
#include <stdlib.h>

#include <flosim/strategy.h>

/* The state of a member that remembers nothing. */
struct flosim_stateless {
    const void *args;
    const struct flosim_host *host;
};

static inline int flosim_stateless_init(void *state, const void *args, const struct flosim_host *host)
{
    *(struct flosim_stateless *)state = (struct flosim_stateless){args, host};
    return FLOSIM_OK;
}

/* Nobody works and nothing is left of the round before. */
static inline int flosim_may_begin(const struct flosim_selection *selection)
{
    return selection->num_training == 0 && selection->num_validating == 0 && selection->num_held == 0;
}

static inline void flosim_choose_all(const struct flosim_selection *selection, struct flosim_choice *choice)
{
    for (size_t i = 0; i < selection->num_clients; i++)
        if (selection->clients[i].flags & FLOSIM_SELECTABLE)
            choice->action[i] = FLOSIM_TRAIN;
}

/* ---- those who may be chosen, in an order ---- */

struct flosim_candidate {
    size_t client; /* its place in the selection */
    double key;
};

/* Fills out [K] with the selectable clients for which `among` [K] is not 0 (NULL: all); returns how many. key [K] */
static inline size_t flosim_candidates(const struct flosim_selection *selection, const unsigned char *among,
                                       const double *key, struct flosim_candidate *out)
{
    size_t n = 0;

    for (size_t i = 0; i < selection->num_clients; i++)
        if ((selection->clients[i].flags & FLOSIM_SELECTABLE) && (!among || among[i]))
            out[n++] = (struct flosim_candidate){i, key[i]};
    return n;
}

static inline int flosim_candidate_order(const void *a, const void *b)
{
    const struct flosim_candidate *x = a, *y = b;

    if (x->key != y->key)
        return x->key > y->key ? -1 : 1;
    return x->client < y->client ? -1 : x->client > y->client;
}

/* By falling key; equals stay in the order of their ids. */
static inline void flosim_candidates_sort(struct flosim_candidate *candidates, size_t n)
{
    qsort(candidates, n, sizeof *candidates, flosim_candidate_order);
}

/* The k selectable clients of highest key (no NaN) among those marked (NULL: all). FLOSIM_OK or FLOSIM_MEMORY. */
static inline int flosim_choose_highest(const struct flosim_selection *selection, const unsigned char *among,
                                        const double *key, size_t k, enum flosim_action what,
                                        struct flosim_choice *choice)
{
    struct flosim_candidate *candidates = calloc(selection->num_clients + 1, sizeof *candidates);
    size_t n;

    if (!candidates)
        return FLOSIM_MEMORY;
    n = flosim_candidates(selection, among, key, candidates);
    flosim_candidates_sort(candidates, n);
    for (size_t i = 0; i < n && i < k; i++)
        choice->action[candidates[i].client] = (unsigned char)what;
    free(candidates);
    return FLOSIM_OK;
}

/* The share of those of highest (sign 1) or lowest (sign -1) latest training loss. Who has none yet comes first. */
static inline int flosim_choose_by_loss(const struct flosim_selection *selection, double share, double sign,
                                        struct flosim_choice *choice)
{
    size_t k = flosim_over_select(selection, flosim_fraction_of(share, flosim_count_selectable(selection)), choice);
    double *keys = calloc(selection->num_clients + 1, sizeof *keys);
    int status;

    if (!keys)
        return FLOSIM_MEMORY;
    for (size_t i = 0; i < selection->num_clients; i++) {
        double loss = selection->clients[i].last_loss;

        keys[i] = loss >= 0 ? sign * loss : HUGE_VAL;
    }
    status = flosim_choose_highest(selection, NULL, keys, k, FLOSIM_TRAIN, choice);
    free(keys);
    return status;
}

/* ---- weighted draws without replacement ---- */

/* The key of one client: the k of highest key are k draws without replacement, each with probability proportional to
 * its weight (Efraimidis and Spirakis 2006). It depends on this client alone, so that another who comes or goes does
 * not change it. `round` as flosim_selection_random has it, or without the attempt. */
static inline double flosim_draw_key(const struct flosim_host *host, const char *purpose, const char *client,
                                     uint64_t round, double weight)
{
    struct flosim_random random;
    double u;

    host->random_init(host, &random, purpose, client, round);
    u = 1 - host->random_uniform(&random); /* (0, 1] */
    return weight > 0 ? log(u) / weight : -HUGE_VAL;
}

static inline uint64_t flosim_round_and_attempt(const struct flosim_selection *selection)
{
    return (uint64_t)selection->round | (uint64_t)selection->attempt << 40;
}

/* k of the selectable clients among those marked (NULL: all), drawn without replacement with probability proportional
 * to weight [K] (NULL: equal). FLOSIM_OK or FLOSIM_MEMORY. */
static inline int flosim_draw(const struct flosim_host *host, const char *purpose,
                              const struct flosim_selection *selection, const unsigned char *among,
                              const double *weight, size_t k, struct flosim_choice *choice)
{
    double *keys = calloc(selection->num_clients + 1, sizeof *keys);
    int status;

    if (!keys)
        return FLOSIM_MEMORY;
    for (size_t i = 0; i < selection->num_clients; i++)
        keys[i] = flosim_draw_key(host, purpose, selection->clients[i].id, flosim_round_and_attempt(selection),
                                  weight ? weight[i] : 1);
    status = flosim_choose_highest(selection, among, keys, k, FLOSIM_TRAIN, choice);
    free(keys);
    return status;
}

/* ---- arguments that many have ---- */

#define FLOSIM_PERCENTAGE_ROW(type_of_args, text)                                                                      \
    {                                                                                                                  \
        .name = "percentage_client_selection", .type = FLOSIM_FRACTION,                                                \
        .offset = offsetof(type_of_args, percentage_client_selection), .fallback = "1", .max = 1, .help = (text)       \
    }

#define FLOSIM_TIERS_ROW(type_of_args, text)                                                                           \
    {                                                                                                                  \
        .name = "num_tiers", .type = FLOSIM_INT, .offset = offsetof(type_of_args, num_tiers), .fallback = "3",         \
        .min = 1, .max = FLOSIM_MAX_COHORTS, .help = (text)                                                            \
    }

#endif
