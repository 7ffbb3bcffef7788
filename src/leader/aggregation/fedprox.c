/* FedProx (Li et al. 2020, arXiv 1812.06127): clients minimise F_k(w) + mu/2 |w - x|^2 around the global model x, and
 * whatever work they got done counts; the server averages as FedAvg does. */
#include <flosim/averaging.h>
#include <flosim/strategy.h>

struct args {
    double mu;
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

static int prepare(void *state, const char *client, const struct flosim_round *round, struct flosim_request *request)
{
    (void)client;
    (void)round;
    request->proximal_mu = ((struct state *)state)->args->mu;
    return FLOSIM_OK;
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

static const struct flosim_param rows[] = {
    {.name = "mu",
     .type = FLOSIM_DOUBLE,
     .offset = offsetof(struct args, mu),
     .fallback = "0.01",
     .max = 1e5,
     .flags = FLOSIM_OURS,
     .help = "Weight of the proximal term; 0 is FedAvg."},
    FLOSIM_DROP_PARTIAL_ROW(struct args, drop_partial),
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_aggregator_ops flosim_aggregation_fedprox;
const struct flosim_aggregator_ops flosim_aggregation_fedprox = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_aggregation_fedprox,
    .name = "fedprox",
    .help = "FedAvg whose clients are held near the global model by a proximal term, so that unlike data and partial "
            "work do less harm.",
    .params = &params,
    .state_size = sizeof(struct state),
    .flags = FLOSIM_WAITS_FOR_ALL | FLOSIM_ASKS_CLIENTS,
    .init = init,
    .on_update = on_update,
    .on_failure = on_failure,
    .held = flosim_average_held,
    .save = flosim_average_save,
    .restore = flosim_average_restore,
    .fini = flosim_average_fini,
    .prepare = prepare,
    .discard = flosim_average_discard,
};
