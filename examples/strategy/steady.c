/* A termination: the accuracy was at or above a target in several validations in a row. */
#include <flosim/strategy.h>

struct args {
    double target;
    int64_t times;
};

struct state {
    const struct args *args;
    const struct flosim_host *host;
    int64_t reached;
};

static int init(void *state, const void *args, const struct flosim_host *host)
{
    *(struct state *)state = (struct state){.args = args, .host = host};
    return FLOSIM_OK;
}

static int check(void *state, const struct flosim_progress *progress)
{
    struct state *self = state;

    if (!progress->validated)
        return FLOSIM_CONTINUE;
    self->reached = progress->accuracy >= self->args->target ? self->reached + 1 : 0;
    if (self->reached < self->args->times)
        return FLOSIM_CONTINUE;
    return self->host->explain(self->host, FLOSIM_STOP, "accuracy was at least %g %% in %lld validations in a row",
                               self->args->target, (long long)self->reached);
}

static int save(const void *state)
{
    const struct state *self = state;

    return flosim_put_record(self->host, "reached", &self->reached, sizeof self->reached);
}

static int restore(void *state)
{
    struct state *self = state;

    return flosim_get_record(self->host, "reached", &self->reached, sizeof self->reached);
}

static const struct flosim_param rows[] = {
    {.name = "target",
     .type = FLOSIM_DOUBLE,
     .offset = offsetof(struct args, target),
     .max = 100,
     .flags = FLOSIM_REQUIRED,
     .help = "Accuracy to reach, in percent."},
    {.name = "times",
     .type = FLOSIM_INT,
     .offset = offsetof(struct args, times),
     .fallback = "3",
     .min = 1,
     .max = 1e6,
     .help = "Validations in a row that must reach it."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_termination_ops flosim_termination;
const struct flosim_termination_ops flosim_termination = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_termination,
    .name = "steady",
    .help = "Ends when the accuracy was at or above the target in several validations in a row.",
    .params = &params,
    .state_size = sizeof(struct state),
    .init = init,
    .check = check,
    .save = save,
    .restore = restore,
};
