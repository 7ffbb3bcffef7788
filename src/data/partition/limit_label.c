/* Flotilla's limit_label: each client draws `labels` labels, then the fraction `fraction` of each of these labels'
 * items. Clients draw independently, so they may share items. */
#include <stdlib.h>
#include <string.h>

#include "data/partition/deal.h"

struct args {
    int64_t labels;
    double fraction;
};

// clang-format off
static const struct param rows[] = {
    {.name = "labels", .alias = "max_classes", .type = PARAM_INT, .offset = offsetof(struct args, labels),
     .fallback = "2", .min = 1, .max = 65536, .help = "Different labels of a client."},
    {.name = "fraction", .alias = "f", .type = PARAM_FRACTION, .offset = offsetof(struct args, fraction),
     .fallback = "0.1", .min = 0, .max = 1, .help = "Part of a label's items that a client of that label gets."},
};
// clang-format on

static const struct param_table table = {
    .name = "scheme limit_label",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

/* At least one item, however small the fraction. */
static size_t share_of(const struct label_lists *lists, int32_t label, double fraction)
{
    size_t n = (size_t)(fraction * (double)label_count(lists, label));

    return n > 0 ? n : 1;
}

/* Labels of all clients, [K, labels], as places in lists->present; fills sizes. */
static void draw_labels(const struct label_lists *lists, const struct args *args, size_t num_clients, struct rng *rng,
                        uint32_t *chosen, uint32_t *scratch, size_t *sizes)
{
    size_t labels = (size_t)args->labels;

    for (size_t k = 0; k < num_clients; k++) {
        rng_choose_u32(rng, chosen + k * labels, labels, scratch, lists->num_present);
        sizes[k] = 0;
        for (size_t i = 0; i < labels; i++)
            sizes[k] += share_of(lists, lists->present[chosen[k * labels + i]], args->fraction);
    }
}

static void take(const struct label_lists *lists, const struct args *args, const uint32_t *chosen, struct rng *rng,
                 uint32_t *scratch, struct partition *out)
{
    uint32_t *to = out->items;

    for (size_t i = 0; i < out->num_clients * (size_t)args->labels; i++) {
        int32_t label = lists->present[chosen[i]];
        size_t n = share_of(lists, label, args->fraction);
        rng_choose_u32(rng, to, n, scratch, label_count(lists, label));
        for (size_t j = 0; j < n; j++, to++)
            *to = lists->items[lists->first[label] + *to];
    }
}

static int check(const struct args *args, const struct label_lists *lists, struct error *err)
{
    if ((size_t)args->labels > lists->num_present)
        return FAIL(err, ERR_INVALID,
                    "labels %lld is more than the %zu labels that occur in the data; take %zu or less",
                    (long long)args->labels, lists->num_present, lists->num_present);
    return OK;
}

static int deal(const void *opaque, const struct data_view *pool, size_t num_clients, struct rng *rng,
                struct partition *out, struct error *err)
{
    const struct args *args = opaque;
    struct label_lists lists = {0};
    uint32_t *chosen = NULL;
    uint32_t *scratch = malloc((pool->num_items + (size_t)pool->dataset->num_classes) * sizeof *scratch);
    size_t *sizes = malloc(num_clients * sizeof *sizes);
    int status = label_lists_init(&lists, pool, NULL, err);

    if (!status)
        status = check(args, &lists, err);
    if (!status && (!scratch || !sizes || !(chosen = calloc(num_clients * (size_t)args->labels, sizeof *chosen))))
        status = FAIL(err, ERR_MEMORY, "no memory for %zu clients", num_clients);
    if (!status) {
        draw_labels(&lists, args, num_clients, rng, chosen, scratch, sizes);
        status = partition_alloc(out, num_clients, sizes, err);
    }
    if (!status)
        take(&lists, args, chosen, rng, scratch, out);
    free(chosen);
    free(scratch);
    free(sizes);
    label_lists_fini(&lists);
    return status;
}

const struct partition_ops partition_limit_label = {
    .name = "limit_label",
    .help = "Each client draws a few labels, then a fraction of each; clients may share items.",
    .by_label = true,
    .params = &table,
    .deal = deal,
};
