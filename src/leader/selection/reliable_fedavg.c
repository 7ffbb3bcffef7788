/* fedavg that replaces clients which failed as long as there are others, and keeps the updates that came. */
#include <flosim/selecting.h>

struct args {
    double client_fraction;
};

/* After so many selections of a round whoever has not given to it probably cannot: it ends with what it has. */
enum { PATIENCE = 5 };

/* Fills newcomers [K]; returns how many of them can be chosen. */
static size_t mark_newcomers(const struct flosim_selection *selection, unsigned char *newcomers)
{
    size_t n = 0;

    for (size_t i = 0; i < selection->num_clients; i++) {
        newcomers[i] = selection->num_held == 0 || selection->clients[i].last_round < selection->round;
        n += newcomers[i] && (selection->clients[i].flags & FLOSIM_SELECTABLE);
    }
    return n;
}

static int choose_more(const struct flosim_stateless *self, const struct flosim_selection *selection, size_t k,
                       struct flosim_choice *choice)
{
    unsigned char *newcomers = calloc(selection->num_clients + 1, 1);
    size_t n;
    int status;

    if (!newcomers)
        return FLOSIM_MEMORY;
    n = mark_newcomers(selection, newcomers);
    n = n < k ? n : k;
    status = flosim_draw(self->host, "select-reliable-fedavg", selection, newcomers, NULL, n, choice);
    free(newcomers);
    return status;
}

static int choose(void *state, const struct flosim_selection *selection, struct flosim_choice *choice)
{
    const struct flosim_stateless *self = state;
    const struct args *args = self->args;
    size_t m = flosim_fraction_of(args->client_fraction, flosim_count_selectable(selection));

    if (selection->num_training > 0 || selection->num_validating > 0 || m == 0)
        return FLOSIM_OK;
    if (selection->num_held > 0 && (m <= selection->num_held || selection->attempt >= PATIENCE))
        return FLOSIM_OK; /* nobody: the round ends with what is held */
    choice->at_least = m;
    m -= selection->num_held;
    if (selection->num_held == 0)
        m = flosim_over_select(selection, m, choice);
    return choose_more(self, selection, m, choice);
}

static const struct flosim_param rows[] = {
    {.name = "client_fraction",
     .type = FLOSIM_FRACTION,
     .offset = offsetof(struct args, client_fraction),
     .fallback = "1",
     .max = 1,
     .help = "Share C of the selectable clients whose updates a round needs: max(1, floor(C n))."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_selector_ops flosim_selection_reliable_fedavg;
const struct flosim_selector_ops flosim_selection_reliable_fedavg = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_selection_reliable_fedavg,
    .name = "reliable_fedavg",
    .help =
        "As fedavg, but when clients of a round failed it keeps what came and chooses others for the rest; the round "
        "ends with less only when nobody else is left.",
    .params = &params,
    .state_size = sizeof(struct flosim_stateless),
    .flags = FLOSIM_KEEPS_UPDATES,
    .init = flosim_stateless_init,
    .select = choose,
};
