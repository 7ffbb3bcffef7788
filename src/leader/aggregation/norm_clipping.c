/* Norm clipping (Sun et al. 2019, "Can You Really Backdoor Federated Learning?", arXiv 1911.07963): each
 * update w_k - w is shortened to max_norm where it is longer, then averaged as by fedavg; Gaussian noise may be added.
 * Sums only: nothing is kept of single updates. */
#include <math.h>

#include <flosim/averaging.h>

struct args {
    double max_norm, noise;
};

struct state {
    struct flosim_average average;
    const struct args *args;
    float *clipped; /* [P] scratch */
};

static int init(void *state, const void *args, const struct flosim_host *host)
{
    struct state *self = state;
    size_t n = host->num_weights;

    self->args = args;
    self->clipped = calloc(n ? n : 1, sizeof *self->clipped);
    if (!self->clipped)
        return host->explain(host, FLOSIM_MEMORY, "no memory for %zu weights", n);
    if (flosim_average_init(&self->average, host) == FLOSIM_OK)
        return FLOSIM_OK;
    free(self->clipped);
    return FLOSIM_MEMORY;
}

/* Fills clipped [n]. */
static void clip(double max_norm, const float *weights, const float *global, size_t n, float *clipped)
{
    double square = 0, factor = 1;

    for (size_t i = 0; i < n; i++)
        square += ((double)weights[i] - (double)global[i]) * ((double)weights[i] - (double)global[i]);
    if (sqrt(square) > max_norm)
        factor = max_norm / sqrt(square);
    for (size_t i = 0; i < n; i++)
        clipped[i] =
            factor < 1 ? (float)((double)global[i] + factor * ((double)weights[i] - (double)global[i])) : weights[i];
}

/* Parameters only: a running variance must not become negative. */
static void add_noise(const struct state *self, int64_t version, float *out)
{
    const struct flosim_host *host = self->average.host;
    struct flosim_random random;

    if (self->args->noise <= 0)
        return;
    host->random_init(host, &random, "norm_clipping", "", (uint64_t)version);
    for (size_t i = 0; i < host->num_parameters; i++)
        out[i] = (float)((double)out[i] + self->args->noise * host->random_normal(&random));
}

static int complete(struct state *self, const struct flosim_round *round, float *out)
{
    int status = flosim_average_mean(&self->average, round, out);

    if (status == FLOSIM_READY)
        add_noise(self, round->version, out);
    return status;
}

static int on_update(void *state, const struct flosim_update *update, const struct flosim_round *round, float *out)
{
    struct state *self = state;
    struct flosim_update clipped = *update;
    int status;

    clip(self->args->max_norm, update->weights, round->global, self->average.host->num_weights, self->clipped);
    clipped.weights = self->clipped;
    status = flosim_average_add_weights(&self->average, &clipped);
    return status == FLOSIM_OK ? complete(self, round, out) : status;
}

static int on_failure(void *state, const char *client, const struct flosim_round *round, float *out)
{
    (void)client;
    return complete(state, round, out);
}

static void fini(void *state)
{
    free(((struct state *)state)->clipped);
    flosim_average_fini(state);
}

static const struct flosim_param rows[] = {
    {.name = "max_norm",
     .type = FLOSIM_DOUBLE,
     .offset = offsetof(struct args, max_norm),
     .min = 1e-12,
     .max = 1e5,
     .flags = FLOSIM_REQUIRED | FLOSIM_OURS,
     .help =
         "Longest distance (L2, over all weights) that one client's weights may have from the global model; what is "
         "farther is drawn nearer."},
    {.name = "noise",
     .type = FLOSIM_DOUBLE,
     .offset = offsetof(struct args, noise),
     .max = 1e5,
     .flags = FLOSIM_OURS,
     .help = "Standard deviation of the Gaussian noise added to each parameter of the new model; 0: none."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_aggregator_ops flosim_aggregation_norm_clipping;
const struct flosim_aggregator_ops flosim_aggregation_norm_clipping = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_aggregation_norm_clipping,
    .name = "norm_clipping",
    .help =
        "Shortens each client's update to a longest norm, then averages as fedavg does: one client can move the model "
        "only so far in a round.",
    .params = &params,
    .state_size = sizeof(struct state),
    .flags = FLOSIM_WAITS_FOR_ALL,
    .init = init,
    .on_update = on_update,
    .on_failure = on_failure,
    .held = flosim_average_held,
    .save = flosim_average_save,
    .restore = flosim_average_restore,
    .fini = fini,
    .discard = flosim_average_discard,
};
