/* Coordinate-wise median (Yin et al. 2018, arXiv 1803.01498, Algorithm 1, Option I), unweighted: what a client says of
 * its number of samples has no influence. */
#include <flosim/columns.h>
#include <flosim/held_updates.h>

static float median(const float *sorted, size_t n, const void *context)
{
    (void)context;
    return (float)flosim_column_median(sorted, n);
}

static int make(const struct flosim_held *held, float *out)
{
    int status = flosim_columns_reduce_held(held, median, NULL, out);

    return status == FLOSIM_OK ? FLOSIM_READY : status;
}

static int init(void *state, const void *args, const struct flosim_host *host)
{
    flosim_held_init(state, args, host, make);
    return FLOSIM_OK;
}

extern const struct flosim_aggregator_ops flosim_aggregation_median;
const struct flosim_aggregator_ops flosim_aggregation_median = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_aggregation_median,
    .name = "median",
    .help =
        "The median of the clients' weights, coordinate by coordinate: fewer than half of the clients cannot pull it "
        "out of the others' range. Keeps all updates of the round.",
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
