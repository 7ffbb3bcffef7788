/* Flotilla's limit_label_unique: every client draws a few labels and gets so many items of each; an item goes to one
 * client only, so a label can run out: clients choose among those that have enough left. */
#include <stdlib.h>

#include "data/partition/deal.h"

struct args {
    int64_t labels, samples;
};

// clang-format off
static const struct param rows[] = {
    {.name = "labels", .alias = "max_classes", .type = PARAM_INT, .offset = offsetof(struct args, labels),
     .fallback = "2", .min = 1, .max = 65536, .help = "Different labels of a client."},
    {.name = "samples", .type = PARAM_INT, .offset = offsetof(struct args, samples), .fallback = "0",
     .min = 0, .max = 4294967295.0,
     .help = "Items of each label; 0: so many that half of the data are dealt."},
};
// clang-format on

static const struct param_table table = {
    .name = "scheme limit_label_unique",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

struct dealing {
    const struct label_lists *lists;
    size_t labels, samples, num_clients;
    size_t *used;      /* [num_present] */
    uint32_t *open;    /* [num_present] places in lists->present with enough left */
    uint32_t *chosen;  /* [labels] */
    uint32_t *scratch; /* [num_present] */
    struct rng *rng;
};

/* One client's items; false where too few labels have enough left. Lists are shuffled, so their next ones are random.
 */
static bool take_client(struct dealing *d, uint32_t *to)
{
    size_t num_open = 0;

    for (size_t l = 0; l < d->lists->num_present; l++)
        if (label_count(d->lists, d->lists->present[l]) - d->used[l] >= d->samples)
            d->open[num_open++] = (uint32_t)l;
    if (num_open < d->labels)
        return false;
    rng_choose_u32(d->rng, d->chosen, d->labels, d->scratch, num_open);
    for (size_t i = 0; i < d->labels; i++) {
        size_t l = d->open[d->chosen[i]], first = d->lists->first[d->lists->present[l]] + d->used[l];
        for (size_t j = 0; j < d->samples; j++)
            *to++ = d->lists->items[first + j];
        d->used[l] += d->samples;
    }
    return true;
}

static int take(struct dealing *d, struct partition *out, struct error *err)
{
    for (size_t k = 0; k < d->num_clients; k++)
        if (!take_client(d, out->items + out->first[k]))
            return FAIL(
                err, ERR_INVALID,
                "after %zu of %zu clients fewer than %zu labels have %zu items left; take fewer samples, labels "
                "or clients",
                k, d->num_clients, d->labels, d->samples);
    return OK;
}

/* About half of the data, were all labels as rare as the rarest; never more than that one has. */
static size_t usual_samples(const struct dealing *d)
{
    size_t rarest = d->lists->num_items, present = d->lists->num_present;

    for (size_t l = 0; l < present; l++) {
        size_t n = label_count(d->lists, d->lists->present[l]);
        rarest = n < rarest ? n : rarest;
    }
    size_t samples = rarest * present / (2 * d->num_clients * d->labels);
    samples = samples < rarest ? samples : rarest;
    return samples ? samples : 1;
}

static int prepare(struct dealing *d, const struct args *args, struct error *err)
{
    size_t present = d->lists->num_present;

    d->labels = (size_t)args->labels;
    if (d->labels > present)
        return FAIL(err, ERR_INVALID, "labels %zu is more than the %zu labels that occur in the data; take %zu or less",
                    d->labels, present, present);
    d->samples = (size_t)args->samples;
    if (d->samples == 0)
        d->samples = usual_samples(d);
    d->used = calloc(present, sizeof *d->used);
    d->open = calloc(2 * present + d->labels, sizeof *d->open);
    if (!d->used || !d->open)
        return FAIL(err, ERR_MEMORY, "no memory for %zu clients", d->num_clients);
    d->scratch = d->open + present;
    d->chosen = d->scratch + present;
    return OK;
}

static int deal(const void *args, const struct data_view *pool, size_t num_clients, struct rng *rng,
                struct partition *out, struct error *err)
{
    struct label_lists lists = {0};
    struct dealing d = {.lists = &lists, .num_clients = num_clients, .rng = rng};
    size_t *sizes = calloc(num_clients, sizeof *sizes);
    int status = sizes ? label_lists_init(&lists, pool, rng, err) : FAIL(err, ERR_MEMORY, "out of memory");

    if (!status)
        status = prepare(&d, args, err);
    for (size_t k = 0; k < num_clients && !status; k++)
        if (__builtin_mul_overflow(d.labels, d.samples, &sizes[k]) || sizes[k] > pool->num_items)
            status = FAIL(err, ERR_INVALID, "samples %zu of each of %zu labels are more than the %zu items", d.samples,
                          d.labels, pool->num_items);
    if (!status)
        status = partition_alloc(out, num_clients, sizes, err);
    if (!status)
        status = take(&d, out, err);
    free(sizes);
    free(d.used);
    free(d.open);
    label_lists_fini(&lists);
    return status;
}

const struct partition_ops partition_limit_label_unique = {
    .name = "limit_label_unique",
    .help = "Each client draws a few labels and gets so many items of each; no item goes to two clients.",
    .by_label = true,
    .params = &table,
    .deal = deal,
};
