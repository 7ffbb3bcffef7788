/* The cohort of FedAvg: McMahan et al. 2017, Algorithm 1. */
#include <flosim/selecting.h>

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

    if (!flosim_may_begin(selection))
        return FLOSIM_OK;
    flosim_selection_random(self->host, selection, "select-fedavg", &random);
    flosim_choose_round(self->host, &random, selection, m, choice);
    return FLOSIM_OK;
}

static const struct flosim_param rows[] = {
    {.name = "client_fraction",
     .type = FLOSIM_FRACTION,
     .offset = offsetof(struct args, client_fraction),
     .fallback = "1",
     .max = 1,
     .help = "Share C of the selectable clients that a round takes: max(1, floor(C n))."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_selector_ops flosim_selection_fedavg;
const struct flosim_selector_ops flosim_selection_fedavg = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_selection_fedavg,
    .name = "fedavg",
    .help = "Each round takes a random share of the selectable clients and waits for all of them.",
    .params = &params,
    .state_size = sizeof(struct state),
    .init = init,
    .select = choose,
};
