/* The data say which client an item belongs to (a writer, a device): each client gets the items of one id. With fewer
 * clients than ids, so many ids are drawn at random; clients stand in the order of their ids. */
#include <stdlib.h>

#include "data/partition/deal.h"

struct args {
    char unused; /* the scheme has no arguments; C has no empty struct */
};

static const struct param_table table = {
    .name = "scheme natural",
    .size = sizeof(struct args),
};

/* An item beside its id, for sorting: ids may be any numbers. */
struct owned {
    int32_t group;
    uint32_t item;
};

static int compare_owned(const void *a, const void *b)
{
    const struct owned *x = a, *y = b;

    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return (x->item > y->item) - (x->item < y->item);
}

static struct owned *sort_by_group(const struct data_view *pool)
{
    struct owned *owned = malloc(pool->num_items * sizeof *owned);

    for (size_t i = 0; i < pool->num_items && owned; i++) {
        uint32_t item = pool->index ? pool->index[i] : (uint32_t)i;
        owned[i] = (struct owned){pool->dataset->groups[item], item};
    }
    if (owned)
        qsort(owned, pool->num_items, sizeof *owned, compare_owned);
    return owned;
}

/* Where each id begins in the sorted items, and the end; returns the number of ids. */
static size_t find_groups(const struct owned *owned, size_t n, uint32_t *begin)
{
    size_t groups = 0;

    for (size_t i = 0; i < n; i++)
        if (i == 0 || owned[i].group != owned[i - 1].group)
            begin[groups++] = (uint32_t)i;
    begin[groups] = (uint32_t)n;
    return groups;
}

struct groups {
    struct owned *owned;
    uint32_t *begin, *chosen, *scratch; /* [pool + 1] each */
    size_t *sizes;                      /* [K] */
};

static int groups_init(struct groups *g, const struct data_view *pool, size_t num_clients, struct error *err)
{
    size_t n = pool->num_items + 1;

    *g = (struct groups){0};
    g->begin = malloc(3 * n * sizeof *g->begin);
    g->sizes = malloc(num_clients * sizeof *g->sizes);
    g->owned = sort_by_group(pool);
    if (!g->begin || !g->sizes || !g->owned)
        return FAIL(err, ERR_MEMORY, "no memory to sort %zu items", pool->num_items);
    g->chosen = g->begin + n;
    g->scratch = g->chosen + n;
    return OK;
}

static void groups_fini(struct groups *g)
{
    free(g->owned);
    free(g->begin);
    free(g->sizes);
}

static int take(struct groups *g, size_t num_clients, struct partition *out, struct error *err)
{
    for (size_t k = 0; k < num_clients; k++)
        g->sizes[k] = g->begin[g->chosen[k] + 1u] - g->begin[g->chosen[k]];
    int status = partition_alloc(out, num_clients, g->sizes, err);
    if (status)
        return status;
    for (size_t k = 0; k < num_clients; k++)
        for (size_t i = 0; i < g->sizes[k]; i++)
            out->items[out->first[k] + i] = g->owned[g->begin[g->chosen[k]] + i].item;
    return OK;
}

static int deal(const void *args, const struct data_view *pool, size_t num_clients, struct rng *rng,
                struct partition *out, struct error *err)
{
    struct groups g;

    (void)args;
    if (!pool->dataset->groups)
        return FAIL(err, ERR_INVALID,
                    "the data do not say which client an item belongs to; use a source with groups (synthetic, or "
                    "safetensors with a tensor `group`) or another scheme");
    int status = groups_init(&g, pool, num_clients, err);
    if (!status) {
        size_t groups = find_groups(g.owned, pool->num_items, g.begin);
        if (groups < num_clients)
            status = FAIL(err, ERR_INVALID, "%zu clients, but the data come from %zu; take at most %zu clients",
                          num_clients, groups, groups);
        else
            rng_choose_u32(rng, g.chosen, num_clients, g.scratch, groups);
    }
    if (!status)
        status = take(&g, num_clients, out, err);
    groups_fini(&g);
    return status;
}

const struct partition_ops partition_natural = {
    .name = "natural",
    .help = "Each client the items of one id of the data (a writer, a device).",
    .params = &table,
    .deal = deal,
};
