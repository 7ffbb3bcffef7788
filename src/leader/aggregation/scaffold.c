/* SCAFFOLD (Karimireddy et al. 2020, arXiv 1910.06378), option II. Clients add c - c_i to each gradient; then
 *     c_i+ = c_i - c + (x - y_i) / (a_i eta),  x <- x + eta_g mean(y_i - x),  c <- c + sum(c_i+ - c_i) / N.
 * a_i is the number K of local steps; with momentum it is what K steps weigh (flosim_steps_weight). The correction
 * goes through the momentum too, which would make K alone unstable: c - c_i would be multiplied by -rho / (1 - rho) in
 * each round.
 *
 * Clients stay stateless: the leader computes c_i+ and keeps it. Each client has two places in the store, of which one
 * holds the c_i that counts and the other the one of the round under way; so nothing of it is in memory or written
 * anew by save, and a leader that dies in a round finds what was. */
#include <stdio.h>

#include <flosim/averaging.h>
#include <flosim/strategy.h>

struct args {
    double server_learning_rate;
    int weighted;
};

enum { NONE = 2 }; /* no place */

struct control {
    char client[134];
    unsigned char place;   /* 0, 1: where its c_i is; NONE: it is zero */
    unsigned char pending; /* … the c_i+ of this round; NONE: it has not answered */
};

struct state {
    struct flosim_average average; /* of y_i - x */
    const struct args *args;
    struct flosim_exact_sum moved; /* [parameters] sum of c_i+ - c_i of the round */
    float *c, *own, *next;         /* [P] zero for buffers; c_i and c_i+ of the client in hand */
    struct control *controls;
    size_t num_controls, capacity;
    int64_t num_clients; /* N, of which c is the mean; 0 before the first round */
};

/* ---- the clients' control variates ---- */

static struct control *find(const struct state *self, const char *client)
{
    for (size_t i = 0; i < self->num_controls; i++)
        if (strcmp(self->controls[i].client, client) == 0)
            return &self->controls[i];
    return NULL;
}

static int reserve(struct state *self, size_t n)
{
    size_t capacity = self->capacity ? self->capacity : 16;
    struct control *more;

    while (capacity < n)
        capacity *= 2;
    more = realloc(self->controls, capacity * sizeof *more);
    if (!more)
        return self->average.host->explain(self->average.host, FLOSIM_MEMORY, "no memory for %zu clients", n);
    self->controls = more;
    self->capacity = capacity;
    return FLOSIM_OK;
}

static int find_or_add(struct state *self, const char *client, struct control **out)
{
    const struct flosim_host *host = self->average.host;
    int status;

    *out = find(self, client);
    if (*out)
        return FLOSIM_OK;
    if (strlen(client) >= sizeof(*out)->client)
        return host->explain(host, FLOSIM_TOO_LARGE, "the id of client %.20s… is too long", client);
    status = reserve(self, self->num_controls + 1);
    if (status != FLOSIM_OK)
        return status;
    *out = &self->controls[self->num_controls++];
    memset(*out, 0, sizeof **out);
    strcpy((*out)->client, client);
    (*out)->place = (*out)->pending = NONE;
    return FLOSIM_OK;
}

static void key_of(const struct state *self, const struct control *control, unsigned char place, char key[40])
{
    snprintf(key, 40, "client.%zu.%c", (size_t)(control - self->controls), 'a' + place);
}

/* Clients that never took part in a whole round are none of ours: they came last. */
static void trim(struct state *self)
{
    while (self->num_controls > 0 && self->controls[self->num_controls - 1].place == NONE &&
           self->controls[self->num_controls - 1].pending == NONE)
        self->num_controls--;
}

/* own = c_i. control may be NULL. */
static int load(struct state *self, const struct control *control)
{
    size_t size = self->average.host->num_parameters * sizeof *self->own;
    char key[40];

    if (!control || control->place == NONE) {
        memset(self->own, 0, size);
        return FLOSIM_OK;
    }
    key_of(self, control, control->place, key);
    return flosim_store_get_exactly(self->average.host, key, self->own, size);
}

/* ---- ops ---- */

static void fini(void *state)
{
    struct state *self = state;

    flosim_exact_sum_fini(&self->moved);
    free(self->c);
    free(self->own);
    free(self->next);
    free(self->controls);
    flosim_average_fini(state);
}

static int allocate(struct state *self, const struct flosim_host *host)
{
    size_t n = host->num_weights ? host->num_weights : 1;
    int status = flosim_average_init(&self->average, host);

    if (status == FLOSIM_OK)
        status = flosim_exact_sum_init(&self->moved, host->num_parameters);
    self->c = calloc(n, sizeof *self->c);
    self->own = calloc(n, sizeof *self->own);
    self->next = calloc(n, sizeof *self->next);
    if (status == FLOSIM_OK && self->c && self->own && self->next)
        return FLOSIM_OK;
    fini(self);
    return host->explain(host, FLOSIM_MEMORY, "no memory for control variates of %zu weights", host->num_weights);
}

static int init(void *state, const void *args, const struct flosim_host *host)
{
    struct state *self = state;

    self->args = args;
    if (host->training->nesterov || host->training->dampening != 0)
        return host->explain(host, FLOSIM_INVALID,
                             "scaffold knows what steps of plain momentum weigh, not nesterov or dampening");
    if (strcmp(host->training->optimizer, "sgd") == 0)
        return allocate(self, host);
    return host->explain(host, FLOSIM_INVALID, "scaffold corrects gradients of optimizer sgd only, not of %s",
                         host->training->optimizer);
}

static int prepare(void *state, const char *client, const struct flosim_round *round, struct flosim_request *request)
{
    struct state *self = state;
    int status = load(self, find(self, client));

    (void)round;
    if (status != FLOSIM_OK)
        return status;
    for (size_t i = 0; i < self->average.host->num_parameters; i++)
        self->next[i] = self->c[i] - self->own[i];
    request->correction = self->next;
    return FLOSIM_OK;
}

static void end_controls(struct state *self, int keep)
{
    for (size_t i = 0; i < self->num_controls; i++) {
        struct control *control = &self->controls[i];

        if (keep && control->pending != NONE)
            control->place = control->pending;
        control->pending = NONE;
    }
    trim(self);
    flosim_exact_sum_reset(&self->moved);
}

/* c stays the mean of all c_i when clients join or leave. */
static void move_c(struct state *self, const struct flosim_round *round)
{
    double known = (double)(round->num_clients > self->num_controls ? round->num_clients : self->num_controls);
    double before = (double)self->num_clients;

    for (size_t i = 0; i < self->moved.n; i++)
        self->c[i] = (float)((before * (double)self->c[i] + flosim_exact_sum_at(&self->moved, i)) / known);
    self->num_clients = (int64_t)known;
}

static int complete(struct state *self, const struct flosim_round *round, float *out)
{
    struct flosim_average *average = &self->average;
    double divisor = self->args->weighted ? (double)average->sum.total : (double)average->held;

    if (!flosim_average_is_complete(average, round))
        return FLOSIM_PENDING;
    move_c(self, round);
    end_controls(self, 1);
    return flosim_average_step(average, round->global, self->args->server_learning_rate / divisor, out);
}

/* own = c_i, next = c_i+. */
static int compute_next(struct state *self, const struct control *control, const struct flosim_update *update,
                        const float *x)
{
    double a = flosim_steps_weight(update->local_steps, self->average.host->training->momentum, 0);
    double scale = 1 / (a * update->learning_rate);
    int status = load(self, control);

    for (size_t i = 0; i < self->moved.n && status == FLOSIM_OK; i++)
        self->next[i] =
            (float)((double)self->own[i] - (double)self->c[i] + scale * ((double)x[i] - (double)update->weights[i]));
    return status;
}

static int refuse(const struct state *self, const struct control *control, const struct flosim_update *update)
{
    const struct flosim_host *host = self->average.host;

    if (update->local_steps < 1 || !(update->learning_rate > 0))
        return host->explain(host, FLOSIM_INVALID, "scaffold needs the number of local steps, which it does not tell");
    if (control->pending != NONE)
        return host->explain(host, FLOSIM_INVALID, "it has already answered in this round");
    return FLOSIM_OK;
}

/* The place is written before anything counts, so that a failure leaves all as it was. */
static int take(struct state *self, struct control *control, const struct flosim_update *update, const float *x)
{
    const struct flosim_host *host = self->average.host;
    unsigned char place = control->place == 0 ? 1 : 0;
    char key[40];
    int status = compute_next(self, control, update, x);

    if (status != FLOSIM_OK)
        return status;
    if (!(self->moved.bound + flosim_exact_reach(self->next, self->own, self->moved.n, 1) < FLOSIM_EXACT_LIMIT))
        return flosim_average_too_large(&self->average, FLOSIM_TOO_LARGE);
    key_of(self, control, place, key);
    status = host->store_put(host, key, self->next, self->moved.n * sizeof *self->next);
    if (status == FLOSIM_OK)
        status = flosim_average_add_change(&self->average, update, x,
                                           self->args->weighted ? (double)update->num_samples : 1, 0);
    if (status != FLOSIM_OK)
        return status;
    control->pending = place;
    return flosim_exact_sum_add_real(&self->moved, self->next, self->own, 1);
}

static int on_update(void *state, const struct flosim_update *update, const struct flosim_round *round, float *out)
{
    struct state *self = state;
    struct control *control;
    int status = find_or_add(self, update->client, &control);

    if (status == FLOSIM_OK)
        status = refuse(self, control, update);
    if (status == FLOSIM_OK)
        status = take(self, control, update, round->global);
    if (status == FLOSIM_OK)
        return complete(self, round, out);
    trim(self);
    return status;
}

static int on_failure(void *state, const char *client, const struct flosim_round *round, float *out)
{
    (void)client;
    return complete(state, round, out);
}

static void discard(void *state, uint32_t cohort)
{
    flosim_average_discard(state, cohort);
    end_controls(state, 0);
}

/* ---- the store ---- */

struct header {
    int64_t num_clients;
    uint64_t num_controls;
    double bound;
};

static int save(const void *state)
{
    const struct state *self = state;
    const struct flosim_host *host = self->average.host;
    struct header header = {self->num_clients, self->num_controls, self->moved.bound};
    int status = flosim_average_save(state);

    if (status == FLOSIM_OK)
        status = host->store_put(host, "scaffold", &header, sizeof header);
    if (status == FLOSIM_OK)
        status = host->store_put(host, "controls", self->controls, self->num_controls * sizeof *self->controls);
    if (status == FLOSIM_OK)
        status = host->store_put(host, "c", self->c, self->moved.n * sizeof *self->c);
    if (status == FLOSIM_OK)
        status = host->store_put(host, "moved", self->moved.sums,
                                 self->average.held ? self->moved.n * sizeof *self->moved.sums : 0);
    return status;
}

static int get_controls(struct state *self, uint64_t n)
{
    int status = n > SIZE_MAX / 2 / sizeof *self->controls ? FLOSIM_CORRUPT : FLOSIM_OK;

    if (status == FLOSIM_OK && n > 0)
        status = reserve(self, (size_t)n);
    if (status == FLOSIM_OK)
        status = flosim_store_get_exactly(self->average.host, "controls", self->controls,
                                          (size_t)n * sizeof *self->controls);
    self->num_controls = status == FLOSIM_OK ? (size_t)n : 0;
    return status;
}

static int restore(void *state)
{
    struct state *self = state;
    const struct flosim_host *host = self->average.host;
    struct header header;
    int status = flosim_store_get_exactly(host, "scaffold", &header, sizeof header);

    if (status == FLOSIM_OK)
        status = flosim_average_restore(state);
    if (status == FLOSIM_OK)
        status = get_controls(self, header.num_controls);
    if (status == FLOSIM_OK)
        status = flosim_store_get_exactly(host, "c", self->c, self->moved.n * sizeof *self->c);
    if (status == FLOSIM_OK)
        status = flosim_store_get_exactly(host, "moved", self->moved.sums,
                                          self->average.held ? self->moved.n * sizeof *self->moved.sums : 0);
    self->num_clients = status == FLOSIM_OK ? header.num_clients : 0;
    self->moved.bound = status == FLOSIM_OK ? header.bound : 0;
    return status;
}

static const struct flosim_param rows[] = {
    {.name = "server_learning_rate",
     .type = FLOSIM_DOUBLE,
     .offset = offsetof(struct args, server_learning_rate),
     .fallback = "1",
     .max = 1000,
     .flags = FLOSIM_OURS,
     .help = "Scales the server's step; 1 is the mean of the clients' models."},
    {.name = "weighted",
     .type = FLOSIM_BOOL,
     .offset = offsetof(struct args, weighted),
     .fallback = "false",
     .flags = FLOSIM_OURS,
     .help = "Weigh clients' models by their samples, as NIID-Bench does; false counts each alike, as the paper does."},
};

static const struct flosim_params params = {rows, sizeof rows / sizeof *rows, sizeof(struct args)};

extern const struct flosim_aggregator_ops flosim_aggregation_scaffold;
const struct flosim_aggregator_ops flosim_aggregation_scaffold = {
    .abi_version = FLOSIM_STRATEGY_ABI,
    .size = sizeof flosim_aggregation_scaffold,
    .name = "scaffold",
    .help =
        "Control variates correct the drift of each client's gradients towards its own data; the leader keeps them.",
    .params = &params,
    .state_size = sizeof(struct state),
    .flags = FLOSIM_WAITS_FOR_ALL | FLOSIM_ASKS_CLIENTS,
    .init = init,
    .on_update = on_update,
    .on_failure = on_failure,
    .held = flosim_average_held,
    .save = save,
    .restore = restore,
    .fini = fini,
    .prepare = prepare,
    .discard = discard,
};
