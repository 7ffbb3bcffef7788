/* What the schemes share: the pool's items by label, and lists that grow. Private to data/partition. */
#ifndef FLOSIM_DATA_PARTITION_DEAL_H
#define FLOSIM_DATA_PARTITION_DEAL_H

#include "data/partition.h"

/* Items of the pool sorted by label; label c has items[first[c]] … items[first[c + 1] - 1]. */
struct label_lists {
    int32_t num_classes;
    uint32_t *items; /* item numbers of the data set */
    size_t *first;   /* [num_classes + 1] */
    size_t num_items;
    int32_t *present; /* the labels that occur, ascending */
    size_t num_present;
};

/* Sort the pool, in the pool's order within a label (or, with `rng`, shuffled within each label). */
int label_lists_init(struct label_lists *lists, const struct data_view *pool, struct rng *rng, struct error *err);
void label_lists_fini(struct label_lists *lists);
static inline size_t label_count(const struct label_lists *lists, int32_t label)
{
    return lists->first[label + 1] - lists->first[label];
}

/* Make room for the lists of K clients with the given sizes [K]; `items` is uninitialised. */
int partition_alloc(struct partition *out, size_t num_clients, const size_t *sizes, struct error *err);

/* Refuse more clients than items. */
int require_items(const struct data_view *pool, size_t num_clients, struct error *err);

#endif
