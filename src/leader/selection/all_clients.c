/* Everybody, every round. */
#include <flosim/strategy.h>

static int init(void *state, const void *args, const struct flosim_host *host)
{
    (void)state;
    (void)args;
    (void)host;
    return FLOSIM_OK;
}

static int choose(void *state, const struct flosim_selection *selection, struct flosim_choice *choice)
{
    (void)state;
    if (selection->num_training > 0)
        return FLOSIM_OK;
    for (size_t i = 0; i < selection->num_clients; i++)
        if (selection->clients[i].flags & FLOSIM_SELECTABLE)
            choice->action[i] = FLOSIM_TRAIN;
    return FLOSIM_OK;
}

extern const struct flosim_selector_ops flosim_selection_all_clients;
const struct flosim_selector_ops flosim_selection_all_clients = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_selection_all_clients,
    .name = "all_clients",
    .help = "Each round takes every selectable client.",
    .init = init,
    .select = choose,
};
