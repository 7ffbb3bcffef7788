/* Power-of-choice: Cho et al. 2020 (arXiv 2010.01243). d candidates, drawn by their share of the data, tell the loss of
 * the global model on their data; the m of highest loss train. */
#include <flosim/selecting.h>

struct args {
    double client_fraction;
    int64_t d;
    int use_latest_loss;
};

/* Candidates stay the same while they validate: their keys know the round, not the attempt. Fills candidates [K]. */
static size_t draw_candidates(const struct flosim_stateless *self, const struct flosim_selection *selection, size_t d,
                              double *keys, struct flosim_candidate *candidates)
{
    size_t n;

    for (size_t i = 0; i < selection->num_clients; i++)
        keys[i] = flosim_draw_key(self->host, "power-of-choice", selection->clients[i].id, (uint64_t)selection->round,
                                  (double)selection->clients[i].num_samples);
    n = flosim_candidates(selection, NULL, keys, candidates);
    flosim_candidates_sort(candidates, n);
    return n < d ? n : d;
}

/* Returns how many still have to judge this model. */
static size_t validate(const struct flosim_selection *selection, const struct flosim_candidate *candidates, size_t n,
                       struct flosim_choice *choice)
{
    size_t missing = 0;

    for (size_t i = 0; i < n; i++) {
        if (selection->clients[candidates[i].client].validation_round == selection->round)
            continue;
        choice->action[candidates[i].client] = FLOSIM_VALIDATE;
        missing++;
    }
    return missing;
}

/* Not known: rpow-d takes it for infinite (who never trained is heard first), pow-d for the least (validation failed).
 */
static double loss_of(const struct args *args, const struct flosim_client *client)
{
    if (args->use_latest_loss)
        return client->last_loss >= 0 ? client->last_loss : HUGE_VAL;
    return client->validation_loss >= 0 ? client->validation_loss : -1;
}

static void choose_among(const struct args *args, const struct flosim_selection *selection,
                         struct flosim_candidate *candidates, size_t n, size_t m, struct flosim_choice *choice)
{
    if (!args->use_latest_loss && validate(selection, candidates, n, choice) > 0)
        return;
    for (size_t i = 0; i < n; i++)
        candidates[i].key = loss_of(args, &selection->clients[candidates[i].client]);
    flosim_candidates_sort(candidates, n);
    m = flosim_over_select(selection, m, choice);
    for (size_t i = 0; i < n && i < m; i++)
        choice->action[candidates[i].client] = FLOSIM_TRAIN;
}

static int choose(void *state, const struct flosim_selection *selection, struct flosim_choice *choice)
{
    const struct flosim_stateless *self = state;
    const struct args *args = self->args;
    size_t m = flosim_fraction_of(args->client_fraction, flosim_count_selectable(selection));
    size_t d = args->d == 0 ? 2 * m : (size_t)args->d > m ? (size_t)args->d : m;
    struct flosim_candidate *candidates;
    double *keys;
    int status;

    if (!flosim_may_begin(selection))
        return FLOSIM_OK;
    candidates = calloc(selection->num_clients + 1, sizeof *candidates);
    keys = calloc(selection->num_clients + 1, sizeof *keys);
    status = candidates && keys ? FLOSIM_OK : FLOSIM_MEMORY;
    if (status == FLOSIM_OK)
        choose_among(args, selection, candidates, draw_candidates(self, selection, d, keys, candidates), m, choice);
    free(keys);
    free(candidates);
    return status;
}

static const struct flosim_param rows[] = {
    {.name = "client_fraction",
     .type = FLOSIM_FRACTION,
     .offset = offsetof(struct args, client_fraction),
     .fallback = "0.1",
     .max = 1,
     .flags = FLOSIM_OURS,
     .help = "Share C of the selectable clients that a round trains: m = max(1, floor(C n))."},
    {.name = "d",
     .alias = "num_candidates",
     .type = FLOSIM_INT,
     .offset = offsetof(struct args, d),
     .fallback = "0",
     .max = 1e6,
     .flags = FLOSIM_OURS,
     .help = "Candidates of a round, at least m; 0: 2 m."},
    {.name = "use_latest_loss",
     .alias = "rpow_d",
     .type = FLOSIM_BOOL,
     .offset = offsetof(struct args, use_latest_loss),
     .fallback = "false",
     .flags = FLOSIM_OURS,
     .help = "rpow-d: go by the latest training losses instead of a validation by the candidates."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_selector_ops flosim_selection_power_of_choice;
const struct flosim_selector_ops flosim_selection_power_of_choice = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_selection_power_of_choice,
    .name = "power_of_choice",
    .help = "d candidates, drawn with probability proportional to their data, evaluate the global model; those of "
            "highest loss train.",
    .flags = FLOSIM_VALIDATES,
    .params = &params,
    .state_size = sizeof(struct flosim_stateless),
    .init = flosim_stateless_init,
    .select = choose,
};
