/* FedBuff (Nguyen et al. 2022, arXiv 2106.06639): clients train all the time; changes w_k - base_k, measured from the
 * model that each client was sent, gather in a buffer, and every K of them make a step:
 *     x <- x + eta / K sum s(staleness_k) (w_k - base_k),  s(t) = (1 + t)^-exponent.
 * Buffers of the model are averaged, weighted by samples. */
#include <math.h>

#include <flosim/averaging.h>
#include <flosim/strategy.h>

struct args {
    int64_t buffer_size;
    double server_learning_rate, staleness_exponent;
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
    const struct flosim_host *host = self->average.host;
    int64_t staleness = round->version - update->base_version;
    double size = (double)self->args->buffer_size;
    int status;

    if (staleness < 0 || !update->base)
        return host->explain(host, FLOSIM_INVALID, "update of version %lld, but the model is at %lld",
                             (long long)update->base_version, (long long)round->version);
    status = flosim_average_add_change(&self->average, update, update->base,
                                       pow(1 + (double)staleness, -self->args->staleness_exponent), 0);
    if (status != FLOSIM_OK || self->average.held < (uint64_t)self->args->buffer_size)
        return status;
    return flosim_average_step(&self->average, round->global, self->args->server_learning_rate / size, out);
}

/* Another client's update will fill the buffer. */
static int on_failure(void *state, const char *client, const struct flosim_round *round, float *out)
{
    (void)state;
    (void)client;
    (void)round;
    (void)out;
    return FLOSIM_PENDING;
}

static const struct flosim_param rows[] = {
    {.name = "buffer_size",
     .type = FLOSIM_INT,
     .offset = offsetof(struct args, buffer_size),
     .fallback = "10",
     .min = 1,
     .max = 10000,
     .flags = FLOSIM_OURS,
     .help = "K: how many updates make a new model."},
    {.name = "server_learning_rate",
     .type = FLOSIM_DOUBLE,
     .offset = offsetof(struct args, server_learning_rate),
     .fallback = "1",
     .max = 1000,
     .flags = FLOSIM_OURS,
     .help = "Scales the server's step; 1 is the mean of the buffered changes."},
    {.name = "staleness_exponent",
     .type = FLOSIM_DOUBLE,
     .offset = offsetof(struct args, staleness_exponent),
     .fallback = "0.5",
     .max = 100,
     .flags = FLOSIM_OURS,
     .help = "How much less a stale change counts: 0 not at all; the paper takes 1 / sqrt(1 + staleness)."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_aggregator_ops flosim_aggregation_fedbuff;
const struct flosim_aggregator_ops flosim_aggregation_fedbuff = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_aggregation_fedbuff,
    .name = "fedbuff",
    .help = "Semi-asynchronous: the changes of clients that train all the time gather in a buffer, and every K of them "
            "make a new model.",
    .params = &params,
    .state_size = sizeof(struct state),
    .flags = FLOSIM_BUFFERS | FLOSIM_USES_BASE,
    .init = init,
    .on_update = on_update,
    .on_failure = on_failure,
    .held = flosim_average_held,
    .save = flosim_average_save,
    .restore = flosim_average_restore,
    .fini = flosim_average_fini,
    .discard = flosim_average_discard,
};
