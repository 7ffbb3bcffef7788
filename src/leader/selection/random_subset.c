/* A random subset of fixed share each round, whatever became of the round before: unlike fedavg it also draws while the
 * aggregator holds updates (buffering aggregators). */
#include <flosim/strategy.h>

struct args {
    double client_fraction;
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

static int choose(void *state, const struct flosim_selection *selection, struct flosim_choice *choice)
{
    const struct state *self = state;
    struct flosim_random random;
    size_t m = flosim_fraction_of(self->args->client_fraction, flosim_count_selectable(selection));

    if (selection->num_training > 0 || selection->num_validating > 0)
        return FLOSIM_OK;
    flosim_selection_random(self->host, selection, "select-random-subset", &random);
    flosim_choose_round(self->host, &random, selection, m, choice);
    return FLOSIM_OK;
}

static const struct flosim_param rows[] = {
    {.name = "client_fraction",
     .type = FLOSIM_FRACTION,
     .offset = offsetof(struct args, client_fraction),
     .fallback = "1",
     .max = 1,
     .help = "Share of the selectable clients that a round takes, at least one."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_selector_ops flosim_selection_random_subset;
const struct flosim_selector_ops flosim_selection_random_subset = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_selection_random_subset,
    .name = "random_subset",
    .help = "Each round takes a random share of the selectable clients, whether or not updates are still held.",
    .params = &params,
    .state_size = sizeof(struct state),
    .init = init,
    .select = choose,
};
