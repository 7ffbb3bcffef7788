#include "data/partition/deal.h"

#include <stdlib.h>

/* Items without classes are all alike. */
static int32_t label_of(const struct data_view *pool, uint32_t item)
{
    return dataset_has_classes(pool->dataset) ? pool->dataset->labels[item] : 0;
}

static void count_labels(struct label_lists *lists, const struct data_view *pool)
{
    for (size_t i = 0; i < pool->num_items; i++)
        lists->first[label_of(pool, pool->index ? pool->index[i] : (uint32_t)i) + 1]++;
    for (int32_t c = 0; c < lists->num_classes; c++) {
        if (lists->first[c + 1] > 0)
            lists->present[lists->num_present++] = c;
        lists->first[c + 1] += lists->first[c];
    }
}

/* A counting sort: `first` runs ahead while items are placed and is moved back after. */
static void place_items(struct label_lists *lists, const struct data_view *pool)
{
    for (size_t i = 0; i < pool->num_items; i++) {
        uint32_t item = pool->index ? pool->index[i] : (uint32_t)i;
        lists->items[lists->first[label_of(pool, item)]++] = item;
    }
    for (int32_t c = lists->num_classes; c > 0; c--)
        lists->first[c] = lists->first[c - 1];
    lists->first[0] = 0;
}

int label_lists_init(struct label_lists *lists, const struct data_view *pool, struct rng *rng, struct error *err)
{
    size_t classes = dataset_has_classes(pool->dataset) ? (size_t)pool->dataset->num_classes : 1;

    *lists = (struct label_lists){.num_classes = (int32_t)classes, .num_items = pool->num_items};
    lists->items = malloc((pool->num_items + 1) * sizeof *lists->items);
    lists->first = calloc(classes + 1, sizeof *lists->first);
    lists->present = calloc(classes + 1, sizeof *lists->present);
    if (!lists->items || !lists->first || !lists->present)
        return FAIL(err, ERR_MEMORY, "no memory to sort %zu items by label", pool->num_items);
    count_labels(lists, pool);
    place_items(lists, pool);
    for (size_t c = 0; c < classes && rng; c++)
        rng_shuffle_u32(rng, lists->items + lists->first[c], lists->first[c + 1] - lists->first[c]);
    return OK;
}

void label_lists_fini(struct label_lists *lists)
{
    free(lists->items);
    free(lists->first);
    free(lists->present);
    *lists = (struct label_lists){0};
}

int partition_alloc(struct partition *out, size_t num_clients, const size_t *sizes, struct error *err)
{
    size_t total = 0;

    out->num_clients = num_clients;
    out->first = calloc(num_clients + 1, sizeof *out->first);
    if (!out->first)
        return FAIL(err, ERR_MEMORY, "no memory for the lists of %zu clients", num_clients);
    for (size_t k = 0; k < num_clients; k++) {
        if (__builtin_add_overflow(total, sizes[k], &total) || total > SIZE_MAX / sizeof *out->items)
            return FAIL(err, ERR_TOO_LARGE,
                        "the lists of %zu clients do not fit into memory; take fewer items a client", num_clients);
        out->first[k + 1] = total;
    }
    out->items = malloc((total + 1) * sizeof *out->items);
    if (!out->items)
        return FAIL(err, ERR_MEMORY, "no memory for the lists of %zu clients (%zu items)", num_clients, total);
    return OK;
}

int require_items(const struct data_view *pool, size_t num_clients, struct error *err)
{
    if (pool->num_items >= num_clients)
        return OK;
    return FAIL(err, ERR_INVALID, "%zu clients cannot share %zu items; take fewer clients or more data", num_clients,
                pool->num_items);
}
