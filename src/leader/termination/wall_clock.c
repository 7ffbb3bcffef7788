/* Ends after a time, with the round that runs then. The time of leaders before a restore counts too. */
#include <flosim/strategy.h>

struct args {
    double limit;
};

struct state {
    const struct args *args;
    const struct flosim_host *host;
    double before; /* of earlier leaders, seconds */
    double total;
};

static int init(void *state, const void *args, const struct flosim_host *host)
{
    *(struct state *)state = (struct state){.args = args, .host = host};
    return FLOSIM_OK;
}

static int check(void *state, const struct flosim_progress *progress)
{
    struct state *self = state;

    self->total = self->before + progress->elapsed_s;
    if (self->total < self->args->limit)
        return FLOSIM_CONTINUE;
    return self->host->explain(self->host, FLOSIM_STOP, "the time limit of %g s is over after %.1f s",
                               self->args->limit, self->total);
}

static int save(const void *state)
{
    const struct state *self = state;

    return flosim_put_record(self->host, "total", &self->total, sizeof self->total);
}

static int restore(void *state)
{
    struct state *self = state;
    int status = flosim_get_record(self->host, "total", &self->total, sizeof self->total);

    if (status == FLOSIM_OK)
        self->before = self->total;
    return status;
}

static const struct flosim_param rows[] = {
    {.name = "limit",
     .type = FLOSIM_DURATION,
     .offset = offsetof(struct args, limit),
     .max = 1e9,
     .flags = FLOSIM_REQUIRED,
     .help = "The session ends with the first round that is over after so much time."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_termination_ops flosim_termination_wall_clock;
const struct flosim_termination_ops flosim_termination_wall_clock = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_termination_wall_clock,
    .name = "wall_clock",
    .help = "Ends with the first round that is over after a time limit.",
    .params = &params,
    .state_size = sizeof(struct state),
    .init = init,
    .check = check,
    .save = save,
    .restore = restore,
};
