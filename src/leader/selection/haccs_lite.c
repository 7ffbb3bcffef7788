/* HACCS (Wolfrath et al. 2022) without speed and loss: one client from each cluster of alike label histograms in turn.
 */
#include <flosim/label_clusters.h>
#include <flosim/selecting.h>

struct args {
    int64_t num_tiers;
    double percentage_client_selection;
};

/* Turns begin where those of the round before ended. Each takes the cluster's client of highest key that is left. */
static void choose_in_turn(const struct flosim_selection *selection, const struct flosim_label_clusters *labels,
                           const struct flosim_candidate *candidates, size_t num_candidates, size_t k,
                           struct flosim_choice *choice)
{
    size_t cluster = (size_t)selection->round * k % labels->num_clusters;

    while (k > 0) {
        for (size_t i = 0; i < num_candidates; i++) {
            if (labels->of[candidates[i].client] != cluster || choice->action[candidates[i].client] != FLOSIM_IDLE)
                continue;
            choice->action[candidates[i].client] = FLOSIM_TRAIN;
            k--;
            break;
        }
        cluster = (cluster + 1) % labels->num_clusters;
    }
}

static int choose_from_clusters(const struct flosim_stateless *self, const struct flosim_selection *selection,
                                const struct flosim_label_clusters *labels, struct flosim_choice *choice)
{
    const struct args *args = self->args;
    struct flosim_candidate *candidates = calloc(selection->num_clients + 1, sizeof *candidates);
    double *keys = calloc(selection->num_clients + 1, sizeof *keys);
    int status = candidates && keys ? FLOSIM_OK : FLOSIM_MEMORY;

    for (size_t i = 0; status == FLOSIM_OK && i < selection->num_clients; i++)
        keys[i] = flosim_draw_key(self->host, "select-haccs-lite", selection->clients[i].id,
                                  flosim_round_and_attempt(selection), 1);
    if (status == FLOSIM_OK) {
        size_t n = flosim_candidates(selection, NULL, keys, candidates);
        size_t k = flosim_over_select(selection, flosim_fraction_of(args->percentage_client_selection, n), choice);

        flosim_candidates_sort(candidates, n);
        choose_in_turn(selection, labels, candidates, n, k < n ? k : n, choice);
    }
    free(candidates);
    free(keys);
    return status;
}

static int choose(void *state, const struct flosim_selection *selection, struct flosim_choice *choice)
{
    const struct flosim_stateless *self = state;
    const struct args *args = self->args;
    struct flosim_label_clusters labels;
    int status;

    if (!flosim_may_begin(selection) || selection->num_clients == 0)
        return FLOSIM_OK;
    status = flosim_label_clusters_init(&labels, selection, (size_t)args->num_tiers);
    if (status == FLOSIM_OK)
        status = choose_from_clusters(self, selection, &labels, choice);
    flosim_label_clusters_fini(&labels);
    return status;
}

static const struct flosim_param rows[] = {
    FLOSIM_TIERS_ROW(struct args, "Clusters of label histograms; fewer where there are fewer different histograms."),
    FLOSIM_PERCENTAGE_ROW(struct args, "Share of the selectable clients that a round takes, at least one."),
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_selector_ops flosim_selection_haccs_lite;
const struct flosim_selector_ops flosim_selection_haccs_lite = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_selection_haccs_lite,
    .name = "haccs_lite",
    .help = "Clients with alike label histograms form a cluster; a round takes a random client of each cluster in turn "
            "until it has its share.",
    .params = &params,
    .state_size = sizeof(struct flosim_stateless),
    .flags = FLOSIM_USES_LABELS,
    .init = flosim_stateless_init,
    .select = choose,
};
