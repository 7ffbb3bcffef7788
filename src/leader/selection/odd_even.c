/* Even rounds draw from the even-numbered clients only, the others from all: a strategy that makes the effect of an
 * uneven choice visible. */
#include <flosim/selecting.h>

struct args {
    double percentage_client_selection;
};

/* Clients are numbered from 0 in the order of their ids. Fills eligible [K]; returns how many can be chosen. */
static size_t mark_eligible(const struct flosim_selection *selection, size_t step, unsigned char *eligible)
{
    size_t n = 0;

    for (size_t i = 0; i < selection->num_clients; i++) {
        eligible[i] = i % step == 0;
        n += eligible[i] && (selection->clients[i].flags & FLOSIM_SELECTABLE);
    }
    return n;
}

static int choose(void *state, const struct flosim_selection *selection, struct flosim_choice *choice)
{
    const struct flosim_stateless *self = state;
    const struct args *args = self->args;
    unsigned char *eligible;
    size_t n;
    int status;

    if (!flosim_may_begin(selection))
        return FLOSIM_OK;
    eligible = calloc(selection->num_clients + 1, 1);
    if (!eligible)
        return FLOSIM_MEMORY;
    n = mark_eligible(selection, selection->round % 2 == 0 ? 2 : 1, eligible);
    if (n == 0)
        n = mark_eligible(selection, 1, eligible);
    n = flosim_over_select(selection, flosim_fraction_of(args->percentage_client_selection, n), choice);
    status = flosim_draw(self->host, "select-odd-even", selection, eligible, NULL, n, choice);
    free(eligible);
    return status;
}

static const struct flosim_param rows[] = {
    FLOSIM_PERCENTAGE_ROW(struct args, "Share of the round's eligible clients that it takes, at least one."),
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_selector_ops flosim_selection_odd_even;
const struct flosim_selector_ops flosim_selection_odd_even = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_selection_odd_even,
    .name = "odd_even",
    .help = "Rounds 0, 2, 4 … draw from every second client (in the order of ids), the others from all.",
    .params = &params,
    .state_size = sizeof(struct flosim_stateless),
    .init = flosim_stateless_init,
    .select = choose,
};
