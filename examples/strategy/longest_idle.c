/* A selection: the k clients whose last training is the longest ago, those that never trained first. All that it needs
 * is in the picture that it is given, so there is no state to save. */
#include <flosim/strategy.h>

struct args {
    int64_t num_clients;
};

struct state {
    const struct args *args;
};

static int init(void *state, const void *args, const struct flosim_host *host)
{
    (void)host;
    ((struct state *)state)->args = args;
    return FLOSIM_OK;
}

/* The client to take next, or num_clients. Clients come sorted by id, so that the first of equals is always the same.
 */
static size_t longest_idle(const struct flosim_selection *selection, const unsigned char *action)
{
    size_t best = selection->num_clients;

    for (size_t i = 0; i < selection->num_clients; i++) {
        const struct flosim_client *client = &selection->clients[i];

        if (!(client->flags & FLOSIM_SELECTABLE) || action[i] != FLOSIM_IDLE)
            continue;
        if (best == selection->num_clients || client->last_round < selection->clients[best].last_round)
            best = i;
    }
    return best;
}

static int select_clients(void *state, const struct flosim_selection *selection, struct flosim_choice *choice)
{
    const struct state *self = state;
    size_t k;

    if (selection->num_training > 0 || selection->num_validating > 0 || selection->num_held > 0)
        return FLOSIM_OK; /* the round is not over */
    k = flosim_over_select(selection, (size_t)self->args->num_clients, choice);
    for (size_t i; k > 0 && (i = longest_idle(selection, choice->action)) < selection->num_clients; k--)
        choice->action[i] = FLOSIM_TRAIN;
    return FLOSIM_OK;
}

static const struct flosim_param rows[] = {
    {.name = "num_clients",
     .type = FLOSIM_INT,
     .offset = offsetof(struct args, num_clients),
     .min = 1,
     .max = 1e6,
     .flags = FLOSIM_REQUIRED,
     .help = "Clients that a round takes."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_selector_ops flosim_selector;
const struct flosim_selector_ops flosim_selector = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_selector,
    .name = "longest_idle",
    .help = "Each round takes the clients whose last training is the longest ago.",
    .params = &params,
    .state_size = sizeof(struct state),
    .init = init,
    .select = select_clients,
};
