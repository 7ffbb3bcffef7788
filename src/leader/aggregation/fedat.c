/* FedAT (Chai et al. 2021, arXiv 2010.05958): inside a tier (a cohort of clients about equally fast) synchronous
 * FedAvg; across tiers x <- sum W_m tier_m. Of M tiers ranked by how often they were updated, the one of rank r weighs
 * with the updates of the one of rank M + 1 - r, divided by all: fast tiers do not drown slow ones.
 *
 * A tier that has not yet finished a round has no model and no rank. Ties rank by the tier's number. Memory is 20 P
 * bytes a tier, however many clients. */
#include <stdio.h>

#include <flosim/averaging.h>
#include <flosim/strategy.h>

struct tier {
    struct flosim_average average; /* of its round under way */
    float *model;                  /* [P] of its latest round */
    int unsaved;                   /* the store has an older one */
};

struct state {
    const struct flosim_host *host;
    struct tier *tiers[FLOSIM_MAX_COHORTS]; /* NULL: nothing came of it yet */
    uint64_t updates[FLOSIM_MAX_COHORTS];   /* its finished rounds */
};

static int init(void *state, const void *args, const struct flosim_host *host)
{
    (void)args;
    ((struct state *)state)->host = host;
    return FLOSIM_OK;
}

static void free_tier(struct tier *tier)
{
    if (!tier)
        return;
    flosim_average_fini(&tier->average);
    free(tier->model);
    free(tier);
}

static int tier_of(struct state *self, uint32_t cohort, struct tier **out)
{
    const struct flosim_host *host = self->host;

    if (cohort >= FLOSIM_MAX_COHORTS)
        return host->explain(host, FLOSIM_INVALID, "tier %u; at most %d are possible", (unsigned)cohort,
                             FLOSIM_MAX_COHORTS);
    *out = self->tiers[cohort];
    if (*out)
        return FLOSIM_OK;
    *out = calloc(1, sizeof **out);
    if (*out && flosim_average_init(&(*out)->average, host) == FLOSIM_OK)
        (*out)->model = calloc(host->num_weights + 1, sizeof *(*out)->model);
    if (*out && (*out)->model) {
        self->tiers[cohort] = *out;
        return FLOSIM_OK;
    }
    free_tier(*out);
    return host->explain(host, FLOSIM_MEMORY, "no memory for a tier of %zu weights", host->num_weights);
}

/* ranked: the tiers that have a model, those with most updates first. */
static size_t rank_tiers(const struct state *self, size_t ranked[FLOSIM_MAX_COHORTS])
{
    size_t n = 0;

    for (size_t m = 0; m < FLOSIM_MAX_COHORTS; m++) {
        size_t i = n;

        if (!self->updates[m])
            continue;
        for (; i > 0 && self->updates[ranked[i - 1]] < self->updates[m]; i--)
            ranked[i] = ranked[i - 1];
        ranked[i] = m;
        n++;
    }
    return n;
}

static void mix_tiers(const struct state *self, float *out)
{
    size_t ranked[FLOSIM_MAX_COHORTS], n = rank_tiers(self, ranked);
    double total = 0;

    for (size_t r = 0; r < n; r++)
        total += (double)self->updates[ranked[r]];
    for (size_t i = 0; i < self->host->num_weights; i++) {
        double sum = 0;

        for (size_t r = 0; r < n; r++)
            sum += (double)self->updates[ranked[n - 1 - r]] * (double)self->tiers[ranked[r]]->model[i];
        out[i] = (float)(sum / total);
    }
}

static int complete(struct state *self, struct tier *tier, const struct flosim_round *round, float *out)
{
    if (flosim_average_mean(&tier->average, round, tier->model) != FLOSIM_READY)
        return FLOSIM_PENDING;
    tier->unsaved = 1;
    self->updates[round->cohort]++;
    mix_tiers(self, out);
    return FLOSIM_READY;
}

static int on_update(void *state, const struct flosim_update *update, const struct flosim_round *round, float *out)
{
    struct state *self = state;
    struct tier *tier;
    int status = tier_of(self, round->cohort, &tier);

    if (status == FLOSIM_OK)
        status = flosim_average_add_weights(&tier->average, update);
    return status == FLOSIM_OK ? complete(self, tier, round, out) : status;
}

static int on_failure(void *state, const char *client, const struct flosim_round *round, float *out)
{
    struct state *self = state;
    struct tier *tier;
    int status = tier_of(self, round->cohort, &tier);

    (void)client;
    return status == FLOSIM_OK ? complete(self, tier, round, out) : status;
}

static size_t held(const void *state)
{
    const struct state *self = state;
    uint64_t n = 0;

    for (size_t m = 0; m < FLOSIM_MAX_COHORTS; m++)
        n += self->tiers[m] ? self->tiers[m]->average.held : 0;
    return (size_t)n;
}

static void discard(void *state, uint32_t cohort)
{
    struct state *self = state;

    if (cohort < FLOSIM_MAX_COHORTS && self->tiers[cohort])
        flosim_average_reset(&self->tiers[cohort]->average);
}

/* ---- the store ---- */

struct keys {
    char header[32], sums[32], model[32];
};

static struct keys keys_of(size_t m)
{
    struct keys keys;

    snprintf(keys.header, sizeof keys.header, "tier.%zu.header", m);
    snprintf(keys.sums, sizeof keys.sums, "tier.%zu.sums", m);
    snprintf(keys.model, sizeof keys.model, "tier.%zu.model", m);
    return keys;
}

static int save_tier(const struct flosim_host *host, struct tier *tier, size_t m)
{
    struct keys keys = keys_of(m);
    int status = flosim_average_put(&tier->average, keys.header, keys.sums);

    if (status != FLOSIM_OK || !tier->unsaved)
        return status;
    status = host->store_put(host, keys.model, tier->model, host->num_weights * sizeof *tier->model);
    tier->unsaved = status != FLOSIM_OK;
    return status;
}

static int save(const void *state)
{
    const struct state *self = state;
    unsigned char known[FLOSIM_MAX_COHORTS];
    int status = FLOSIM_OK;

    for (size_t m = 0; m < FLOSIM_MAX_COHORTS && status == FLOSIM_OK; m++) {
        known[m] = self->tiers[m] != NULL;
        if (known[m])
            status = save_tier(self->host, self->tiers[m], m);
    }
    if (status == FLOSIM_OK)
        status = self->host->store_put(self->host, "updates", self->updates, sizeof self->updates);
    return status == FLOSIM_OK ? self->host->store_put(self->host, "known", known, sizeof known) : status;
}

static int restore_tier(struct state *self, uint32_t m)
{
    const struct flosim_host *host = self->host;
    struct keys keys = keys_of(m);
    struct tier *tier;
    int status = tier_of(self, m, &tier);

    if (status == FLOSIM_OK)
        status = flosim_average_get(&tier->average, keys.header, keys.sums);
    if (status == FLOSIM_OK && self->updates[m])
        status = flosim_store_get_exactly(host, keys.model, tier->model, host->num_weights * sizeof *tier->model);
    return status;
}

static void fini(void *state)
{
    struct state *self = state;

    for (size_t m = 0; m < FLOSIM_MAX_COHORTS; m++) {
        free_tier(self->tiers[m]);
        self->tiers[m] = NULL;
        self->updates[m] = 0;
    }
}

static int restore(void *state)
{
    struct state *self = state;
    unsigned char known[FLOSIM_MAX_COHORTS];
    int status = flosim_store_get_exactly(self->host, "known", known, sizeof known);

    if (status == FLOSIM_OK)
        status = flosim_store_get_exactly(self->host, "updates", self->updates, sizeof self->updates);
    for (uint32_t m = 0; m < FLOSIM_MAX_COHORTS && status == FLOSIM_OK; m++)
        if (known[m])
            status = restore_tier(self, m);
    for (size_t m = 0; m < FLOSIM_MAX_COHORTS && status == FLOSIM_OK; m++)
        if (self->updates[m] && !self->tiers[m])
            status = self->host->explain(self->host, FLOSIM_CORRUPT, "saved tier %zu has no model", m);
    if (status != FLOSIM_OK)
        fini(state);
    return status;
}

extern const struct flosim_aggregator_ops flosim_aggregation_fedat;
const struct flosim_aggregator_ops flosim_aggregation_fedat = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_aggregation_fedat,
    .name = "fedat",
    .help =
        "FedAvg inside each tier of equally fast clients, whose rounds go on independently; tiers that were updated "
        "less often weigh more.",
    .state_size = sizeof(struct state),
    .flags = FLOSIM_USES_COHORTS,
    .init = init,
    .on_update = on_update,
    .on_failure = on_failure,
    .held = held,
    .save = save,
    .restore = restore,
    .fini = fini,
    .discard = discard,
};
