/* FedAsync: w <- (1 - a) w + a w_k with a = (t - tau + 1)^(-alpha), tau the version that the client trained on (Xie et
 * al. 2019, arXiv 1903.03934, polynomial staleness). Every update makes a new model. */
#include <math.h>

#include <flosim/strategy.h>

struct args {
    double alpha;
};

struct state {
    const struct args *args;
    const struct flosim_host *host;
};

static int init(void *state, const void *args, const struct flosim_host *host)
{
    *(struct state *)state = (struct state){args, host};
    return FLOSIM_OK;
}

static int on_update(void *state, const struct flosim_update *update, const struct flosim_round *round, float *out)
{
    const struct state *self = state;
    int64_t staleness = round->version - update->base_version;
    double a;

    if (staleness < 0)
        return self->host->explain(self->host, FLOSIM_INVALID, "update of version %lld, but the model is at %lld",
                                   (long long)update->base_version, (long long)round->version);
    a = pow((double)staleness + 1, -self->args->alpha);
    for (size_t i = 0; i < self->host->num_weights; i++)
        out[i] = (float)((1 - a) * (double)round->global[i] + a * (double)update->weights[i]);
    return FLOSIM_READY;
}

static int on_failure(void *state, const char *client, const struct flosim_round *round, float *out)
{
    (void)state;
    (void)client;
    (void)round;
    (void)out;
    return FLOSIM_PENDING;
}

static size_t held(const void *state)
{
    (void)state;
    return 0;
}

static const struct flosim_param rows[] = {
    {.name = "alpha",
     .type = FLOSIM_DOUBLE,
     .offset = offsetof(struct args, alpha),
     .fallback = "0.5",
     .max = 100,
     .help = "Exponent of the staleness: 0 takes every update whole, larger values trust old ones less."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_aggregator_ops flosim_aggregation_fedasync;
const struct flosim_aggregator_ops flosim_aggregation_fedasync = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_aggregation_fedasync,
    .name = "fedasync",
    .help = "Mixes each update into the model as it comes; the staler it is, the less it counts.",
    .params = &params,
    .state_size = sizeof(struct state),
    .init = init,
    .on_update = on_update,
    .on_failure = on_failure,
    .held = held,
};
