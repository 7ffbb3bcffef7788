/* FedNova (Wang et al. 2020, arXiv 2007.07481): x <- x + t sum p_k (w_k - x) / a_k, with p_k = n_k / n and
 * t = sum p_k a_k. a_k is the weight of client k's local steps: without momentum and proximal term their number, so
 * that who does more of them does not pull the model towards its own optimum. */
#include <math.h>

#include <flosim/averaging.h>
#include <flosim/strategy.h>

struct args {
    double mu;
};

struct state {
    struct flosim_average average; /* of n_k / a_k (w_k - x); beside: n_k a_k */
    const struct args *args;
};

static int init(void *state, const void *args, const struct flosim_host *host)
{
    struct state *self = state;

    self->args = args;
    if (host->training->nesterov || host->training->dampening != 0)
        return host->explain(host, FLOSIM_INVALID,
                             "fednova knows what steps of plain momentum weigh, not nesterov or dampening");
    if (strcmp(host->training->optimizer, "sgd") != 0)
        return host->explain(host, FLOSIM_INVALID,
                             "fednova knows what a local step weighs only for optimizer sgd, not for %s",
                             host->training->optimizer);
    return flosim_average_init(&self->average, host);
}

static int prepare(void *state, const char *client, const struct flosim_round *round, struct flosim_request *request)
{
    (void)client;
    (void)round;
    request->proximal_mu = ((struct state *)state)->args->mu;
    return FLOSIM_OK;
}

static int complete(struct state *self, const struct flosim_round *round, float *out)
{
    struct flosim_average *average = &self->average;
    double n = (double)average->sum.total;

    if (!flosim_average_is_complete(average, round))
        return FLOSIM_PENDING;
    return flosim_average_step(average, round->global, flosim_exact_scalar_value(&average->beside) / n / n, out);
}

static int on_update(void *state, const struct flosim_update *update, const struct flosim_round *round, float *out)
{
    struct state *self = state;
    const struct flosim_host *host = self->average.host;
    double n = (double)update->num_samples, a;
    int status;

    if (update->local_steps < 1 || !(update->learning_rate > 0))
        return host->explain(host, FLOSIM_INVALID, "fednova needs the number of local steps, which it does not tell");
    a = flosim_steps_weight(update->local_steps, host->training->momentum, update->learning_rate * self->args->mu);
    if (!(a > 0) || isinf(a))
        return host->explain(host, FLOSIM_INVALID, "mu %g is too large for learning rate %g", self->args->mu,
                             update->learning_rate);
    status = flosim_average_add_change(&self->average, update, round->global, n / a, n * a);
    return status == FLOSIM_OK ? complete(self, round, out) : status;
}

static int on_failure(void *state, const char *client, const struct flosim_round *round, float *out)
{
    (void)client;
    return complete(state, round, out);
}

static const struct flosim_param rows[] = {
    {.name = "mu",
     .type = FLOSIM_DOUBLE,
     .offset = offsetof(struct args, mu),
     .fallback = "0",
     .max = 1e5,
     .flags = FLOSIM_OURS,
     .help = "Weight of a proximal term in the clients' objective; 0: none."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_aggregator_ops flosim_aggregation_fednova;
const struct flosim_aggregator_ops flosim_aggregation_fednova = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_aggregation_fednova,
    .name = "fednova",
    .help = "Averages the clients' changes per local step, so that those who do more steps do not pull the model to "
            "their own optimum.",
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
