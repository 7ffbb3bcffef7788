/* Tiers: clients grouped by how long they take for a mini-batch (Ward clustering of the latencies). Tier 0 is the
 * fastest. A client whose latency is not known counts as slowest: it is in the last tier. */
#ifndef FLOSIM_TIERS_H
#define FLOSIM_TIERS_H

#include <math.h>

#include <flosim/cluster.h>
#include <flosim/selecting.h>

struct flosim_tiers {
    size_t num_tiers; /* at least 1; fewer than asked for where there are fewer distinct latencies */
    uint32_t *of;     /* [K] tier of each client of the selection */
};

static inline void flosim_tiers_fini(struct flosim_tiers *tiers)
{
    free(tiers->of);
    *tiers = (struct flosim_tiers){0};
}

static inline int flosim_knows_latency(const struct flosim_client *client)
{
    return isfinite(client->seconds_per_batch) && client->seconds_per_batch >= 0;
}

/* rank [num_tiers] of each label by the mean latency of its clients; labels [n] and latencies [n] go together. */
static inline void flosim_tiers_rank(const double *latencies, const uint32_t *labels, size_t n, size_t num_tiers,
                                     double *means, uint32_t *rank)
{
    for (size_t t = 0; t < num_tiers; t++) {
        double sum = 0, count = 0;

        for (size_t i = 0; i < n; i++) {
            sum += labels[i] == t ? latencies[i] : 0;
            count += labels[i] == t;
        }
        means[t] = sum / count;
    }
    for (size_t t = 0; t < num_tiers; t++) {
        rank[t] = 0;
        for (size_t other = 0; other < num_tiers; other++)
            rank[t] += means[other] < means[t] || (means[other] == means[t] && other < t);
    }
}

/* At most k tiers of all clients of the selection, whether they can be chosen now or not. FLOSIM_OK or FLOSIM_MEMORY;
 * end it with flosim_tiers_fini. */
static inline int flosim_tiers_init(struct flosim_tiers *tiers, const struct flosim_selection *selection, size_t k)
{
    size_t num_clients = selection->num_clients, n = 0;
    double *latencies = calloc(num_clients + 1, sizeof *latencies), *means = calloc(k + 1, sizeof *means);
    uint32_t *labels = calloc(num_clients + 1, sizeof *labels), *rank = calloc(k + 1, sizeof *rank);
    int status = FLOSIM_MEMORY;

    *tiers = (struct flosim_tiers){.num_tiers = 1, .of = calloc(num_clients + 1, sizeof *tiers->of)};
    if (!latencies || !means || !labels || !rank || !tiers->of)
        goto out;
    for (size_t i = 0; i < num_clients; i++)
        if (flosim_knows_latency(&selection->clients[i]))
            latencies[n++] = selection->clients[i].seconds_per_batch;
    status = FLOSIM_OK;
    if (n == 0)
        goto out;
    status = flosim_cluster_ward(latencies, n, 1, k, labels, &tiers->num_tiers);
    if (status != FLOSIM_OK)
        goto out;
    flosim_tiers_rank(latencies, labels, n, tiers->num_tiers, means, rank);
    for (size_t i = 0, next = 0; i < num_clients; i++)
        tiers->of[i] =
            flosim_knows_latency(&selection->clients[i]) ? rank[labels[next++]] : (uint32_t)(tiers->num_tiers - 1);
out:
    free(latencies);
    free(means);
    free(labels);
    free(rank);
    if (status != FLOSIM_OK)
        flosim_tiers_fini(tiers);
    return status;
}

/* Selectable clients of a tier. */
static inline size_t flosim_tiers_count(const struct flosim_tiers *tiers, const struct flosim_selection *selection,
                                        size_t tier)
{
    size_t n = 0;

    for (size_t i = 0; i < selection->num_clients; i++)
        n += (selection->clients[i].flags & FLOSIM_SELECTABLE) && tiers->of[i] == tier;
    return n;
}

/* A share of one tier's selectable clients, at random, over-selection included. FLOSIM_OK or FLOSIM_MEMORY. */
static inline int flosim_tiers_choose(const struct flosim_host *host, const char *purpose,
                                      const struct flosim_selection *selection, const struct flosim_tiers *tiers,
                                      size_t tier, size_t k, struct flosim_choice *choice)
{
    unsigned char *members = calloc(selection->num_clients + 1, 1);
    int status;

    if (!members)
        return FLOSIM_MEMORY;
    for (size_t i = 0; i < selection->num_clients; i++)
        members[i] = tiers->of[i] == tier;
    status = flosim_draw(host, purpose, selection, members, NULL, flosim_over_select(selection, k, choice), choice);
    free(members);
    return status;
}

/* The mean loss of a tier's clients, infinite where none is known. */
static inline double flosim_tiers_loss(const struct flosim_tiers *tiers, const struct flosim_selection *selection,
                                       size_t tier, double (*loss_of)(const struct flosim_client *client))
{
    double sum = 0, n = 0;

    for (size_t i = 0; i < selection->num_clients; i++) {
        double loss = loss_of(&selection->clients[i]);

        if (tiers->of[i] != tier || !(loss >= 0))
            continue;
        sum += loss;
        n++;
    }
    return n > 0 ? sum / n : HUGE_VAL;
}

/* Draw one of the tiers in which open[t] is not 0, by TiFL's rule (Chai et al. 2020): they are ranked by falling loss,
 * and rank i = 1..n is drawn with probability (n - i) / (n (n - 1) / 2); a single one is certain. Returns num_tiers
 * where none is open. */
static inline size_t flosim_tiers_draw(const struct flosim_host *host, struct flosim_random *random,
                                       const double *losses, const unsigned char *open, size_t num_tiers)
{
    uint64_t n = 0, ticket;

    for (size_t t = 0; t < num_tiers; t++)
        n += open[t] != 0;
    ticket = n > 1 ? host->random_below(random, n * (n - 1) / 2) : 0;
    for (size_t t = 0; t < num_tiers; t++) {
        uint64_t before = 0, first = 0; /* open tiers of higher rank, and the tickets that they hold */

        if (!open[t])
            continue;
        for (size_t other = 0; other < num_tiers; other++)
            before += open[other] && (losses[other] > losses[t] || (losses[other] == losses[t] && other < t));
        for (uint64_t i = 0; i < before; i++)
            first += n - 1 - i;
        if (n == 1 || (ticket >= first && ticket < first + n - 1 - before))
            return t;
    }
    return num_tiers;
}

/* Draw by that rule among the tiers that have selectable clients and, where `credits` [num_tiers] is not NULL, credits.
 * *tier is num_tiers where there is none. FLOSIM_OK or FLOSIM_MEMORY. */
static inline int flosim_tiers_pick(const struct flosim_host *host, const char *purpose,
                                    const struct flosim_selection *selection, const struct flosim_tiers *tiers,
                                    double (*loss_of)(const struct flosim_client *client), const int64_t *credits,
                                    size_t *tier)
{
    struct flosim_random random;
    double *losses = calloc(tiers->num_tiers, sizeof *losses);
    unsigned char *open = calloc(tiers->num_tiers, 1);
    int status = losses && open ? FLOSIM_OK : FLOSIM_MEMORY;

    for (size_t t = 0; status == FLOSIM_OK && t < tiers->num_tiers; t++) {
        losses[t] = flosim_tiers_loss(tiers, selection, t, loss_of);
        open[t] = (!credits || credits[t] > 0) && flosim_tiers_count(tiers, selection, t) > 0;
    }
    if (status == FLOSIM_OK) {
        flosim_selection_random(host, selection, purpose, &random);
        *tier = flosim_tiers_draw(host, &random, losses, open, tiers->num_tiers);
    }
    free(losses);
    free(open);
    return status;
}

#endif
