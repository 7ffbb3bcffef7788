/* Two of Flotilla's schemes that give every client a part of every label, and no item twice:
 *   equal_label_distribution  labels are trimmed to the rarest one; every client gets the same number of each
 *   probability_distribution  client k gets the fraction p_k of each label */
#include <stdlib.h>

#include "data/partition/deal.h"

struct args {
    struct double_list fractions;
};

// clang-format off
static const struct param probability_rows[] = {
    {.name = "fractions", .type = PARAM_DOUBLES, .offset = offsetof(struct args, fractions), .min = 0, .max = 1,
     .help = "The part of every label that client 0, 1, ... gets, one for each client, at most 1 together; default: "
             "equal parts."},
};
// clang-format on

static const struct param_table probability_table = {
    .name = "scheme probability_distribution",
    .rows = probability_rows,
    .num_rows = sizeof probability_rows / sizeof *probability_rows,
    .size = sizeof(struct args),
};

static const struct param_table equal_table = {
    .name = "scheme equal_label_distribution",
    .size = sizeof(struct args),
};

static int check_fractions(const struct double_list *fractions, size_t num_clients, struct error *err)
{
    double sum = 0.0;

    if (fractions->n == 0)
        return OK;
    if (fractions->n != num_clients)
        return FAIL(err, ERR_INVALID, "%zu fractions for %zu clients; give one for each", fractions->n, num_clients);
    for (size_t k = 0; k < fractions->n; k++)
        sum += fractions->items[k];
    return sum <= 1.0 + 1e-9 ? OK : FAIL(err, ERR_INVALID, "the fractions add to %g; at most 1 can be dealt", sum);
}

/* Where client k's part of a label begins: parts follow each other, so that none overlap. */
static size_t part_begin(const struct double_list *fractions, size_t count, size_t num_clients, size_t k)
{
    double before = 0.0;

    if (fractions->n == 0)
        return count * k / num_clients;
    for (size_t i = 0; i < k; i++)
        before += fractions->items[i];
    size_t begin = (size_t)(before * (double)count + 1e-9);
    return begin < count ? begin : count;
}

static size_t rarest_count(const struct label_lists *lists)
{
    size_t rarest = lists->num_items;

    for (size_t l = 0; l < lists->num_present; l++) {
        size_t n = label_count(lists, lists->present[l]);
        rarest = n < rarest ? n : rarest;
    }
    return rarest;
}

/* Fill sizes, or with `to` the items. `each` is the number of items of a label that are dealt, 0: all of them. */
static void give(const struct label_lists *lists, const struct args *args, size_t each, size_t num_clients,
                 size_t *sizes, uint32_t *to)
{
    for (size_t k = 0; k < num_clients; k++) {
        sizes[k] = 0;
        for (size_t l = 0; l < lists->num_present; l++) {
            size_t count = each ? each : label_count(lists, lists->present[l]);
            size_t begin = part_begin(&args->fractions, count, num_clients, k);
            size_t end = part_begin(&args->fractions, count, num_clients, k + 1);
            sizes[k] += end - begin;
            for (; begin < end && to; begin++)
                *to++ = lists->items[lists->first[lists->present[l]] + begin];
        }
    }
}

static int deal_parts(const struct args *args, bool equal, const struct data_view *pool, size_t num_clients,
                      struct rng *rng, struct partition *out, struct error *err)
{
    struct label_lists lists = {0};
    size_t *sizes = calloc(num_clients, sizeof *sizes), each = 0;
    int status = sizes ? label_lists_init(&lists, pool, rng, err) : FAIL(err, ERR_MEMORY, "out of memory");

    if (!status && equal && (each = rarest_count(&lists) / num_clients * num_clients) == 0)
        status = FAIL(err, ERR_INVALID, "%zu clients cannot share the %zu items of the rarest label; take at most %zu",
                      num_clients, rarest_count(&lists), rarest_count(&lists));
    if (!status)
        give(&lists, args, each, num_clients, sizes, NULL);
    for (size_t k = 0; k < num_clients && !status; k++)
        if (sizes[k] == 0)
            status = FAIL(err, ERR_INVALID,
                          "client %zu would get no item; take larger fractions, more data or fewer clients", k);
    if (!status)
        status = partition_alloc(out, num_clients, sizes, err);
    if (!status)
        give(&lists, args, each, num_clients, sizes, out->items);
    free(sizes);
    label_lists_fini(&lists);
    return status;
}

static int deal_probability(const void *opaque, const struct data_view *pool, size_t num_clients, struct rng *rng,
                            struct partition *out, struct error *err)
{
    const struct args *args = opaque;
    int status = check_fractions(&args->fractions, num_clients, err);

    return status ? status : deal_parts(args, false, pool, num_clients, rng, out, err);
}

static int deal_equal(const void *args, const struct data_view *pool, size_t num_clients, struct rng *rng,
                      struct partition *out, struct error *err)
{
    return deal_parts(args, true, pool, num_clients, rng, out, err);
}

const struct partition_ops partition_probability = {
    .name = "probability_distribution",
    .alias = "probability",
    .help = "Client k the fraction p_k of every label.",
    .by_label = true,
    .params = &probability_table,
    .deal = deal_probability,
};

const struct partition_ops partition_equal_label = {
    .name = "equal_label_distribution",
    .alias = "equal_label",
    .help = "Labels trimmed to the rarest one, every client the same number of each.",
    .by_label = true,
    .params = &equal_table,
    .deal = deal_equal,
};
