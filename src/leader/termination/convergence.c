/* Ends when the global model hardly moves: |w_t - w_(t-1)| <= delta |w_(t-1)|, Euclidean norms over the parameters, for
 * some rounds in a row. (The difference of the two norms would be cheaper and wrong: a model can turn without growing.)
 * Buffers are left out, for running statistics have a scale of their own. */
#include <flosim/strategy.h>

#include <math.h>

struct args {
    int64_t patience;
    double delta;
};

struct state {
    const struct args *args;
    const struct flosim_host *host;
    int64_t still; /* rounds in a row that hardly moved the model */
};

static int init(void *state, const void *args, const struct flosim_host *host)
{
    *(struct state *)state = (struct state){.args = args, .host = host};
    return FLOSIM_OK;
}

/* Infinite where the model moved away from all zeros. */
static double relative_change(const float *previous, const float *global, size_t n)
{
    double moved = 0, norm = 0;

    for (size_t i = 0; i < n; i++) {
        double step = (double)global[i] - (double)previous[i];

        moved += step * step;
        norm += (double)previous[i] * (double)previous[i];
    }
    return moved > 0 ? sqrt(moved / norm) : 0;
}

static int check(void *state, const struct flosim_progress *progress)
{
    struct state *self = state;
    double change = relative_change(progress->previous, progress->global, self->host->num_parameters);

    self->still = change <= self->args->delta ? self->still + 1 : 0;
    if (self->still < self->args->patience)
        return FLOSIM_CONTINUE;
    return self->host->explain(self->host, FLOSIM_STOP,
                               "the model moved by at most %g of its norm in each of %lld rounds (by %.3g in the last)",
                               self->args->delta, (long long)self->still, change);
}

static int save(const void *state)
{
    const struct state *self = state;

    return flosim_put_record(self->host, "still", &self->still, sizeof self->still);
}

static int restore(void *state)
{
    struct state *self = state;

    return flosim_get_record(self->host, "still", &self->still, sizeof self->still);
}

static const struct flosim_param rows[] = {
    {.name = "patience",
     .type = FLOSIM_INT,
     .offset = offsetof(struct args, patience),
     .fallback = "5",
     .min = 1,
     .max = 1e9,
     .help = "So many rounds in a row that hardly move the global model end the session."},
    {.name = "delta",
     .type = FLOSIM_DOUBLE,
     .offset = offsetof(struct args, delta),
     .fallback = "0.001",
     .max = 1e6,
     .help = "A round hardly moves the model when it changes it by at most this part of its norm."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_termination_ops flosim_termination_convergence;
const struct flosim_termination_ops flosim_termination_convergence = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_termination_convergence,
    .name = "convergence",
    .help = "Ends when the rounds hardly move the global model any more; needs no validation data.",
    .params = &params,
    .state_size = sizeof(struct state),
    .init = init,
    .check = check,
    .save = save,
    .restore = restore,
};
