/* Ends when the global model's loss on the leader's validation data is low enough. */
#include <flosim/strategy.h>

struct args {
    double threshold;
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

/* A loss that is no number is never low. */
static int check(void *state, const struct flosim_progress *progress)
{
    const struct state *self = state;

    if (!progress->validated || !(progress->loss <= self->args->threshold))
        return FLOSIM_CONTINUE;
    return self->host->explain(self->host, FLOSIM_STOP, "loss %.6g reached the threshold of %.6g", progress->loss,
                               self->args->threshold);
}

static const struct flosim_param rows[] = {
    {.name = "threshold",
     .type = FLOSIM_DOUBLE,
     .offset = offsetof(struct args, threshold),
     .flags = FLOSIM_REQUIRED,
     .help = "Loss of the global model on the validation data at which, or below which, the session ends."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_termination_ops flosim_termination_loss_threshold;
const struct flosim_termination_ops flosim_termination_loss_threshold = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_termination_loss_threshold,
    .name = "loss_threshold",
    .help = "Ends when the loss on the leader's validation data is at most the threshold.",
    .params = &params,
    .state_size = sizeof(struct state),
    .init = init,
    .check = check,
};
