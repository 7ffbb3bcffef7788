/* FedAdagrad (Reddi et al. 2021, arXiv 2003.00295): v <- v + d^2. See flosim/server_optimizer.h. */
#include <flosim/server_optimizer.h>

static double rule(double v, double square, double beta2)
{
    (void)beta2;
    return v + square;
}

static int init(void *state, const void *args, const struct flosim_host *host)
{
    return flosim_adaptive_init(state, args, host, rule);
}

static const struct flosim_param rows[] = {FLOSIM_ETA_ROW("0.1"), FLOSIM_TAU_ROW, FLOSIM_BETA1_ROW("0")};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct flosim_adaptive_args)};

extern const struct flosim_aggregator_ops flosim_aggregation_fedadagrad;
const struct flosim_aggregator_ops flosim_aggregation_fedadagrad = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_aggregation_fedadagrad,
    .name = "fedadagrad",
    .help = "The mean change of the clients is a gradient for Adagrad on the server, whose steps only shrink.",
    .params = &params,
    .state_size = sizeof(struct flosim_adaptive),
    .flags = FLOSIM_WAITS_FOR_ALL,
    .init = init,
    .on_update = flosim_adaptive_on_update,
    .on_failure = flosim_adaptive_on_failure,
    .held = flosim_average_held,
    .save = flosim_adaptive_save,
    .restore = flosim_adaptive_restore,
    .fini = flosim_adaptive_fini,
    .discard = flosim_average_discard,
};
