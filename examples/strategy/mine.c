/* An aggregator: the clients' mean, with momentum on the server (Hsu et al. 2019):
 *     m <- beta m + (mean - w),  w <- w + m
 * It works in rounds, and its momentum survives the leader. */
#include <flosim/exact_sum.h>
#include <flosim/strategy.h>

struct args {
    double beta;
};

struct state {
    const struct args *args;
    const struct flosim_host *host;
    struct flosim_exact_sum sum; /* exact: the order in which answers come does not matter */
    float *momentum;             /* [P] */
    size_t held;
};

static void fini(void *state)
{
    struct state *self = state;

    flosim_exact_sum_fini(&self->sum);
    free(self->momentum);
}

static int init(void *state, const void *args, const struct flosim_host *host)
{
    struct state *self = state;

    *self = (struct state){.args = args, .host = host};
    self->momentum = calloc(host->num_weights, sizeof *self->momentum);
    if (self->momentum && flosim_exact_sum_init(&self->sum, host->num_weights) == FLOSIM_OK)
        return FLOSIM_OK;
    fini(self); /* the host does not call it after a failed init */
    return host->explain(host, FLOSIM_MEMORY, "no memory for %zu weights", host->num_weights);
}

static void discard(void *state, uint32_t cohort)
{
    struct state *self = state;

    (void)cohort; /* it has only one */
    flosim_exact_sum_reset(&self->sum);
    self->held = 0;
}

/* Buffers (the floats behind the parameters) are averaged and nothing else. */
static int complete(struct state *self, const struct flosim_round *round, float *out)
{
    if (!round->complete || self->held == 0)
        return FLOSIM_PENDING;
    flosim_exact_sum_mean(&self->sum, out);
    for (size_t i = 0; i < self->host->num_parameters; i++) {
        self->momentum[i] = (float)(self->args->beta * self->momentum[i] + (out[i] - round->global[i]));
        out[i] = round->global[i] + self->momentum[i];
    }
    discard(self, 0);
    return FLOSIM_READY;
}

static int on_update(void *state, const struct flosim_update *update, const struct flosim_round *round, float *out)
{
    struct state *self = state;
    int status = flosim_exact_sum_add(&self->sum, update->weights, update->num_samples);

    if (status != FLOSIM_OK)
        return self->host->explain(self->host, status, "weights times samples leave the range of exact sums");
    self->held++;
    return complete(self, round, out);
}

static int on_failure(void *state, const char *client, const struct flosim_round *round, float *out)
{
    (void)client;
    return complete(state, round, out);
}

static size_t held(const void *state)
{
    return ((const struct state *)state)->held;
}

/* The host saves after a round, when nothing is held. */
static int save(const void *state)
{
    const struct state *self = state;

    return flosim_put_record(self->host, "momentum", self->momentum, self->host->num_weights * sizeof(float));
}

static int restore(void *state)
{
    struct state *self = state;

    return flosim_get_record(self->host, "momentum", self->momentum, self->host->num_weights * sizeof(float));
}

static const struct flosim_param rows[] = {
    {.name = "beta",
     .type = FLOSIM_FRACTION,
     .offset = offsetof(struct args, beta),
     .fallback = "0.9",
     .max = 1,
     .help = "How much of its last step the server repeats."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_aggregator_ops flosim_aggregator;
const struct flosim_aggregator_ops flosim_aggregator = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_aggregator,
    .name = "mine",
    .help = "The mean of the clients' weights, with momentum on the server.",
    .params = &params,
    .state_size = sizeof(struct state),
    .flags = FLOSIM_WAITS_FOR_ALL,
    .init = init,
    .on_update = on_update,
    .on_failure = on_failure,
    .held = held,
    .save = save,
    .restore = restore,
    .fini = fini,
    .discard = discard,
};
