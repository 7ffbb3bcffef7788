/* FedAsync: w <- (1 - a) w + a w_k with a = mixing_rate s(t - tau), tau the version that the client trained on (Xie et
 * al. 2019, arXiv 1903.03934). The staleness s(d) is
 *     polynomial  (d + 1)^(-alpha), Flotilla's only one
 *     hinge       1 up to d = b, then 1 / (a (d - b) + 1)
 *     constant    1
 * Every update makes a new model. */
#include <math.h>

#include <flosim/strategy.h>

struct args {
    double alpha, mixing_rate, a, b;
    const char *staleness;
};

struct state {
    const struct args *args;
    const struct flosim_host *host;
    double (*staleness)(const struct args *args, double d);
};

static double polynomial(const struct args *args, double d)
{
    return pow(d + 1, -args->alpha);
}

static double hinge(const struct args *args, double d)
{
    return d <= args->b ? 1 : 1 / (args->a * (d - args->b) + 1);
}

static double constant(const struct args *args, double d)
{
    (void)args;
    (void)d;
    return 1;
}

static int init(void *state, const void *args, const struct flosim_host *host)
{
    static const struct {
        const char *name;
        double (*staleness)(const struct args *args, double d);
    } choices[] = {{"polynomial", polynomial}, {"hinge", hinge}, {"constant", constant}};
    struct state *self = state;

    *self = (struct state){args, host, NULL};
    for (size_t i = 0; i < sizeof choices / sizeof *choices && self->args->staleness; i++)
        if (strcmp(choices[i].name, self->args->staleness) == 0)
            self->staleness = choices[i].staleness;
    if (self->staleness)
        return FLOSIM_OK;
    return host->explain(host, FLOSIM_INVALID, "staleness is `%s`, must be polynomial, hinge or constant",
                         self->args->staleness ? self->args->staleness : "null");
}

static int on_update(void *state, const struct flosim_update *update, const struct flosim_round *round, float *out)
{
    const struct state *self = state;
    int64_t staleness = round->version - update->base_version;
    double a;

    if (staleness < 0)
        return self->host->explain(self->host, FLOSIM_INVALID, "update of version %lld, but the model is at %lld",
                                   (long long)update->base_version, (long long)round->version);
    a = self->args->mixing_rate * self->staleness(self->args, (double)staleness);
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
     .help = "Exponent of the polynomial staleness: 0 takes every update whole, larger values trust old ones less."},
    {.name = "mixing_rate",
     .type = FLOSIM_FRACTION,
     .offset = offsetof(struct args, mixing_rate),
     .fallback = "1",
     .flags = FLOSIM_OURS,
     .help = "How much a fresh update counts against the model; the paper's alpha (0.6 there)."},
    {.name = "staleness",
     .type = FLOSIM_STRING,
     .offset = offsetof(struct args, staleness),
     .fallback = "polynomial",
     .flags = FLOSIM_OURS,
     .help = "How a stale update counts less: polynomial, hinge or constant (not at all)."},
    {.name = "a",
     .type = FLOSIM_DOUBLE,
     .offset = offsetof(struct args, a),
     .fallback = "10",
     .max = 1000,
     .flags = FLOSIM_OURS,
     .help = "Slope of the hinge."},
    {.name = "b",
     .type = FLOSIM_DOUBLE,
     .offset = offsetof(struct args, b),
     .fallback = "4",
     .max = 1000,
     .flags = FLOSIM_OURS,
     .help = "Versions that an update may be late before the hinge begins."},
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
