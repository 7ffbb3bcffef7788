/* TiFL: Chai et al. 2020 (arXiv 2001.09249), adaptive selection. Tiers by latency; every few rounds the clients
 * validate the global model, and tiers with a high loss become likelier. Each round of a tier costs it a credit, which
 * bounds how often slow tiers hold up the training. */
#include <flosim/selecting.h>
#include <flosim/tiers.h>

struct args {
    int64_t num_tiers, num_clients, credits_per_tier, validation_round_interval;
};

struct state {
    const struct args *args;
    const struct flosim_host *host;
    int64_t credits[FLOSIM_MAX_COHORTS];
};

static int init(void *state, const void *args, const struct flosim_host *host)
{
    struct state *self = state;

    *self = (struct state){.args = args, .host = host};
    for (size_t t = 0; t < FLOSIM_MAX_COHORTS; t++)
        self->credits[t] = self->args->credits_per_tier;
    return FLOSIM_OK;
}

static double validation_loss(const struct flosim_client *client)
{
    return client->validation_loss;
}

/* At the interval: whoever has not judged this model yet. Returns how many are to. */
static size_t validate(const struct state *self, const struct flosim_selection *selection, struct flosim_choice *choice)
{
    size_t n = 0;

    if (selection->round % self->args->validation_round_interval != 0)
        return 0;
    for (size_t i = 0; i < selection->num_clients; i++) {
        const struct flosim_client *client = &selection->clients[i];

        if (!(client->flags & FLOSIM_SELECTABLE) || client->validation_round == selection->round)
            continue;
        choice->action[i] = FLOSIM_VALIDATE;
        n++;
    }
    return n;
}

static int is_broke(const struct state *self, const struct flosim_tiers *tiers)
{
    for (size_t t = 0; t < tiers->num_tiers; t++)
        if (self->credits[t] > 0)
            return 0;
    return 1;
}

static int train(struct state *self, const struct flosim_selection *selection, const struct flosim_tiers *tiers,
                 struct flosim_choice *choice)
{
    size_t tier, n;
    int status;

    if (is_broke(self, tiers))
        return self->host->explain(self->host, FLOSIM_STOP, "no tier has credits left (%lld each, %zu tiers)",
                                   (long long)self->args->credits_per_tier, tiers->num_tiers);
    status = flosim_tiers_pick(self->host, "tier-tifl", selection, tiers, validation_loss, self->credits, &tier);
    if (status != FLOSIM_OK || tier == tiers->num_tiers)
        return status;
    n = flosim_tiers_count(tiers, selection, tier);
    if ((size_t)self->args->num_clients < n)
        n = (size_t)self->args->num_clients;
    status = flosim_tiers_choose(self->host, "select-tifl", selection, tiers, tier, n, choice);
    if (status == FLOSIM_OK)
        self->credits[tier]--;
    return status;
}

static int choose(void *state, const struct flosim_selection *selection, struct flosim_choice *choice)
{
    struct state *self = state;
    struct flosim_tiers tiers;
    int status;

    if (!flosim_may_begin(selection) || validate(self, selection, choice) > 0)
        return FLOSIM_OK;
    status = flosim_tiers_init(&tiers, selection, (size_t)self->args->num_tiers);
    if (status == FLOSIM_OK)
        status = train(self, selection, &tiers, choice);
    flosim_tiers_fini(&tiers);
    return status;
}

static int save(const void *state)
{
    const struct state *self = state;

    return self->host->store_put(self->host, "credits", self->credits, sizeof self->credits);
}

static int restore(void *state)
{
    struct state *self = state;
    int64_t credits[FLOSIM_MAX_COHORTS];
    size_t size;
    int status = self->host->store_get(self->host, "credits", credits, sizeof credits, &size);

    if (status == FLOSIM_OK && size != sizeof credits)
        status = self->host->explain(self->host, FLOSIM_CORRUPT, "saved credits have %zu bytes", size);
    if (status == FLOSIM_OK)
        memcpy(self->credits, credits, sizeof credits);
    return status;
}

static const struct flosim_param rows[] = {
    FLOSIM_TIERS_ROW(struct args, "Tiers by latency; fewer where there are fewer different latencies."),
    {.name = "num_clients",
     .type = FLOSIM_INT,
     .offset = offsetof(struct args, num_clients),
     .fallback = "5",
     .min = 1,
     .max = 1e6,
     .help = "Clients that a round takes from its tier, or all that it has."},
    {.name = "credits_per_tier",
     .type = FLOSIM_INT,
     .offset = offsetof(struct args, credits_per_tier),
     .fallback = "1000000",
     .min = 1,
     .max = 1e9,
     .help = "How often a tier can be chosen; when no tier has credits left the session ends."},
    {.name = "validation_round_interval",
     .type = FLOSIM_INT,
     .offset = offsetof(struct args, validation_round_interval),
     .fallback = "10",
     .min = 1,
     .max = 1e9,
     .help = "Before rounds 0, this, twice this … all clients validate the global model on their own data."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_selector_ops flosim_selection_tifl;
const struct flosim_selector_ops flosim_selection_tifl = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_selection_tifl,
    .name = "tifl",
    .help = "Each round trains clients of one latency tier, drawn the likelier the higher the tier's loss was when its "
            "clients last validated the global model. Every choice costs the tier one of its credits.",
    .params = &params,
    .state_size = sizeof(struct state),
    .flags = FLOSIM_USES_LATENCY | FLOSIM_VALIDATES,
    .init = init,
    .select = choose,
    .save = save,
    .restore = restore,
};
