/* Everybody, every round. */
#include <flosim/selecting.h>

static int choose(void *state, const struct flosim_selection *selection, struct flosim_choice *choice)
{
    (void)state;
    if (flosim_may_begin(selection))
        flosim_choose_all(selection, choice);
    return FLOSIM_OK;
}

extern const struct flosim_selector_ops flosim_selection_all_clients;
const struct flosim_selector_ops flosim_selection_all_clients = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_selection_all_clients,
    .name = "all_clients",
    .help = "Each round takes every selectable client.",
    .state_size = sizeof(struct flosim_stateless),
    .flags = FLOSIM_SELECTS_ALL,
    .init = flosim_stateless_init,
    .select = choose,
};
