/* Krum (Blanchard et al. 2017, "Machine Learning with Adversaries"): the new model is the one update whose n - f - 2
 * nearest neighbours are nearest, by the sum of squared distances. Needs n >= 2f + 3. */
#include <flosim/krum.h>

struct args {
    int64_t f;
};

static int make(const struct flosim_held *held, float *out)
{
    const struct args *args = held->args;
    struct flosim_krum krum;
    size_t f;
    int status = flosim_krum_tolerates(held->host, args->f, 2, held->n, &f);

    if (status == FLOSIM_OK)
        status = flosim_krum_init(&krum, held);
    if (status != FLOSIM_OK)
        return status;
    memcpy(out, held->updates[flosim_krum_best(&krum, held->n - f - 2)].weights, held->host->num_weights * sizeof *out);
    flosim_krum_fini(&krum);
    return FLOSIM_READY;
}

static int init(void *state, const void *args, const struct flosim_host *host)
{
    flosim_held_init(state, args, host, make);
    return FLOSIM_OK;
}

static const struct flosim_param rows[] = {
    FLOSIM_KRUM_F("2"),
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_aggregator_ops flosim_aggregation_krum;
const struct flosim_aggregator_ops flosim_aggregation_krum = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_aggregation_krum,
    .name = "krum",
    .help =
        "Takes one client's weights as they are: those that lie nearest to their n - f - 2 nearest neighbours. Keeps "
        "all updates of the round.",
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
    .prepare = flosim_krum_prepare,
    .discard = flosim_held_discard,
};
