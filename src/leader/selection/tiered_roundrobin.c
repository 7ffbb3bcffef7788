/* The tiers in turn: all clients of a round are about equally fast, and every tier trains equally often. */
#include <flosim/selecting.h>
#include <flosim/tiers.h>

struct args {
    int64_t num_tiers;
    double percentage_client_selection;
};

/* The tier whose turn it is, or the next one that has somebody; num_tiers: none has. */
static size_t whose_turn(const struct flosim_selection *selection, const struct flosim_tiers *tiers)
{
    for (size_t i = 0; i < tiers->num_tiers; i++) {
        size_t tier = ((size_t)(selection->round - 1) + i) % tiers->num_tiers;

        if (flosim_tiers_count(tiers, selection, tier) > 0)
            return tier;
    }
    return tiers->num_tiers;
}

static int choose(void *state, const struct flosim_selection *selection, struct flosim_choice *choice)
{
    const struct flosim_stateless *self = state;
    const struct args *args = self->args;
    struct flosim_tiers tiers;
    size_t tier;
    int status;

    if (!flosim_may_begin(selection))
        return FLOSIM_OK;
    if (selection->round == 0) {
        flosim_choose_all(selection, choice);
        return FLOSIM_OK;
    }
    if (flosim_tiers_init(&tiers, selection, (size_t)args->num_tiers) != FLOSIM_OK)
        return FLOSIM_MEMORY;
    tier = whose_turn(selection, &tiers);
    status = flosim_tiers_choose(
        self->host, "select-tiered-roundrobin", selection, &tiers, tier,
        flosim_fraction_of(args->percentage_client_selection, flosim_tiers_count(&tiers, selection, tier)), choice);
    flosim_tiers_fini(&tiers);
    return status;
}

static const struct flosim_param rows[] = {
    FLOSIM_TIERS_ROW(struct args, "Tiers by latency; fewer where there are fewer different latencies."),
    FLOSIM_PERCENTAGE_ROW(struct args, "Share of the tier's selectable clients that a round takes, at least one."),
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_selector_ops flosim_selection_tiered_roundrobin;
const struct flosim_selector_ops flosim_selection_tiered_roundrobin = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_selection_tiered_roundrobin,
    .name = "tiered_roundrobin",
    .help = "The first round takes everybody; each later one takes a share of one latency tier, the tiers in turn from "
            "the fastest.",
    .params = &params,
    .state_size = sizeof(struct flosim_stateless),
    .flags = FLOSIM_USES_LATENCY,
    .init = flosim_stateless_init,
    .select = choose,
};
