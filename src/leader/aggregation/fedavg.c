/* Federated averaging: w <- sum n_k w_k / sum n_k over those who answered (McMahan et al. 2017, Algorithm 1). A round
 * is complete when the host says so. The sums are exact, so the order of answers does not matter. */
#include <flosim/averaging.h>
#include <flosim/strategy.h>

struct args {
    int drop_partial;
};

struct state {
    struct flosim_average average;
    const struct args *args;
};

static int init(void *state, const void *args, const struct flosim_host *host)
{
    struct state *self = state;

    self->args = args;
    return flosim_average_init(&self->average, host);
}

static int on_update(void *state, const struct flosim_update *update, const struct flosim_round *round, float *out)
{
    struct state *self = state;
    int status = self->args->drop_partial ? flosim_refuse_partial(self->average.host, update) : FLOSIM_OK;

    if (status == FLOSIM_OK)
        status = flosim_average_add_weights(&self->average, update);
    return status == FLOSIM_OK ? flosim_average_mean(&self->average, round, out) : status;
}

static int on_failure(void *state, const char *client, const struct flosim_round *round, float *out)
{
    (void)client;
    return flosim_average_mean(state, round, out);
}

static const struct flosim_param rows[] = {FLOSIM_DROP_PARTIAL_ROW(struct args, drop_partial)};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_aggregator_ops flosim_aggregation_fedavg;
const struct flosim_aggregator_ops flosim_aggregation_fedavg = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_aggregation_fedavg,
    .name = "fedavg",
    .help = "The mean of the clients' weights, each weighted by its number of samples; a round waits for everybody "
            "selected who is still there.",
    .params = &params,
    .state_size = sizeof(struct state),
    .flags = FLOSIM_WAITS_FOR_ALL,
    .init = init,
    .on_update = on_update,
    .on_failure = on_failure,
    .held = flosim_average_held,
    .save = flosim_average_save,
    .restore = flosim_average_restore,
    .fini = flosim_average_fini,
    .discard = flosim_average_discard,
};
