/* Oort: Lai et al. 2021 (OSDI, arXiv 2010.06081), Algorithm 1. Clients whose samples have a high loss are preferred
 * unless they are slow; some of a round are clients that never trained. Rounds R and L of the paper count from 1. */
#include <flosim/client_map.h>
#include <flosim/selecting.h>

struct args {
    double client_fraction;
    double exploration, exploration_decay, exploration_min;
    double round_penalty; /* alpha */
    double preferred_duration, pacer_delta;
    int64_t pacer_window;
    double clip, cut_off;
    int64_t blacklist_rounds;
};

struct state {
    const struct args *args;
    const struct flosim_host *host;
    struct flosim_client_map times; /* how often each was trained */
    struct pacer {
        int64_t next;       /* the first round that the pacer has not seen */
        double preferred;   /* the quantile of durations that T stands at */
        double recent, old; /* utility of the window under way, and of the one before */
    } pacer;
};

static int init(void *state, const void *args, const struct flosim_host *host)
{
    struct state *self = state;

    *self = (struct state){.args = args, .host = host};
    self->pacer.preferred = self->args->preferred_duration;
    return FLOSIM_OK;
}

/* ---- figures ---- */

/* U = |B| sqrt(mean of squared losses); negative for a client that never trained. */
static double utility_of(const struct flosim_client *client)
{
    double root = client->last_square_loss >= 0 ? sqrt(client->last_square_loss) : client->last_loss;

    return client->last_round >= 0 && root >= 0 ? (double)client->num_samples * root : -1;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* The smallest value that at least the share q of them do not exceed; `otherwise` where there are none. Sorts. */
static double quantile(double *values, size_t n, double q, double otherwise)
{
    size_t rank = (size_t)ceil(q * (double)n - 1e-9);

    if (n == 0)
        return otherwise;
    qsort(values, n, sizeof *values, compare_doubles);
    return values[rank < 1 ? 0 : rank - 1];
}

/* ---- the pacer ---- */

/* Once a round: the utility that the last one reached. When a window reached less than the one before, T grows: slower
 * clients are let in for their data. */
static void pace(struct state *self, const struct flosim_selection *selection)
{
    struct pacer *pacer = &self->pacer;
    int64_t window = self->args->pacer_window;

    if (selection->round < pacer->next)
        return;
    pacer->next = selection->round + 1;
    for (size_t i = 0; i < selection->num_clients && selection->round > 0; i++)
        if (selection->clients[i].last_round == selection->round - 1 && utility_of(&selection->clients[i]) > 0)
            pacer->recent += utility_of(&selection->clients[i]);
    if (selection->round == 0 || selection->round % window != 0)
        return;
    if (selection->round >= 2 * window && pacer->old > pacer->recent)
        pacer->preferred = fmin(1, pacer->preferred + self->args->pacer_delta);
    pacer->old = pacer->recent;
    pacer->recent = 0;
}

/* ---- exploitation ---- */

/* Fills values [K] with the clipped utilities of explored clients, with age and speed taken in; -1: never trained. */
static void judge(const struct state *self, const struct flosim_selection *selection, double *values, double *scratch)
{
    double round = (double)selection->round + 1, ceiling, preferred_s;
    size_t n = 0, timed = 0;

    for (size_t i = 0; i < selection->num_clients; i++)
        if (utility_of(&selection->clients[i]) >= 0)
            scratch[n++] = utility_of(&selection->clients[i]);
    ceiling = quantile(scratch, n, self->args->clip, 0);
    for (size_t i = 0; i < selection->num_clients; i++)
        if (utility_of(&selection->clients[i]) >= 0 && selection->clients[i].last_seconds >= 0)
            scratch[timed++] = selection->clients[i].last_seconds;
    preferred_s = quantile(scratch, timed, self->pacer.preferred, HUGE_VAL);
    for (size_t i = 0; i < selection->num_clients; i++) {
        const struct flosim_client *client = &selection->clients[i];

        values[i] = utility_of(client);
        if (values[i] < 0)
            continue;
        values[i] = fmin(values[i], ceiling) + sqrt(0.1 * log(round) / ((double)client->last_round + 1));
        if (client->last_seconds > preferred_s)
            values[i] *= pow(preferred_s / client->last_seconds, self->args->round_penalty);
    }
}

/* k of the explored clients marked, by utility among those above the cut-off: the share cut_off of the k-th best. */
static int exploit(const struct state *self, const struct flosim_selection *selection, const unsigned char *marked,
                   double *values, size_t k, struct flosim_choice *choice)
{
    struct flosim_candidate *best = calloc(selection->num_clients + 1, sizeof *best);
    unsigned char *admitted = calloc(selection->num_clients + 1, 1);
    int status = best && admitted ? FLOSIM_OK : FLOSIM_MEMORY;

    if (status == FLOSIM_OK && k > 0) {
        size_t n = flosim_candidates(selection, marked, values, best);
        double bar;

        flosim_candidates_sort(best, n);
        bar = n == 0 ? 0 : self->args->cut_off * best[k < n ? k - 1 : n - 1].key;
        for (size_t i = 0; i < n; i++)
            admitted[best[i].client] = best[i].key >= bar;
        status = flosim_draw(self->host, "exploit-oort", selection, admitted, values, k, choice);
    }
    free(best);
    free(admitted);
    return status;
}

/* ---- exploration ---- */

/* k of the clients marked, by speed; one of unknown speed counts as slow as the slowest. */
static int explore(const struct state *self, const struct flosim_selection *selection, const unsigned char *marked,
                   double *weights, size_t k, struct flosim_choice *choice)
{
    double slowest = 0;

    for (size_t i = 0; i < selection->num_clients; i++)
        slowest = fmax(slowest, selection->clients[i].seconds_per_batch);
    for (size_t i = 0; i < selection->num_clients; i++) {
        double latency = selection->clients[i].seconds_per_batch;

        weights[i] = slowest > 0 ? slowest / (latency > 0 ? latency : slowest) : 1;
    }
    return flosim_draw(self->host, "explore-oort", selection, marked, weights, k, choice);
}

/* ---- both ---- */

struct pool {
    unsigned char *explored, *unexplored, *resting; /* [K], disjoint */
    size_t num_explored, num_unexplored, num_resting;
};

static int pool_init(struct pool *pool, const struct state *self, const struct flosim_selection *selection)
{
    int64_t limit = self->args->blacklist_rounds;
    size_t n = selection->num_clients;

    *pool = (struct pool){.explored = calloc(n + 1, 1), .unexplored = calloc(n + 1, 1), .resting = calloc(n + 1, 1)};
    if (!pool->explored || !pool->unexplored || !pool->resting)
        return FLOSIM_MEMORY;
    for (size_t i = 0; i < n; i++) {
        const struct flosim_client *client = &selection->clients[i];

        if (!(client->flags & FLOSIM_SELECTABLE))
            continue;
        if (limit > 0 && flosim_client_map_get(&self->times, client->id, 0) >= limit)
            pool->num_resting += pool->resting[i] = 1;
        else if (utility_of(client) >= 0)
            pool->num_explored += pool->explored[i] = 1;
        else
            pool->num_unexplored += pool->unexplored[i] = 1;
    }
    return FLOSIM_OK;
}

static void pool_fini(struct pool *pool)
{
    free(pool->explored);
    free(pool->unexplored);
    free(pool->resting);
}

static double exploration_at(const struct args *args, int64_t round)
{
    return fmax(args->exploration_min, args->exploration * pow(args->exploration_decay, (double)round));
}

static size_t at_most(size_t n, size_t limit)
{
    return n < limit ? n : limit;
}

static int fill(const struct state *self, const struct flosim_selection *selection, const struct pool *pool, size_t k,
                double *values, double *scratch, struct flosim_choice *choice)
{
    double share = exploration_at(self->args, selection->round);
    size_t num_explore = at_most((size_t)floor(share * (double)k + 0.5), pool->num_unexplored);
    size_t num_exploit = at_most(k - num_explore, pool->num_explored);
    int status;

    num_explore = at_most(k - num_exploit, pool->num_unexplored);
    judge(self, selection, values, scratch);
    status = exploit(self, selection, pool->explored, values, num_exploit, choice);
    if (status == FLOSIM_OK)
        status = explore(self, selection, pool->unexplored, scratch, num_explore, choice);
    /* Who has trained too often comes only where the others are too few. */
    if (status == FLOSIM_OK)
        status = exploit(self, selection, pool->resting, values,
                         at_most(k - num_explore - num_exploit, pool->num_resting), choice);
    return status;
}

static int choose(void *state, const struct flosim_selection *selection, struct flosim_choice *choice)
{
    struct state *self = state;
    size_t m = flosim_fraction_of(self->args->client_fraction, flosim_count_selectable(selection));
    struct pool pool;
    double *values, *scratch;
    int status;

    if (!flosim_may_begin(selection))
        return FLOSIM_OK;
    pace(self, selection);
    values = calloc(selection->num_clients + 1, sizeof *values);
    scratch = calloc(selection->num_clients + 1, sizeof *scratch);
    status = pool_init(&pool, self, selection);
    if (!values || !scratch)
        status = FLOSIM_MEMORY;
    if (status == FLOSIM_OK)
        status = fill(self, selection, &pool, flosim_over_select(selection, m, choice), values, scratch, choice);
    free(values);
    free(scratch);
    pool_fini(&pool);
    return status;
}

static int on_result(void *state, const struct flosim_result *result)
{
    struct state *self = state;
    int64_t times;

    if (result->failed || result->action != FLOSIM_TRAIN || self->args->blacklist_rounds == 0)
        return FLOSIM_OK;
    times = flosim_client_map_get(&self->times, result->client->id, 0);
    return flosim_client_map_set(&self->times, result->client->id, times + 1);
}

/* ---- state ---- */

static int save(const void *state)
{
    const struct state *self = state;
    int status = self->host->store_put(self->host, "pacer", &self->pacer, sizeof self->pacer);

    return status != FLOSIM_OK ? status : flosim_client_map_save(&self->times, self->host, "times");
}

static int restore(void *state)
{
    struct state *self = state;
    struct pacer pacer;
    size_t size;
    int status = self->host->store_get(self->host, "pacer", &pacer, sizeof pacer, &size);

    if (status == FLOSIM_OK && size != sizeof pacer)
        status = self->host->explain(self->host, FLOSIM_CORRUPT, "the saved pacer has %zu bytes", size);
    if (status == FLOSIM_OK)
        status = flosim_client_map_restore(&self->times, self->host, "times");
    if (status == FLOSIM_OK)
        self->pacer = pacer;
    return status;
}

static void fini(void *state)
{
    flosim_client_map_fini(&((struct state *)state)->times);
}

static const struct flosim_param rows[] = {
    {.name = "client_fraction",
     .type = FLOSIM_FRACTION,
     .offset = offsetof(struct args, client_fraction),
     .fallback = "0.1",
     .max = 1,
     .flags = FLOSIM_OURS,
     .help = "Share C of the selectable clients that a round takes: K = max(1, floor(C n))."},
    {.name = "exploration",
     .type = FLOSIM_FRACTION,
     .offset = offsetof(struct args, exploration),
     .fallback = "0.9",
     .max = 1,
     .flags = FLOSIM_OURS,
     .help = "Epsilon of the first round: the share of it that goes to clients that never trained."},
    {.name = "exploration_decay",
     .type = FLOSIM_FRACTION,
     .offset = offsetof(struct args, exploration_decay),
     .fallback = "0.98",
     .max = 1,
     .flags = FLOSIM_OURS,
     .help = "Epsilon is multiplied by it each round."},
    {.name = "exploration_min",
     .type = FLOSIM_FRACTION,
     .offset = offsetof(struct args, exploration_min),
     .fallback = "0.2",
     .max = 1,
     .flags = FLOSIM_OURS,
     .help = "Epsilon does not fall below it."},
    {.name = "round_penalty",
     .alias = "alpha",
     .type = FLOSIM_DOUBLE,
     .offset = offsetof(struct args, round_penalty),
     .fallback = "2",
     .max = 100,
     .flags = FLOSIM_OURS,
     .help = "Alpha: a client that takes t > T seconds has its utility multiplied by (T / t)^alpha; 0: speed does not "
             "matter."},
    {.name = "preferred_duration",
     .type = FLOSIM_FRACTION,
     .offset = offsetof(struct args, preferred_duration),
     .fallback = "0.3",
     .max = 1,
     .flags = FLOSIM_OURS,
     .help = "T at the start, as a quantile of the durations of those that have trained."},
    {.name = "pacer_window",
     .type = FLOSIM_INT,
     .offset = offsetof(struct args, pacer_window),
     .fallback = "20",
     .min = 1,
     .max = 1e6,
     .flags = FLOSIM_OURS,
     .help = "W: so many rounds' utilities are compared with those of as many before."},
    {.name = "pacer_delta",
     .type = FLOSIM_FRACTION,
     .offset = offsetof(struct args, pacer_delta),
     .fallback = "0.05",
     .max = 1,
     .flags = FLOSIM_OURS,
     .help = "By so much T's quantile grows when the utility fell."},
    {.name = "clip",
     .type = FLOSIM_FRACTION,
     .offset = offsetof(struct args, clip),
     .fallback = "0.95",
     .max = 1,
     .flags = FLOSIM_OURS,
     .help = "Utilities are capped at this quantile of all, so that an outlier does not win every round."},
    {.name = "cut_off",
     .type = FLOSIM_FRACTION,
     .offset = offsetof(struct args, cut_off),
     .fallback = "0.95",
     .max = 1,
     .flags = FLOSIM_OURS,
     .help = "c: whoever has this share of the utility of the last that would be taken is in the draw."},
    {.name = "blacklist_rounds",
     .type = FLOSIM_INT,
     .offset = offsetof(struct args, blacklist_rounds),
     .fallback = "0",
     .max = 1e9,
     .flags = FLOSIM_OURS,
     .help = "A client that has trained so often is taken only where others are too few; 0: never."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_selector_ops flosim_selection_oort;
const struct flosim_selector_ops flosim_selection_oort = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_selection_oort,
    .name = "oort",
    .help =
        "Prefers clients whose samples have a high loss, unless they are slow, by Oort's utility; a falling share of "
        "each round goes to clients that never trained, fast ones first.",
    .params = &params,
    .state_size = sizeof(struct state),
    .flags = FLOSIM_USES_LATENCY,
    .init = init,
    .select = choose,
    .on_result = on_result,
    .save = save,
    .restore = restore,
    .fini = fini,
};
