/* Label skew by Dirichlet draws (Hsu et al. 2019; in this form Yurochkin et al. 2019, and Flotilla): for each label a
 * draw p ~ Dir(alpha, …, alpha) says which part of its items each client gets; a client that already has N / K items
 * gets none of that label. All of it is drawn again until every client has min_samples. Small alpha: few labels a
 * client. */
#include <assert.h>
#include <stdlib.h>

#include "data/partition/deal.h"

struct args {
    double alpha;
    int64_t min_samples;
};

/* Drawing is cheap (no item moves before a draw is taken), but never endless: this many gamma variates in all. */
enum { MAX_VARIATES = 100 * 1000 * 1000, MAX_DRAWS = 1000, MIN_DRAWS = 10 };

// clang-format off
static const struct param rows[] = {
    {.name = "alpha", .type = PARAM_DOUBLE, .offset = offsetof(struct args, alpha), .fallback = "0.5",
     .min = 0.001, .max = 1e6, .help = "Concentration: small is unlike (0.1), large is alike (100)."},
    {.name = "min_samples", .type = PARAM_INT, .offset = offsetof(struct args, min_samples), .fallback = "10",
     .min = 1, .max = 1e9, .help = "The fewest items of a client; the draw is repeated until all have them."},
};
// clang-format on

static const struct param_table table = {
    .name = "scheme dirichlet",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

struct draw {
    size_t num_clients;
    double *weight; /* [K] */
    size_t *counts; /* [labels present, K]: items of the label that go to the client */
    size_t *sizes;  /* [K] */
};

static int draw_init(struct draw *draw, size_t num_labels, size_t num_clients, struct error *err)
{
    draw->num_clients = num_clients;
    draw->weight = calloc(num_clients, sizeof *draw->weight);
    draw->counts = calloc(num_labels * num_clients, sizeof *draw->counts);
    draw->sizes = calloc(num_clients, sizeof *draw->sizes);
    if (draw->weight && draw->counts && draw->sizes)
        return OK;
    return FAIL(err, ERR_MEMORY, "no memory for %zu clients and %zu labels", num_clients, num_labels);
}

static void draw_fini(struct draw *draw)
{
    free(draw->weight);
    free(draw->counts);
    free(draw->sizes);
}

/* Dirichlet weights of the clients that are not full; returns their sum. With a tiny alpha all of them can underflow to
 * 0: then one client takes all, which is the limit of the distribution. */
static double draw_weights(struct draw *draw, double alpha, double full, struct rng *rng)
{
    double sum = 0.0;
    size_t num_open = 0;

    for (size_t k = 0; k < draw->num_clients; k++) {
        bool open = (double)draw->sizes[k] < full;
        double gamma = rng_gamma(rng, alpha);
        draw->weight[k] = open ? gamma : 0.0;
        sum += draw->weight[k];
        num_open += open;
    }
    if (sum > 0.0 || num_open == 0)
        return sum;
    uint64_t lucky = rng_below(rng, num_open);
    for (size_t k = 0; k < draw->num_clients; k++)
        if ((double)draw->sizes[k] < full && lucky-- == 0)
            draw->weight[k] = 1.0;
    return 1.0;
}

/* Cut n items at the cumulated weights. They are added up in the order that gave `sum`, so the last cut is exactly n.
 */
static void cut(const struct draw *draw, double sum, size_t n, size_t *counts)
{
    double cumulated = 0.0;
    size_t done = 0;

    for (size_t k = 0; k < draw->num_clients; k++) {
        cumulated += draw->weight[k];
        size_t end = (size_t)(cumulated / sum * (double)n);
        counts[k] = end - done;
        done = end;
    }
    assert(done == n);
}

/* One draw of everything; returns the size of the smallest client. */
static size_t draw_once(struct draw *draw, const struct label_lists *lists, double alpha, struct rng *rng)
{
    double full = (double)lists->num_items / (double)draw->num_clients;
    size_t smallest = SIZE_MAX;

    for (size_t k = 0; k < draw->num_clients; k++)
        draw->sizes[k] = 0;
    for (size_t l = 0; l < lists->num_present; l++) {
        size_t *counts = draw->counts + l * draw->num_clients;
        double sum = draw_weights(draw, alpha, full, rng);
        cut(draw, sum, label_count(lists, lists->present[l]), counts);
        for (size_t k = 0; k < draw->num_clients; k++)
            draw->sizes[k] += counts[k];
    }
    for (size_t k = 0; k < draw->num_clients; k++)
        smallest = draw->sizes[k] < smallest ? draw->sizes[k] : smallest;
    return smallest;
}

static int draw_until(struct draw *draw, const struct label_lists *lists, const struct args *args, struct rng *rng,
                      struct error *err)
{
    size_t variates = draw->num_clients * lists->num_present, best = 0;
    size_t draws = variates < MAX_VARIATES / MAX_DRAWS ? MAX_DRAWS : MAX_VARIATES / variates;
    size_t wanted = (size_t)args->min_samples;

    draws = draws < MIN_DRAWS ? MIN_DRAWS : draws;
    if (wanted > lists->num_items / draw->num_clients)
        return FAIL(err, ERR_INVALID,
                    "min_samples %zu for each of %zu clients is more than %zu items give; take min_samples %zu or "
                    "less, or fewer clients",
                    wanted, draw->num_clients, lists->num_items, lists->num_items / draw->num_clients);
    for (size_t i = 0; i < draws; i++) {
        size_t smallest = draw_once(draw, lists, args->alpha, rng);
        if (smallest >= wanted)
            return OK;
        best = smallest > best ? smallest : best;
    }
    return FAIL(err, ERR_INVALID,
                "in %zu draws with alpha %g the smallest client never had min_samples %zu (at best %zu); lower "
                "min_samples, raise alpha, take fewer clients or more items",
                draws, args->alpha, wanted, best);
}

/* Labels one after another: each client takes its count from the label's shuffled items. */
static void take(const struct draw *draw, const struct label_lists *lists, struct partition *out, size_t *filled)
{
    const uint32_t *next = lists->items;

    for (size_t k = 0; k < draw->num_clients; k++)
        filled[k] = out->first[k];
    for (size_t l = 0; l < lists->num_present; l++)
        for (size_t k = 0; k < draw->num_clients; k++)
            for (size_t i = draw->counts[l * draw->num_clients + k]; i > 0; i--)
                out->items[filled[k]++] = *next++;
}

static int deal(const void *opaque, const struct data_view *pool, size_t num_clients, struct rng *rng,
                struct partition *out, struct error *err)
{
    struct label_lists lists = {0};
    struct draw draw = {0};
    int status = require_items(pool, num_clients, err);

    if (!status)
        status = label_lists_init(&lists, pool, rng, err);
    if (!status)
        status = draw_init(&draw, lists.num_present, num_clients, err);
    if (!status)
        status = draw_until(&draw, &lists, opaque, rng, err);
    if (!status)
        status = partition_alloc(out, num_clients, draw.sizes, err);
    if (!status)
        take(&draw, &lists, out, draw.sizes); /* the sizes are in `out` now; their memory counts what is filled */
    draw_fini(&draw);
    label_lists_fini(&lists);
    return status;
}

const struct partition_ops partition_dirichlet = {
    .name = "dirichlet",
    .help = "Label skew: for each label a Dirichlet(alpha) draw says which part each client gets.",
    .by_label = true,
    .params = &table,
    .deal = deal,
};
