/* Sizes differ, the mixture does not: the clients' sizes fall like rank^-skew, items are drawn at random whatever their
 * label. skew 0: all alike; 1: Zipf's law. Every client gets at least one item, all items are dealt. */
#include <math.h>
#include <stdlib.h>

#include "data/partition/deal.h"

struct args {
    double skew;
};

// clang-format off
static const struct param rows[] = {
    {.name = "skew", .type = PARAM_DOUBLE, .offset = offsetof(struct args, skew), .fallback = "1", .min = 0, .max = 10,
     .help = "How unlike the sizes are: the client of rank r gets a part like r^-skew; 0: all alike."},
};
// clang-format on

static const struct param_table table = {
    .name = "scheme quantity",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

/* One each, the rest by weight; what rounding leaves goes to the largest. `order` says who has which rank. */
static void draw_sizes(double skew, size_t num_items, size_t num_clients, const uint32_t *order, size_t *sizes)
{
    size_t rest = num_items - num_clients, dealt = 0;
    double sum = 0.0;

    for (size_t r = 1; r <= num_clients; r++)
        sum += pow((double)r, -skew);
    for (size_t r = 0; r < num_clients; r++) {
        size_t more = (size_t)((double)rest * pow((double)(r + 1), -skew) / sum);
        more = more < rest - dealt ? more : rest - dealt;
        sizes[order[r]] = 1 + more;
        dealt += more;
    }
    for (size_t r = 0; dealt < rest; dealt++, r = (r + 1) % num_clients)
        sizes[order[r]]++;
}

static int deal(const void *opaque, const struct data_view *pool, size_t num_clients, struct rng *rng,
                struct partition *out, struct error *err)
{
    const struct args *args = opaque;
    uint32_t *order = malloc(num_clients * sizeof *order);
    size_t *sizes = malloc(num_clients * sizeof *sizes);
    int status = order && sizes ? require_items(pool, num_clients, err)
                                : FAIL(err, ERR_MEMORY, "no memory for %zu clients", num_clients);

    for (size_t k = 0; k < num_clients && !status; k++)
        order[k] = (uint32_t)k;
    if (!status) {
        rng_shuffle_u32(rng, order, num_clients);
        draw_sizes(args->skew, pool->num_items, num_clients, order, sizes);
        status = partition_alloc(out, num_clients, sizes, err);
    }
    if (!status) {
        for (size_t i = 0; i < pool->num_items; i++)
            out->items[i] = pool->index ? pool->index[i] : (uint32_t)i;
        rng_shuffle_u32(rng, out->items, pool->num_items);
    }
    free(order);
    free(sizes);
    return status;
}

const struct partition_ops partition_quantity = {
    .name = "quantity",
    .help = "Sizes fall like rank^-skew; items at random whatever their label.",
    .params = &table,
    .deal = deal,
};
