/* Coordinate-wise trimmed mean (Yin et al. 2018, arXiv 1803.01498, Algorithm 1, Option II): of each coordinate the
 * floor(beta n) smallest and as many largest values are left out, the rest is averaged, unweighted. */
#include <flosim/columns.h>
#include <flosim/held_updates.h>

struct args {
    double beta;
};

/* At least one value is left. The small term keeps 0.29 * 100 from becoming 28. */
static size_t trimmed(const struct args *args, size_t n)
{
    size_t k = (size_t)(args->beta * (double)n + 1e-9);

    return k < (n - 1) / 2 ? k : (n - 1) / 2;
}

static float trimmed_mean(const float *sorted, size_t n, const void *context)
{
    size_t k = trimmed(context, n);

    return (float)flosim_column_mean(sorted, k, n - 2 * k);
}

static int make(const struct flosim_held *held, float *out)
{
    int status = flosim_columns_reduce_held(held, trimmed_mean, held->args, out);

    return status == FLOSIM_OK ? FLOSIM_READY : status;
}

static int init(void *state, const void *args, const struct flosim_host *host)
{
    flosim_held_init(state, args, host, make);
    return FLOSIM_OK;
}

static const struct flosim_param rows[] = {
    {.name = "beta",
     .type = FLOSIM_FRACTION,
     .offset = offsetof(struct args, beta),
     .fallback = "0.2",
     .max = 0.5,
     .flags = FLOSIM_OURS,
     .help = "Share of the values left out at either end, at least the share of clients that may lie; 0.5 leaves the "
             "median."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_aggregator_ops flosim_aggregation_trimmed_mean;
const struct flosim_aggregator_ops flosim_aggregation_trimmed_mean = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_aggregation_trimmed_mean,
    .name = "trimmed_mean",
    .help =
        "The mean of the clients' weights without the smallest and the largest of each coordinate. Keeps all updates "
        "of the round.",
    .params = &params,
    .state_size = sizeof(struct flosim_held),
    .flags = FLOSIM_WAITS_FOR_ALL,
    .init = init,
    .on_update = flosim_held_on_update,
    .on_failure = flosim_held_on_failure,
    .held = flosim_held_count,
    .save = flosim_held_save,
    .restore = flosim_held_restore,
    .fini = flosim_held_fini,
    .discard = flosim_held_discard,
};
