/* TiFL (Chai et al. 2020, arXiv 2001.09249) without credits and without validation on clients: tiers are ranked by the
 * latest training losses of their clients. */
#include <flosim/selecting.h>
#include <flosim/tiers.h>

struct args {
    int64_t num_tiers;
    double percentage_client_selection;
};

static double latest_loss(const struct flosim_client *client)
{
    return client->last_loss;
}

static int choose(void *state, const struct flosim_selection *selection, struct flosim_choice *choice)
{
    const struct flosim_stateless *self = state;
    const struct args *args = self->args;
    struct flosim_tiers tiers;
    size_t tier = 0;
    int status;

    if (!flosim_may_begin(selection))
        return FLOSIM_OK;
    if (selection->round == 0) {
        flosim_choose_all(selection, choice);
        return FLOSIM_OK;
    }
    status = flosim_tiers_init(&tiers, selection, (size_t)args->num_tiers);
    if (status == FLOSIM_OK)
        status = flosim_tiers_pick(self->host, "tier-tifl-lite", selection, &tiers, latest_loss, NULL, &tier);
    if (status == FLOSIM_OK)
        status = flosim_tiers_choose(
            self->host, "select-tifl-lite", selection, &tiers, tier,
            flosim_fraction_of(args->percentage_client_selection, flosim_tiers_count(&tiers, selection, tier)), choice);
    flosim_tiers_fini(&tiers);
    return status;
}

static const struct flosim_param rows[] = {
    FLOSIM_TIERS_ROW(struct args, "Tiers by latency; fewer where there are fewer different latencies."),
    FLOSIM_PERCENTAGE_ROW(struct args, "Share of the tier's selectable clients that a round takes, at least one."),
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_selector_ops flosim_selection_tifl_lite;
const struct flosim_selector_ops flosim_selection_tifl_lite = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_selection_tifl_lite,
    .name = "tifl_lite",
    .help = "The first round takes everybody; each later one draws a latency tier, the likelier the higher its mean "
            "latest training loss, and takes a share of it.",
    .params = &params,
    .state_size = sizeof(struct flosim_stateless),
    .flags = FLOSIM_USES_LATENCY,
    .init = flosim_stateless_init,
    .select = choose,
};
