/* FedAvgM (Hsu et al. 2019, arXiv 1909.06335; SGD with momentum in Reddi et al. 2021): v <- momentum v + d,
 * x <- x + eta v, where d is the mean change of the clients, weighted by samples. Buffers are averaged. */
#include <flosim/averaging.h>
#include <flosim/strategy.h>

struct args {
    double server_learning_rate, momentum;
};

struct state {
    struct flosim_average average; /* of n_k w_k */
    const struct args *args;
    float *velocity; /* [parameters] */
};

static int init(void *state, const void *args, const struct flosim_host *host)
{
    struct state *self = state;
    int status = flosim_average_init(&self->average, host);

    if (status != FLOSIM_OK)
        return status;
    self->args = args;
    self->velocity = calloc(host->num_parameters + 1, sizeof *self->velocity);
    if (self->velocity)
        return FLOSIM_OK;
    flosim_average_fini(state);
    return host->explain(host, FLOSIM_MEMORY, "no memory for the velocity of %zu parameters", host->num_parameters);
}

static int complete(struct state *self, const struct flosim_round *round, float *out)
{
    struct flosim_average *average = &self->average;

    if (!flosim_average_is_complete(average, round))
        return FLOSIM_PENDING;
    for (size_t i = 0; i < average->host->num_parameters; i++) {
        double x = (double)round->global[i];
        double d = flosim_exact_sum_at(&average->sum, i) / (double)average->sum.total - x;

        self->velocity[i] = (float)(self->args->momentum * (double)self->velocity[i] + d);
        out[i] = (float)(x + self->args->server_learning_rate * (double)self->velocity[i]);
    }
    flosim_average_buffers(average, out);
    flosim_average_reset(average);
    return FLOSIM_READY;
}

static int on_update(void *state, const struct flosim_update *update, const struct flosim_round *round, float *out)
{
    struct state *self = state;
    int status = flosim_average_add_weights(&self->average, update);

    return status == FLOSIM_OK ? complete(self, round, out) : status;
}

static int on_failure(void *state, const char *client, const struct flosim_round *round, float *out)
{
    (void)client;
    return complete(state, round, out);
}

static int save(const void *state)
{
    const struct state *self = state;
    const struct flosim_host *host = self->average.host;
    int status = flosim_average_save(state);

    if (status != FLOSIM_OK)
        return status;
    return host->store_put(host, "velocity", self->velocity, host->num_parameters * sizeof *self->velocity);
}

static int restore(void *state)
{
    struct state *self = state;
    const struct flosim_host *host = self->average.host;
    int status = flosim_average_restore(state);

    if (status != FLOSIM_OK)
        return status;
    return flosim_store_get_exactly(host, "velocity", self->velocity, host->num_parameters * sizeof *self->velocity);
}

static void fini(void *state)
{
    free(((struct state *)state)->velocity);
    flosim_average_fini(state);
}

static const struct flosim_param rows[] = {
    {.name = "server_learning_rate",
     .type = FLOSIM_DOUBLE,
     .offset = offsetof(struct args, server_learning_rate),
     .fallback = "1",
     .max = 1000,
     .flags = FLOSIM_OURS,
     .help = "Scales the server's step."},
    {.name = "momentum",
     .type = FLOSIM_DOUBLE,
     .offset = offsetof(struct args, momentum),
     .fallback = "0.9",
     .max = 0.999999,
     .flags = FLOSIM_OURS,
     .help = "How much of the last round's step goes on; 0 with server_learning_rate 1 is FedAvg."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_aggregator_ops flosim_aggregation_fedavgm;
const struct flosim_aggregator_ops flosim_aggregation_fedavgm = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_aggregation_fedavgm,
    .name = "fedavgm",
    .help = "FedAvg with momentum on the server: the mean change of the clients is a gradient.",
    .params = &params,
    .state_size = sizeof(struct state),
    .flags = FLOSIM_WAITS_FOR_ALL,
    .init = init,
    .on_update = on_update,
    .on_failure = on_failure,
    .held = flosim_average_held,
    .save = save,
    .restore = restore,
    .fini = fini,
    .discard = flosim_average_discard,
};
