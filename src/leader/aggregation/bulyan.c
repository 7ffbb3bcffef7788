/* Bulyan over Krum (El Mhamdi, Guerraoui, Rouault 2018, arXiv 1802.07927): theta = n - 2f updates are chosen by Krum,
 * one after the other, each time among those that are left; then each coordinate is the mean of the theta - 2f values
 * nearest to the median of the chosen. Needs n >= 4f + 3.
 *
 * Towards the end fewer updates are left than Krum's n - f - 2 neighbours ask for: then one neighbour counts. */
#include <flosim/columns.h>
#include <flosim/krum.h>

struct args {
    int64_t f;
};

/* Rows of the chosen ones, by client id. */
static size_t choose(struct flosim_krum *krum, const struct flosim_held *held, size_t f, const float **rows)
{
    size_t theta = held->n - 2 * f, num_rows = 0;

    for (size_t left = held->n; left > 2 * f; left--)
        krum->chosen[flosim_krum_best(krum, left > f + 2 ? left - f - 2 : 1)] = 1;
    for (size_t i = 0; i < held->n; i++)
        if (krum->chosen[i])
            rows[num_rows++] = held->updates[i].weights;
    return theta;
}

/* The mean of the theta - 2f values nearest to the median: they lie side by side. Of two that are equally far the
 * larger one goes. */
static float middle(const float *sorted, size_t theta, const void *context)
{
    size_t f = *(const size_t *)context, first = 0, last = theta - 1;
    double median = flosim_column_median(sorted, theta);

    for (size_t drop = 2 * f; drop > 0; drop--) {
        if (median - flosim_column_at(sorted, first) > flosim_column_at(sorted, last) - median)
            first++;
        else
            last--;
    }
    return (float)flosim_column_mean(sorted, first, last - first + 1);
}

static int make(const struct flosim_held *held, float *out)
{
    const struct args *args = held->args;
    const float **rows = NULL;
    struct flosim_krum krum = {0};
    size_t f;
    int status = flosim_krum_tolerates(held->host, args->f, 4, held->n, &f);

    if (status == FLOSIM_OK)
        status = flosim_krum_init(&krum, held);
    if (status != FLOSIM_OK)
        return status;
    rows = malloc(held->n * sizeof *rows);
    if (rows)
        status = flosim_columns_reduce(held->host, rows, choose(&krum, held, f, rows), middle, &f, out);
    else
        status = held->host->explain(held->host, FLOSIM_MEMORY, "no memory for %zu updates", held->n);
    free(rows);
    flosim_krum_fini(&krum);
    return status == FLOSIM_OK ? FLOSIM_READY : status;
}

static int init(void *state, const void *args, const struct flosim_host *host)
{
    flosim_held_init(state, args, host, make);
    return FLOSIM_OK;
}

static int prepare(void *state, const char *client, const struct flosim_round *round, struct flosim_request *request)
{
    (void)client;
    (void)request;
    return flosim_krum_check_round(state, round, 4);
}

static const struct flosim_param rows[] = {
    FLOSIM_KRUM_F("4"),
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_aggregator_ops flosim_aggregation_bulyan;
const struct flosim_aggregator_ops flosim_aggregation_bulyan = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_aggregation_bulyan,
    .name = "bulyan",
    .help = "Krum chooses n - 2f clients, one after the other; then each coordinate is the mean of the n - 4f values "
            "nearest to their median. Keeps all updates of the round.",
    .params = &params,
    .state_size = sizeof(struct flosim_held),
    .flags = FLOSIM_WAITS_FOR_ALL | FLOSIM_NEEDS_ENOUGH,
    .init = init,
    .on_update = flosim_held_on_update,
    .on_failure = flosim_held_on_failure,
    .held = flosim_held_count,
    .save = flosim_held_save,
    .restore = flosim_held_restore,
    .fini = flosim_held_fini,
    .prepare = prepare,
    .discard = flosim_held_discard,
};
