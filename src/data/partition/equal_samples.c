/* Flotilla's fixed_samples: every client gets the same number of items, balanced over the labels; clients draw
 * independently, so they may share items. */
#include <stdlib.h>

#include "data/partition/deal.h"

struct args {
    int64_t samples;
};

// clang-format off
static const struct param rows[] = {
    {.name = "samples", .alias = "num_samples", .type = PARAM_INT, .offset = offsetof(struct args, samples),
     .fallback = "0", .min = 0, .max = 4294967295.0,
     .help = "Items of each client; 0: all items divided by the clients."},
};
// clang-format on

static const struct param_table table = {
    .name = "scheme equal_samples",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

/* The rarest label must serve a client that draws one item more of it than of others. */
static int check(const struct label_lists *lists, size_t samples, struct error *err)
{
    size_t labels = lists->num_present, most = (samples + labels - 1) / labels;
    int32_t rarest = lists->present[0];

    for (size_t l = 1; l < labels; l++)
        if (label_count(lists, lists->present[l]) < label_count(lists, rarest))
            rarest = lists->present[l];
    size_t count = label_count(lists, rarest);
    if (count >= most)
        return OK;
    return FAIL(err, ERR_INVALID,
                "samples %zu need %zu items of each of %zu labels, but label %d has %zu; take samples %zu or less",
                samples, most, labels, rarest, count, count * labels);
}

/* samples / labels of each label, and one more of so many labels at random as are needed. */
static void take_client(const struct label_lists *lists, size_t samples, struct rng *rng, uint32_t *extra,
                        uint32_t *scratch, uint32_t *to)
{
    size_t labels = lists->num_present, num_extra = samples % labels, e = 0;

    rng_choose_u32(rng, extra, num_extra, scratch, labels);
    for (size_t l = 0; l < labels; l++) {
        int32_t label = lists->present[l];
        bool one_more = e < num_extra && extra[e] == l;
        size_t n = samples / labels + one_more;
        e += one_more;
        rng_choose_u32(rng, to, n, scratch, label_count(lists, label));
        for (size_t j = 0; j < n; j++, to++)
            *to = lists->items[lists->first[label] + *to];
    }
}

static int deal(const void *opaque, const struct data_view *pool, size_t num_clients, struct rng *rng,
                struct partition *out, struct error *err)
{
    const struct args *args = opaque;
    size_t samples = args->samples > 0 ? (size_t)args->samples : pool->num_items / num_clients;
    struct label_lists lists = {0};
    size_t scratch_size = pool->num_items + (size_t)pool->dataset->num_classes;
    uint32_t *scratch = malloc(2 * scratch_size * sizeof *scratch);
    size_t *sizes = malloc(num_clients * sizeof *sizes);
    int status = args->samples > 0 ? OK : require_items(pool, num_clients, err);

    if (!status)
        status = label_lists_init(&lists, pool, NULL, err);
    if (!status)
        status = check(&lists, samples, err);
    if (!status && (!scratch || !sizes))
        status = FAIL(err, ERR_MEMORY, "no memory for %zu clients", num_clients);
    for (size_t k = 0; k < num_clients && !status; k++)
        sizes[k] = samples;
    if (!status)
        status = partition_alloc(out, num_clients, sizes, err);
    for (size_t k = 0; k < num_clients && !status; k++)
        take_client(&lists, samples, rng, scratch + scratch_size, scratch, out->items + out->first[k]);
    free(scratch);
    free(sizes);
    label_lists_fini(&lists);
    return status;
}

const struct partition_ops partition_equal_samples = {
    .name = "equal_samples",
    .alias = "fixed_samples",
    .help = "Every client the same number of items, labels balanced; clients may share items.",
    .by_label = true,
    .params = &table,
    .deal = deal,
};
