/* The session's num_training_rounds; it holds whether listed or not. */
#include <flosim/strategy.h>

struct state {
    const struct flosim_host *host;
};

static int init(void *state, const void *args, const struct flosim_host *host)
{
    (void)args;
    ((struct state *)state)->host = host;
    return FLOSIM_OK;
}

static int check(void *state, const struct flosim_progress *progress)
{
    const struct flosim_host *host = ((struct state *)state)->host;

    if (progress->rounds < progress->num_rounds)
        return FLOSIM_CONTINUE;
    return host->explain(host, FLOSIM_STOP, "all %lld rounds done", (long long)progress->num_rounds);
}

extern const struct flosim_termination_ops flosim_termination_max_rounds;
const struct flosim_termination_ops flosim_termination_max_rounds = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_termination_max_rounds,
    .name = "max_rounds",
    .help = "Ends after num_training_rounds rounds. It always applies, also where it is not listed.",
    .state_size = sizeof(struct state),
    .init = init,
    .check = check,
};
