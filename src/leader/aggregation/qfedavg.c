/* q-FedAvg (Li et al. 2020, arXiv 1905.10497, Algorithm 2): clients on whose data the global model does badly count
 * more. With F_k its loss on client k's data, D_k = L (x - w_k):
 *     x <- x - sum F_k^q D_k / sum (q F_k^(q-1) |D_k|^2 + L F_k^q).
 * Both sums are divided by L here. Buffers are averaged, weighted by samples. */
#include <math.h>

#include <flosim/averaging.h>
#include <flosim/strategy.h>

struct args {
    double q, lipschitz;
};

struct state {
    struct flosim_average average; /* of F_k^q (w_k - x); beside: q F_k^(q-1) L |x - w_k|^2 + F_k^q */
    const struct args *args;
    double lipschitz;
};

static int init(void *state, const void *args, const struct flosim_host *host)
{
    struct state *self = state;
    double rate = host->training->learning_rate;

    self->args = args;
    self->lipschitz = self->args->lipschitz > 0 ? self->args->lipschitz : 1 / rate;
    if (!(self->lipschitz > 0) || isinf(self->lipschitz))
        return host->explain(host, FLOSIM_INVALID, "qfedavg cannot take L from learning rate %g", rate);
    return flosim_average_init(&self->average, host);
}

static int prepare(void *state, const char *client, const struct flosim_round *round, struct flosim_request *request)
{
    (void)state;
    (void)client;
    (void)round;
    request->wants_initial_loss = 1;
    return FLOSIM_OK;
}

static int complete(struct state *self, const struct flosim_round *round, float *out)
{
    struct flosim_average *average = &self->average;

    if (!flosim_average_is_complete(average, round))
        return FLOSIM_PENDING;
    return flosim_average_step(average, round->global, 1 / flosim_exact_scalar_value(&average->beside), out);
}

static double square_distance(const float *w, const float *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += ((double)w[i] - (double)x[i]) * ((double)w[i] - (double)x[i]);
    return sum;
}

static int on_update(void *state, const struct flosim_update *update, const struct flosim_round *round, float *out)
{
    struct state *self = state;
    const struct flosim_host *host = self->average.host;
    double q = self->args->q, loss = flosim_metric_of(update, "initial_loss", -1), factor, h;
    int status;

    if (loss < 0)
        return host->explain(host, FLOSIM_INVALID, "qfedavg needs the initial loss, which it does not tell");
    loss += 1e-10; /* a loss of 0 has no power below 0 */
    factor = pow(loss, q);
    if (!(factor > 1e-9 && factor < 1e9))
        return host->explain(host, FLOSIM_TOO_LARGE,
                             "its loss of %g to the power q = %g leaves the range of exact sums; "
                             "take a smaller q",
                             loss, q);
    h = factor +
        q * pow(loss, q - 1) * self->lipschitz * square_distance(update->weights, round->global, host->num_parameters);
    status = flosim_average_add_change(&self->average, update, round->global, factor, h);
    return status == FLOSIM_OK ? complete(self, round, out) : status;
}

static int on_failure(void *state, const char *client, const struct flosim_round *round, float *out)
{
    (void)client;
    return complete(state, round, out);
}

static const struct flosim_param rows[] = {
    {.name = "q",
     .type = FLOSIM_DOUBLE,
     .offset = offsetof(struct args, q),
     .fallback = "1",
     .max = 20,
     .flags = FLOSIM_OURS,
     .help = "How much fairness: 0 counts all clients alike, larger values favour those with a large loss."},
    {.name = "lipschitz",
     .type = FLOSIM_DOUBLE,
     .offset = offsetof(struct args, lipschitz),
     .fallback = "0",
     .max = 1e5,
     .flags = FLOSIM_OURS,
     .help = "L, how fast gradients change; 0 takes 1 / learning rate of the clients."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_aggregator_ops flosim_aggregation_qfedavg;
const struct flosim_aggregator_ops flosim_aggregation_qfedavg = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_aggregation_qfedavg,
    .name = "qfedavg",
    .help = "Fair averaging: clients on whose data the model does badly count more, so that accuracies even out.",
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
