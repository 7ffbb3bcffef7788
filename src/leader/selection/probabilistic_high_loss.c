/* As high_loss, but drawn: each client's chance is proportional to its latest training loss. */
#include <flosim/selecting.h>

struct args {
    double percentage_client_selection;
};

/* What stands for a loss that is not known. */
static double mean_known_loss(const struct flosim_selection *selection)
{
    double sum = 0, n = 0;

    for (size_t i = 0; i < selection->num_clients; i++)
        if (selection->clients[i].last_loss >= 0) {
            sum += selection->clients[i].last_loss;
            n++;
        }
    return sum > 0 ? sum / n : 1;
}

static int choose(void *state, const struct flosim_selection *selection, struct flosim_choice *choice)
{
    const struct flosim_stateless *self = state;
    const struct args *args = self->args;
    size_t m = flosim_fraction_of(args->percentage_client_selection, flosim_count_selectable(selection));
    double mean = mean_known_loss(selection), *weights;
    int status;

    if (!flosim_may_begin(selection))
        return FLOSIM_OK;
    weights = calloc(selection->num_clients + 1, sizeof *weights);
    if (!weights)
        return FLOSIM_MEMORY;
    for (size_t i = 0; i < selection->num_clients; i++) {
        double loss = selection->clients[i].last_loss;

        weights[i] = loss >= 0 ? loss : mean;
    }
    status = flosim_draw(self->host, "select-probabilistic-high-loss", selection, NULL, weights,
                         flosim_over_select(selection, m, choice), choice);
    free(weights);
    return status;
}

static const struct flosim_param rows[] = {
    FLOSIM_PERCENTAGE_ROW(struct args, "Share of the selectable clients that a round takes, at least one."),
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_selector_ops flosim_selection_probabilistic_high_loss;
const struct flosim_selector_ops flosim_selection_probabilistic_high_loss = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_selection_probabilistic_high_loss,
    .name = "probabilistic_high_loss",
    .help = "Each round draws clients with probability proportional to their latest training loss. Who has not trained "
            "yet has the mean chance.",
    .params = &params,
    .state_size = sizeof(struct flosim_stateless),
    .init = flosim_stateless_init,
    .select = choose,
};
