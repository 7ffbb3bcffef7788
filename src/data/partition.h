/* Partition schemes: a pluggable kind. A scheme deals the items of a data set to K clients, as index lists. */
#ifndef FLOSIM_DATA_PARTITION_H
#define FLOSIM_DATA_PARTITION_H

#include "data/dataset.h"
#include "util/params.h"
#include "util/rng.h"

struct partition {
    size_t num_clients;
    uint32_t *items; /* all lists behind one another */
    size_t *first;   /* [num_clients + 1]: client k has items[first[k]] … items[first[k+1] - 1] */
};

struct partition_ops {
    const char *name, *alias; /* Flotilla's name, or NULL */
    const char *help;
    bool by_label;                    /* the rule needs classes: partition_make refuses data without them */
    const struct param_table *params; /* its arguments, next to `scheme:` in a scenario's data section */
    /* Deal `pool` (a view, already cut to samples_per_client × clients where asked) to the clients: every client gets
     * at least one item, none twice. Fills out with item numbers of the data set, lists in any order. An impossible
     * request (more clients than items, min_samples out of reach …) is ERR_INVALID with what to change. All randomness
     * is from `rng`; the caller has made sure that the pool is not empty and num_clients > 0, and calls partition_fini
     * in any case. */
    int (*deal)(const void *args, const struct data_view *pool, size_t num_clients, struct rng *rng,
                struct partition *out, struct error *err);
};

extern const struct partition_ops *const partition_schemes[]; /* NULL-terminated */
const struct partition_ops *partition_find(const char *name);

/* The whole of it: draw clients × samples_per_client items first (0: all), deal them by scheme, each list shuffled,
 * from (seed, "partition"). out->items are item numbers of `dataset`. */
int partition_make(const struct dataset *dataset, const struct partition_ops *scheme, const void *args,
                   size_t num_clients, size_t samples_per_client, uint64_t seed, struct partition *out,
                   struct error *err);
void partition_fini(struct partition *partition);

/* Client k's part; borrows. */
struct data_view partition_view(const struct partition *partition, const struct dataset *dataset, size_t client);

#endif
