/* The tiers of FedAT: Chai et al. 2021 (arXiv 2010.05958). Each latency tier is a cohort with synchronous rounds of its
 * own; the tiers do not wait for each other. */
#include <flosim/client_map.h>
#include <flosim/selecting.h>
#include <flosim/tiers.h>

struct args {
    int64_t num_tiers, num_clients_selected_per_tier;
};

/* A tier keeps its clients: the aggregator counts the updates of each, and a round under way must not lose somebody to
 * another tier. Tiers are made anew only while there are fewer than asked for and nobody trains. */
struct state {
    const struct args *args;
    const struct flosim_host *host;
    struct flosim_client_map tier_of;
    uint64_t num_tiers; /* 0: not made yet */
};

static int init(void *state, const void *args, const struct flosim_host *host)
{
    *(struct state *)state = (struct state){.args = args, .host = host};
    return FLOSIM_OK;
}

static int make_tiers(struct state *self, const struct flosim_selection *selection)
{
    struct flosim_client_map tier_of = {0};
    struct flosim_tiers tiers;
    int status = flosim_tiers_init(&tiers, selection, (size_t)self->args->num_tiers);

    for (size_t i = 0; status == FLOSIM_OK && i < selection->num_clients; i++)
        if (flosim_knows_latency(&selection->clients[i]))
            status = flosim_client_map_set(&tier_of, selection->clients[i].id, tiers.of[i]);
    if (status == FLOSIM_OK) {
        flosim_client_map_fini(&self->tier_of);
        self->tier_of = tier_of;
        self->num_tiers = tiers.num_tiers;
    } else {
        flosim_client_map_fini(&tier_of);
    }
    flosim_tiers_fini(&tiers);
    return status;
}

/* The mean latency of a tier as its clients stand now; infinite where none is known. */
static double mean_latency(const struct state *self, const struct flosim_selection *selection, int64_t tier)
{
    double sum = 0, n = 0;

    for (size_t i = 0; i < selection->num_clients; i++)
        if (flosim_knows_latency(&selection->clients[i]) &&
            flosim_client_map_get(&self->tier_of, selection->clients[i].id, -1) == tier) {
            sum += selection->clients[i].seconds_per_batch;
            n++;
        }
    return n > 0 ? sum / n : HUGE_VAL;
}

/* Where a client without a tier belongs: to the nearest; without a latency to the last, and there it stays while it
 * works. */
static int64_t nearest_tier(const struct state *self, const struct flosim_selection *selection,
                            const struct flosim_client *client)
{
    int64_t nearest = (int64_t)self->num_tiers - 1;
    double least = HUGE_VAL;

    if (!flosim_knows_latency(client) || (client->flags & FLOSIM_BUSY))
        return nearest;
    for (int64_t t = 0; t < (int64_t)self->num_tiers; t++) {
        double distance = fabs(mean_latency(self, selection, t) - client->seconds_per_batch);

        if (distance < least) {
            least = distance;
            nearest = t;
        }
    }
    return nearest;
}

/* tier [K]. A client keeps its tier from when its latency is known. */
static int assign(struct state *self, const struct flosim_selection *selection, struct flosim_tiers *tiers)
{
    int status = FLOSIM_OK;

    *tiers = (struct flosim_tiers){.num_tiers = (size_t)self->num_tiers,
                                   .of = calloc(selection->num_clients + 1, sizeof *tiers->of)};
    if (!tiers->of)
        return FLOSIM_MEMORY;
    for (size_t i = 0; i < selection->num_clients && status == FLOSIM_OK; i++) {
        const struct flosim_client *client = &selection->clients[i];
        int64_t tier = flosim_client_map_get(&self->tier_of, client->id, -1);

        if (tier < 0) {
            tier = nearest_tier(self, selection, client);
            if (flosim_knows_latency(client) && !(client->flags & FLOSIM_BUSY))
                status = flosim_client_map_set(&self->tier_of, client->id, tier);
        }
        tiers->of[i] = (uint32_t)tier;
    }
    return status;
}

static int is_idle(const struct flosim_selection *selection, const struct flosim_tiers *tiers, size_t tier)
{
    for (size_t i = 0; i < selection->num_clients; i++)
        if (tiers->of[i] == tier && (selection->clients[i].flags & FLOSIM_BUSY))
            return 0;
    return 1;
}

static int choose_tier(const struct state *self, const struct flosim_selection *selection,
                       const struct flosim_tiers *tiers, size_t tier, struct flosim_choice *choice)
{
    int status = flosim_tiers_choose(self->host, "select-fedat", selection, tiers, tier,
                                     (size_t)self->args->num_clients_selected_per_tier, choice);

    for (size_t i = 0; i < selection->num_clients; i++)
        if (tiers->of[i] == tier && choice->action[i] == FLOSIM_TRAIN)
            choice->cohort[i] = (unsigned char)tier;
    return status;
}

static int choose(void *state, const struct flosim_selection *selection, struct flosim_choice *choice)
{
    struct state *self = state;
    struct flosim_tiers tiers = {0};
    int status = FLOSIM_OK;

    if (self->num_tiers == 0 || (self->num_tiers < (uint64_t)self->args->num_tiers && flosim_may_begin(selection)))
        status = make_tiers(self, selection);
    if (status == FLOSIM_OK)
        status = assign(self, selection, &tiers);
    choice->num_cohorts = (uint32_t)self->num_tiers;
    for (size_t t = 0; t < tiers.num_tiers && status == FLOSIM_OK; t++)
        if (is_idle(selection, &tiers, t))
            status = choose_tier(self, selection, &tiers, t, choice);
    flosim_tiers_fini(&tiers);
    return status;
}

static int save(const void *state)
{
    const struct state *self = state;
    int status = self->host->store_put(self->host, "num_tiers", &self->num_tiers, sizeof self->num_tiers);

    return status != FLOSIM_OK ? status : flosim_client_map_save(&self->tier_of, self->host, "tier_of");
}

static int restore(void *state)
{
    struct state *self = state;
    uint64_t num_tiers;
    size_t size;
    int status = self->host->store_get(self->host, "num_tiers", &num_tiers, sizeof num_tiers, &size);

    if (status == FLOSIM_OK && (size != sizeof num_tiers || num_tiers > (uint64_t)self->args->num_tiers))
        status = self->host->explain(self->host, FLOSIM_CORRUPT, "what is saved is not a number of tiers");
    if (status == FLOSIM_OK)
        status = flosim_client_map_restore(&self->tier_of, self->host, "tier_of");
    if (status == FLOSIM_OK)
        self->num_tiers = num_tiers;
    for (size_t i = 0; i < self->tier_of.n && status == FLOSIM_OK; i++)
        if (self->tier_of.entries[i].value < 0 || self->tier_of.entries[i].value >= (int64_t)num_tiers)
            status = self->host->explain(self->host, FLOSIM_CORRUPT, "a client is saved in a tier that is not there");
    return status;
}

static void fini(void *state)
{
    flosim_client_map_fini(&((struct state *)state)->tier_of);
}

static const struct flosim_param rows[] = {
    FLOSIM_TIERS_ROW(struct args, "Tiers by latency; fewer where there are fewer different latencies."),
    {.name = "num_clients_selected_per_tier",
     .type = FLOSIM_INT,
     .offset = offsetof(struct args, num_clients_selected_per_tier),
     .fallback = "5",
     .min = 1,
     .max = 1e6,
     .help = "Clients that a tier's round takes, or all that the tier has."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_selector_ops flosim_selection_fedat;
const struct flosim_selector_ops flosim_selection_fedat = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_selection_fedat,
    .name = "fedat",
    .help = "Clients are put into tiers by latency; each tier runs synchronous rounds of its own at its own pace and "
            "takes so many random clients each time.",
    .params = &params,
    .state_size = sizeof(struct state),
    .flags = FLOSIM_SELECTS_WHILE_TRAINING | FLOSIM_USES_LATENCY | FLOSIM_CHOOSES_COHORTS,
    .init = init,
    .select = choose,
    .save = save,
    .restore = restore,
    .fini = fini,
};
