/* Ends when the global model is good enough on the leader's validation data. */
#include <flosim/strategy.h>

struct args {
    double target;
};

struct state {
    const struct args *args;
    const struct flosim_host *host;
};

static int init(void *state, const void *args, const struct flosim_host *host)
{
    *(struct state *)state = (struct state){args, host};
    return FLOSIM_OK;
}

static int check(void *state, const struct flosim_progress *progress)
{
    const struct state *self = state;

    if (!progress->validated || !(progress->accuracy >= self->args->target))
        return FLOSIM_CONTINUE;
    return self->host->explain(self->host, FLOSIM_STOP, "accuracy %.2f %% reached the target of %.2f %%",
                               progress->accuracy, self->args->target);
}

static const struct flosim_param rows[] = {
    {.name = "target",
     .type = FLOSIM_DOUBLE,
     .offset = offsetof(struct args, target),
     .max = 100,
     .flags = FLOSIM_REQUIRED,
     .help = "Accuracy of the global model on the validation data at which the session ends, in percent."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_termination_ops flosim_termination_accuracy_target;
const struct flosim_termination_ops flosim_termination_accuracy_target = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_termination_accuracy_target,
    .name = "accuracy_target",
    .help = "Ends when the accuracy on the leader's validation data reaches the target.",
    .params = &params,
    .state_size = sizeof(struct state),
    .init = init,
    .check = check,
};
