/* Federated averaging: w <- sum n_k w_k / sum n_k over those who answered (McMahan et al. 2017, Algorithm 1). A round
 * is complete when the host says so. The sums are exact, so the order of answers does not matter. */
#include <flosim/exact_sum.h>
#include <flosim/strategy.h>

struct state {
    const struct flosim_host *host;
    struct flosim_exact_sum sum;
    uint64_t held;
};

static int init(void *state, const void *args, const struct flosim_host *host)
{
    struct state *self = state;

    (void)args;
    self->host = host;
    if (flosim_exact_sum_init(&self->sum, host->num_weights) != FLOSIM_OK)
        return host->explain(host, FLOSIM_MEMORY, "no memory for sums of %zu weights", host->num_weights);
    return FLOSIM_OK;
}

static int complete(struct state *self, const struct flosim_round *round, float *out)
{
    if (!round->complete || self->held == 0)
        return FLOSIM_PENDING;
    flosim_exact_sum_mean(&self->sum, out);
    flosim_exact_sum_reset(&self->sum);
    self->held = 0;
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
    return (size_t)((const struct state *)state)->held;
}

static void discard(void *state, uint32_t cohort)
{
    struct state *self = state;

    (void)cohort;
    flosim_exact_sum_reset(&self->sum);
    self->held = 0;
}

struct header {
    uint64_t held;
    int64_t total;
    double bound;
};

static int save(const void *state)
{
    const struct state *self = state;
    struct header header = {self->held, self->sum.total, self->sum.bound};
    size_t size = self->held ? self->sum.n * sizeof *self->sum.sums : 0;
    int status = self->host->store_put(self->host, "header", &header, sizeof header);

    return status != FLOSIM_OK ? status : self->host->store_put(self->host, "sums", self->sum.sums, size);
}

static int restore(void *state)
{
    struct state *self = state;
    struct header header;
    size_t size, capacity = self->sum.n * sizeof *self->sum.sums;
    int status = self->host->store_get(self->host, "header", &header, sizeof header, &size);

    if (status == FLOSIM_OK && size != sizeof header)
        status = self->host->explain(self->host, FLOSIM_CORRUPT, "saved header has %zu bytes", size);
    if (status == FLOSIM_OK)
        status = self->host->store_get(self->host, "sums", self->sum.sums, capacity, &size);
    if (status == FLOSIM_OK && size != (header.held ? capacity : 0))
        status = self->host->explain(self->host, FLOSIM_CORRUPT, "saved sums have %zu bytes", size);
    if (status != FLOSIM_OK) {
        flosim_exact_sum_reset(&self->sum);
        return status;
    }
    self->held = header.held;
    self->sum.total = header.total;
    self->sum.bound = header.bound;
    return FLOSIM_OK;
}

static void fini(void *state)
{
    flosim_exact_sum_fini(&((struct state *)state)->sum);
}

extern const struct flosim_aggregator_ops flosim_aggregation_fedavg;
const struct flosim_aggregator_ops flosim_aggregation_fedavg = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_aggregation_fedavg,
    .name = "fedavg",
    .help = "The mean of the clients' weights, each weighted by its number of samples; a round waits for everybody "
            "selected who is still there.",
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
