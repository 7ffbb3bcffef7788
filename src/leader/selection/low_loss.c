/* Those who agree with the model: the clients of lowest latest training loss. */
#include <flosim/selecting.h>

struct args {
    double percentage_client_selection;
};

static int choose(void *state, const struct flosim_selection *selection, struct flosim_choice *choice)
{
    const struct flosim_stateless *self = state;
    const struct args *args = self->args;

    if (!flosim_may_begin(selection))
        return FLOSIM_OK;
    if (selection->round == 0) {
        flosim_choose_all(selection, choice);
        return FLOSIM_OK;
    }
    return flosim_choose_by_loss(selection, args->percentage_client_selection, -1, choice);
}

static const struct flosim_param rows[] = {
    FLOSIM_PERCENTAGE_ROW(struct args, "Share of the selectable clients that a round takes, at least one."),
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_selector_ops flosim_selection_low_loss;
const struct flosim_selector_ops flosim_selection_low_loss = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_selection_low_loss,
    .name = "low_loss",
    .help = "The first round takes everybody, each later one the clients of lowest latest training loss. Who has not "
            "trained yet comes first.",
    .params = &params,
    .state_size = sizeof(struct flosim_stateless),
    .init = flosim_stateless_init,
    .select = choose,
};
