/* The scheduler of FedAsync: Xie et al. 2019 (arXiv 1903.03934). A share of the clients begins; from then on whoever
 * comes back (or fails) is replaced by one random client, so that the same number always trains. */
#include <flosim/strategy.h>

struct args {
    double client_fraction;
};

struct state {
    const struct args *args;
    const struct flosim_host *host;
    uint64_t in_flight; /* how many train at once; 0: nobody was chosen yet */
};

static int init(void *state, const void *args, const struct flosim_host *host)
{
    *(struct state *)state = (struct state){args, host, 0};
    return FLOSIM_OK;
}

static int choose(void *state, const struct flosim_selection *selection, struct flosim_choice *choice)
{
    struct state *self = state;
    struct flosim_random random;

    if (self->in_flight == 0)
        self->in_flight = flosim_fraction_of(self->args->client_fraction, flosim_count_selectable(selection));
    if (selection->num_training >= self->in_flight)
        return FLOSIM_OK;
    flosim_selection_random(self->host, selection, "select-fedasync", &random);
    flosim_choose(self->host, &random, selection, (size_t)self->in_flight - selection->num_training, FLOSIM_TRAIN,
                  choice);
    return FLOSIM_OK;
}

static int save(const void *state)
{
    const struct state *self = state;

    return self->host->store_put(self->host, "in_flight", &self->in_flight, sizeof self->in_flight);
}

static int restore(void *state)
{
    struct state *self = state;
    uint64_t in_flight;
    size_t size;
    int status = self->host->store_get(self->host, "in_flight", &in_flight, sizeof in_flight, &size);

    if (status != FLOSIM_OK)
        return status;
    if (size != sizeof in_flight)
        return self->host->explain(self->host, FLOSIM_CORRUPT, "saved state has %zu bytes, not 8", size);
    self->in_flight = in_flight;
    return FLOSIM_OK;
}

static const struct flosim_param rows[] = {
    {.name = "client_fraction",
     .type = FLOSIM_FRACTION,
     .offset = offsetof(struct args, client_fraction),
     .fallback = "1",
     .max = 1,
     .help = "Share of the clients selectable at the start that trains at any time, at least one."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_selector_ops flosim_selection_fedasync;
const struct flosim_selector_ops flosim_selection_fedasync = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_selection_fedasync,
    .name = "fedasync",
    .help = "A share of the clients begins; each one that comes back is replaced by a random one at once, with the "
            "newest model.",
    .params = &params,
    .state_size = sizeof(struct state),
    .flags = FLOSIM_SELECTS_WHILE_TRAINING,
    .init = init,
    .select = choose,
    .save = save,
    .restore = restore,
};
