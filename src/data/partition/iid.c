/* Every client gets the same mixture: items are dealt like cards, label after label, so that the numbers of any label
 * at two clients differ by at most one, and so do their sizes (Flotilla's equal_partition). */
#include <stdlib.h>

#include "data/partition/deal.h"

struct args {
    char unused; /* the scheme has no arguments; C has no empty struct */
};

static const struct param_table table = {
    .name = "scheme iid",
    .size = sizeof(struct args),
};

/* Card i goes to client order[i mod K]. The clients are shuffled, or those at the front would always have one more. */
static void deal_cards(const struct label_lists *lists, const uint32_t *order, struct partition *out)
{
    size_t clients = out->num_clients;

    for (size_t i = 0; i < lists->num_items; i++)
        out->items[out->first[order[i % clients]] + i / clients] = lists->items[i];
}

static int deal(const void *args, const struct data_view *pool, size_t num_clients, struct rng *rng,
                struct partition *out, struct error *err)
{
    struct label_lists lists = {0};
    uint32_t *order = malloc(num_clients * sizeof *order);
    size_t *sizes = malloc(num_clients * sizeof *sizes);
    int status = order && sizes ? require_items(pool, num_clients, err)
                                : FAIL(err, ERR_MEMORY, "no memory for %zu clients", num_clients);

    (void)args;
    if (!status)
        status = label_lists_init(&lists, pool, rng, err);
    if (!status) {
        for (size_t k = 0; k < num_clients; k++)
            order[k] = (uint32_t)k;
        rng_shuffle_u32(rng, order, num_clients);
        for (size_t k = 0; k < num_clients; k++)
            sizes[order[k]] = pool->num_items / num_clients + (k < pool->num_items % num_clients);
        status = partition_alloc(out, num_clients, sizes, err);
    }
    if (!status)
        deal_cards(&lists, order, out);
    label_lists_fini(&lists);
    free(sizes);
    free(order);
    return status;
}

const struct partition_ops partition_iid = {
    .name = "iid",
    .alias = "equal_partition",
    .help = "Every client the same number of every label, up to one.",
    .params = &table,
    .deal = deal,
};
