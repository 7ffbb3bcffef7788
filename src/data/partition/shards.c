/* McMahan et al. 2017, section 3 (non-IID MNIST): sort by label, cut into K * per_client shards of equal size, give
 * each client per_client of them. A shard holds one label, at most two where labels meet. */
#include <stdlib.h>

#include "data/partition/deal.h"

struct args {
    int64_t per_client;
};

// clang-format off
static const struct param rows[] = {
    {.name = "per_client", .type = PARAM_INT, .offset = offsetof(struct args, per_client), .fallback = "2",
     .min = 1, .max = 1e6, .help = "Shards of each client; about so many labels it will have."},
};
// clang-format on

static const struct param_table table = {
    .name = "scheme shards",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

/* Where shard s of S begins among n items; sizes differ by at most one. */
static size_t shard_begin(size_t n, size_t num_shards, size_t s)
{
    return n / num_shards * s + (s < n % num_shards ? s : n % num_shards);
}

static void take(const struct label_lists *lists, const uint32_t *shards, size_t num_shards, size_t per_client,
                 struct partition *out)
{
    uint32_t *to = out->items;

    for (size_t i = 0; i < out->num_clients * per_client; i++) {
        size_t begin = shard_begin(lists->num_items, num_shards, shards[i]);
        size_t end = shard_begin(lists->num_items, num_shards, shards[i] + 1u);
        while (begin < end)
            *to++ = lists->items[begin++];
    }
}

static int check(const struct args *args, const struct data_view *pool, size_t num_clients, size_t *num_shards,
                 struct error *err)
{
    if (__builtin_mul_overflow(num_clients, (size_t)args->per_client, num_shards) || *num_shards > pool->num_items)
        return FAIL(err, ERR_INVALID,
                    "%zu clients with per_client %lld need more shards than the %zu items; take per_client %zu or "
                    "less, or fewer clients",
                    num_clients, (long long)args->per_client, pool->num_items, pool->num_items / num_clients);
    return OK;
}

static int deal(const void *opaque, const struct data_view *pool, size_t num_clients, struct rng *rng,
                struct partition *out, struct error *err)
{
    const struct args *args = opaque;
    struct label_lists lists = {0};
    size_t num_shards = 0, per_client = (size_t)args->per_client;
    uint32_t *shards = NULL;
    size_t *sizes = calloc(num_clients, sizeof *sizes);
    int status = require_items(pool, num_clients, err);

    if (!status)
        status = check(args, pool, num_clients, &num_shards, err);
    if (!status)
        status = label_lists_init(&lists, pool, rng, err);
    if (!status && (!sizes || !(shards = malloc(num_shards * sizeof *shards))))
        status = FAIL(err, ERR_MEMORY, "no memory for %zu shards", num_shards);
    if (!status) {
        for (size_t s = 0; s < num_shards; s++)
            shards[s] = (uint32_t)s;
        rng_shuffle_u32(rng, shards, num_shards);
        for (size_t i = 0; i < num_shards; i++)
            sizes[i / per_client] += shard_begin(pool->num_items, num_shards, shards[i] + 1u) -
                                     shard_begin(pool->num_items, num_shards, shards[i]);
        status = partition_alloc(out, num_clients, sizes, err);
    }
    if (!status)
        take(&lists, shards, num_shards, per_client, out);
    free(shards);
    free(sizes);
    label_lists_fini(&lists);
    return status;
}

const struct partition_ops partition_shards = {
    .name = "shards",
    .help = "McMahan's: items sorted by label are cut into equal shards, each client gets per_client of them.",
    .by_label = true,
    .params = &table,
    .deal = deal,
};
