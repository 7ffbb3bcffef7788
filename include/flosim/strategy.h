/* The strategy interface: how a selection of clients, an aggregation of their updates or a termination rule is written,
 * inside flosim or outside of it. This header and the helpers beside it are all that a strategy includes.
 *
 * A member is one const ops struct. Every ops struct and every struct that is handed over begins with its size (ops:
 * with abi_version and size), so that later versions can append fields: use a field only where `size` covers it.
 *
 * Threads: every op of a session's strategies is called on that session's compute thread, one at a time, in the order
 * in which things happened. An op may take its time (nothing waits for it but this session) but must not keep pointers
 * that it was lent: whatever is passed to an op is borrowed for that call, except `args` and `host`, which live until
 * fini.
 *
 * Errors: an op returns a negative flosim_status and has said why with host->explain. After an error nothing has
 * changed.
 *
 * Repeatability: draw random numbers only from host->random_init (keyed by seed, purpose, client and round), and let
 * nothing depend on addresses or on the clock. Clients come sorted by id. Sums over clients belong into an exact sum
 * (flosim/exact_sum.h), which does not depend on the order in which answers come.
 *
 * Letters: P floats of the model's flat block, K clients. Rounds count from 0.
 *
 * A member outside of flosim is a shared object that exports its ops struct under the name of its kind:
 *     const struct flosim_selector_ops flosim_selector = {…};
 *     const struct flosim_aggregator_ops flosim_aggregator = {…};
 *     const struct flosim_termination_ops flosim_termination = {…}; */
#ifndef FLOSIM_STRATEGY_H
#define FLOSIM_STRATEGY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FLOSIM_STRATEGY_ABI 1u

enum flosim_status {
    FLOSIM_OK = 0,
    FLOSIM_PENDING = 0, /* aggregator: no new model yet */
    FLOSIM_READY = 1,   /* aggregator: `out` holds the new global model */
    FLOSIM_CONTINUE = 0,
    FLOSIM_TOO_FEW = 2, /* aggregator: the round is complete, but not with enough updates for a model (the reason was
                           given to host->explain): it is lost, what is held is discarded, and it is done anew */
    FLOSIM_STOP = 1,    /* termination, selector: end the session; the reason was given to host->explain */
    FLOSIM_INVALID = -1,
    FLOSIM_NOT_FOUND = -2,
    FLOSIM_CORRUPT = -5,
    FLOSIM_TOO_LARGE = -7, /* a value out of the range of exact sums, a key or value too long */
    FLOSIM_MEMORY = -13,
    FLOSIM_INTERNAL = -14,
};

/* ---- arguments -------------------------------------------------------------------------------------------------- */

enum flosim_param_type {
    FLOSIM_BOOL,     /* int: 0 or 1 */
    FLOSIM_INT,      /* int64_t */
    FLOSIM_DOUBLE,   /* double */
    FLOSIM_FRACTION, /* double in 0..1; written 0.3 or 30% */
    FLOSIM_DURATION, /* double, seconds; written 2min, 500ms, or a bare number */
    FLOSIM_STRING,   /* const char *; NULL where the value is null */
};

enum flosim_param_flags {
    FLOSIM_REQUIRED = 1,
    FLOSIM_OURS = 4, /* not an argument of Flotilla's member of that name */
};

/* One row per argument drives parsing, checking and help. */
struct flosim_param {
    const char *name;
    const char *alias; /* another accepted spelling, or NULL */
    enum flosim_param_type type;
    size_t offset;        /* in the member's own struct of arguments */
    const char *fallback; /* the default, as one would write it in YAML; NULL: zero */
    double min, max;      /* closed range of a number; both 0: any */
    unsigned flags;
    const char *help; /* one sentence */
};

struct flosim_params {
    const struct flosim_param *rows;
    size_t num_rows;
    size_t size; /* of the struct of arguments */
};

/* ---- host services ---------------------------------------------------------------------------------------------- */

enum flosim_log_level { FLOSIM_LOG_ERROR, FLOSIM_LOG_WARN, FLOSIM_LOG_INFO, FLOSIM_LOG_DEBUG };

struct flosim_random {
    uint64_t state[4];
};

/* One named tensor inside the flat block. */
struct flosim_tensor {
    const char *name;
    size_t offset, count; /* in floats */
    int is_buffer;        /* a running statistic, not a parameter */
};

/* How clients train in this session, as configured. */
struct flosim_training {
    int64_t num_epochs, batch_size, num_rounds;
    double learning_rate; /* before any schedule */
    const char *optimizer;
    double momentum, dampening; /* of sgd; 0 for the others */
    int nesterov;
};

struct flosim_host {
    uint32_t abi_version, size;
    void *handle; /* the host's own */

    uint64_t seed;      /* the session's */
    size_t num_weights; /* P: parameters first, then buffers */
    size_t num_parameters;
    const struct flosim_tensor *tensors;
    size_t num_tensors;
    const struct flosim_training *training;

    void (*log)(const struct flosim_host *host, enum flosim_log_level level, const char *format, ...);

    /* Say why an op fails (or why a termination stops) in one sentence; returns `status`. */
    int (*explain)(const struct flosim_host *host, int status, const char *format, ...);

    /* Random numbers from (the session's seed, purpose, client, round) and nothing else. `purpose` is a short fixed
     * word, `client` an id or "". */
    void (*random_init)(const struct flosim_host *host, struct flosim_random *random, const char *purpose,
                        const char *client, uint64_t round);
    uint64_t (*random_below)(struct flosim_random *random, uint64_t bound); /* uniform in [0, bound); bound > 0 */
    double (*random_uniform)(struct flosim_random *random);                 /* [0, 1) */
    double (*random_normal)(struct flosim_random *random);                  /* N(0, 1) */

    /* The member's own part of the state store; it survives the leader where the store does. Keys: letters, digits,
     * '.', '_', '-', at most 128 bytes. get: FLOSIM_NOT_FOUND; *size is the value's whole size, of which at most
     * `capacity` bytes were copied. */
    int (*store_put)(const struct flosim_host *host, const char *key, const void *data, size_t size);
    int (*store_get)(const struct flosim_host *host, const char *key, void *data, size_t capacity, size_t *size);
};

/* ---- selection of clients --------------------------------------------------------------------------------------- */

enum flosim_client_flags {
    FLOSIM_ACTIVE = 1,     /* in contact */
    FLOSIM_BUSY = 2,       /* has a request of this session in hand */
    FLOSIM_SELECTABLE = 4, /* may be chosen now: active, not busy, has the data set, speaks our encoding */
};

struct flosim_label {
    char name[64];
    double fraction;
};

struct flosim_client {
    const char *id;
    unsigned flags;
    int64_t num_samples;                           /* advertised for the session's data set */
    double seconds_per_batch;                      /* by the session's benchmark; negative: not known */
    int64_t last_round;                            /* the last one that it took part in; -1: none */
    double last_loss, last_accuracy, last_seconds; /* of its latest training; negative: none */
    double last_square_loss;                       /* mean over its samples of the squared loss; negative: not told */
    double validation_loss, validation_accuracy;   /* of its latest client-side validation; negative: none */
    int64_t validation_round;          /* version of the model of its latest validation, a failed one too; -1: none */
    const struct flosim_label *labels; /* only under FLOSIM_USES_LABELS; else NULL */
    size_t num_labels;
};

struct flosim_selection {
    uint32_t size;
    uint32_t attempt;    /* how many selections this version of the model has already had */
    int64_t round;       /* finished rounds = version of the global model */
    int64_t num_rounds;  /* that the session asks for */
    size_t num_training; /* clients that train now */
    size_t num_held;     /* updates that the aggregator holds and has not yet used */
    size_t num_clients;  /* K: all that are known, sorted by id */
    const struct flosim_client *clients;
    size_t num_validating; /* clients that validate now */
    double over_selection; /* >= 1: so many times the clients that a round needs are to be chosen */
};

enum flosim_action { FLOSIM_IDLE, FLOSIM_TRAIN, FLOSIM_VALIDATE };

enum { FLOSIM_MAX_COHORTS = 64 };

/* A selector's answer. Clients train in cohorts, each of which has rounds of its own: synchronous members have one (0),
 * tiered ones have one for each tier. Everything is zero on entry. */
struct flosim_choice {
    uint32_t size;
    uint32_t num_cohorts;  /* that the member works with; 0 counts as 1 */
    unsigned char *action; /* [K] enum flosim_action, for selectable clients */
    unsigned char *cohort; /* [K] < num_cohorts, of those that train */
    /* Of the cohorts chosen now: */
    size_t enough;   /* so many updates end the round, the other clients are let go; 0: it waits for everybody chosen */
    size_t at_least; /* the round is not over with fewer than these held, though nobody trains any more: more clients
                        will be chosen for it, and once nobody is chosen it ends with what is held; 0: it ends with what
                        there is */
};

struct flosim_result { /* what came of one client's work */
    uint32_t size;
    int failed; /* it did not answer, or its answer was refused */
    enum flosim_action action;
    int64_t round;                      /* version of the model that it worked on */
    const struct flosim_client *client; /* with the figures of this result */
};

enum flosim_selector_flags {
    /* Asked also while clients train (asynchronous and tiered members); without it only when nobody trains. */
    FLOSIM_SELECTS_WHILE_TRAINING = 1,
    FLOSIM_USES_LATENCY = 2, /* needs seconds_per_batch of the training model: refused without a benchmark of it */
    FLOSIM_USES_LABELS = 4,
    FLOSIM_VALIDATES = 16,      /* has clients validate the global model: they must hold data back for it */
    FLOSIM_KEEPS_UPDATES = 32,  /* updates of a round are not lost with the leader: where the state outlives it they are
                                   kept there until the round is over. When a leader takes the session up, select is
                                   asked anew for the interrupted round (attempt 0, nothing held), and whom it chooses
                                   again is answered for from there */
    FLOSIM_CHOOSES_COHORTS = 8, /* each cohort has synchronous rounds of its own */
    FLOSIM_SELECTS_ALL = 32,    /* takes whoever can be taken: there is nobody for over_selection to add */
};

struct flosim_selector_ops {
    uint32_t abi_version, size;
    const char *name;
    const char *help;                   /* the idea, in one to three sentences */
    const struct flosim_params *params; /* NULL: none */
    size_t state_size;                  /* the host allocates it zeroed */
    unsigned flags;

    int (*init)(void *state, const void *args, const struct flosim_host *host);

    /* Choose whom to train and whom to validate the global model on their data. Asked when a round starts, after each
     * answer and when a client comes back. Nobody chosen: wait. FLOSIM_STOP ends the session (explain says why). */
    int (*select)(void *state, const struct flosim_selection *selection, struct flosim_choice *choice);

    int (*on_result)(void *state, const struct flosim_result *result); /* NULL: not interested */

    /* Put state into the store, and take it from there into a fresh one (init was called). NULL: there is none. */
    int (*save)(const void *state);
    int (*restore)(void *state);
    void (*fini)(void *state); /* NULL: nothing to free */
};

/* ---- aggregation ------------------------------------------------------------------------------------------------ */

struct flosim_vector {
    const char *name;
    const float *values;
    size_t count;
};

struct flosim_metric {
    const char *name;
    double value;
};

/* One client's answer. Its weights were checked: P finite floats of the session's layout. */
struct flosim_update {
    uint32_t size;
    const char *client;
    int64_t base_version;                /* of the global model that it trained on */
    int64_t num_samples;                 /* behind it; > 0 and at most what it advertised */
    int64_t local_steps;                 /* mini-batches; 0: not told */
    const float *weights;                /* [P] */
    const struct flosim_vector *vectors; /* named auxiliary vectors */
    size_t num_vectors;
    const struct flosim_metric *metrics; /* "loss", "accuracy", "time_taken_s", "initial_loss"; negative: not told */
    size_t num_metrics;
    double num_epochs;    /* done, parts of one counted (host->training->num_epochs were asked for); 0: not told */
    double learning_rate; /* that it trained with */
    const float *base;    /* [P] the global model that it trained on; NULL without FLOSIM_USES_BASE */
};

struct flosim_round {
    uint32_t size;
    int64_t version;        /* of the global model: rounds finished */
    const float *global;    /* [P] the global model */
    size_t num_outstanding; /* clients that still train, without the one that this call is about */
    uint32_t cohort;        /* that the client of this call trains in */
    uint32_t num_cohorts;   /* at least 1 */
    int complete; /* this call is the last of the cohort's round: nobody else of it is waited for. The host decides that
                     (who was chosen, over-selection, deadline, quorum); members that work in rounds follow it */
    size_t num_clients; /* K: all that are known */
    size_t num_wanted;  /* updates that the cohort's round is to have: of all who were chosen, or as many as are enough;
                           0: not known */
};

enum flosim_aggregator_flags {
    FLOSIM_WAITS_FOR_ALL = 1, /* makes a model when a round is complete: cannot go with a selector that always keeps
                               * somebody training */
    FLOSIM_USES_BASE = 2,     /* needs update->base */
    FLOSIM_USES_COHORTS = 4,  /* makes a model when a cohort's round is complete */
    FLOSIM_ASKS_CLIENTS = 16, /* prepare asks for more than plain training */
    FLOSIM_BUFFERS = 8,       /* holds updates of several rounds: needs a selector that keeps somebody training */
    /* `prepare` judges by the round's num_wanted alone whether the rule can ever have enough updates: it is asked with
     * the number of all clients too, before there is a session. */
    FLOSIM_NEEDS_ENOUGH = 32,
};

/* What a member asks of a client besides plain training. The session ends with a reason when a client cannot do it. */
struct flosim_request {
    uint32_t size;
    int wants_initial_loss;  /* the mean loss of the global model on its training data, as metric "initial_loss" */
    double proximal_mu;      /* adds mu/2 |w - w_global|^2 to its objective; 0: not */
    const float *correction; /* [P], added to the gradient of each step (buffers are ignored); NULL: none. Borrowed
                                until the next op */
};

struct flosim_aggregator_ops {
    uint32_t abi_version, size;
    const char *name;
    const char *help;
    const struct flosim_params *params;
    size_t state_size;
    unsigned flags;

    int (*init)(void *state, const void *args, const struct flosim_host *host);

    /* One update came. FLOSIM_READY with out [P] filled (it does not overlap anything lent), FLOSIM_PENDING (`out` may
     * have been written), or FLOSIM_TOO_FEW. A negative status refuses this update. */
    int (*on_update)(void *state, const struct flosim_update *update, const struct flosim_round *round, float *out);

    /* A client failed, or its update was refused: the round may be complete without it. */
    int (*on_failure)(void *state, const char *client, const struct flosim_round *round, float *out);

    size_t (*held)(const void *state); /* updates taken and not yet part of a global model */
    int (*save)(const void *state);
    int (*restore)(void *state);
    void (*fini)(void *state);

    /* Before a client is sent its training: what else it is to do; *request is zero on entry. NULL: nothing. A negative
     * status ends the session. */
    int (*prepare)(void *state, const char *client, const struct flosim_round *round, struct flosim_request *request);

    /* Forget the updates held for the cohort's round: it missed its quorum and is done anew. NULL only for members that
     * never hold any. */
    void (*discard)(void *state, uint32_t cohort);
};

/* ---- termination ------------------------------------------------------------------------------------------------ */

struct flosim_progress {
    uint32_t size;
    int validated;      /* accuracy and loss are of this round */
    int64_t rounds;     /* finished, this one included */
    int64_t num_rounds; /* that the session asks for */
    double accuracy;    /* percent; NaN where the network predicts values instead of classes */
    double loss;
    double elapsed_s;      /* since the session began in this process */
    const float *global;   /* [P] the new global model */
    const float *previous; /* [P] the one before this round */
};

struct flosim_termination_ops {
    uint32_t abi_version, size;
    const char *name;
    const char *help;
    const struct flosim_params *params;
    size_t state_size;

    int (*init)(void *state, const void *args, const struct flosim_host *host);
    int (*check)(void *state, const struct flosim_progress *progress); /* after each round: FLOSIM_STOP or _CONTINUE */
    int (*save)(const void *state);
    int (*restore)(void *state);
    void (*fini)(void *state);
};

/* ---- help for writing them --------------------------------------------------------------------------------------- */

/* State of a fixed size under one key of the store. */
static inline int flosim_put_record(const struct flosim_host *host, const char *key, const void *record, size_t size)
{
    return host->store_put(host, key, record, size);
}

/* Fills the record, or says why not and leaves it as it was. */
static inline int flosim_get_record(const struct flosim_host *host, const char *key, void *record, size_t size)
{
    size_t found;
    int status = host->store_get(host, key, NULL, 0, &found);

    if (status != FLOSIM_OK)
        return status;
    if (found != size)
        return host->explain(host, FLOSIM_CORRUPT, "saved `%s` has %zu bytes instead of %zu", key, found, size);
    return host->store_get(host, key, record, size, &found);
}

/* Clients that may be chosen now. */
static inline size_t flosim_count_selectable(const struct flosim_selection *selection)
{
    size_t n = 0;

    for (size_t i = 0; i < selection->num_clients; i++)
        n += (selection->clients[i].flags & FLOSIM_SELECTABLE) != 0;
    return n;
}

/* max(1, floor(fraction * n)), and 0 of none: how many a client fraction means (McMahan et al. 2017, Algorithm 1). The
 * small term keeps 0.3 * 10 from becoming 2. */
static inline size_t flosim_fraction_of(double fraction, size_t n)
{
    size_t k = (size_t)(fraction * (double)n + 1e-9);

    if (n == 0)
        return 0;
    return k < 1 ? 1 : k > n ? n : k;
}

/* The value of a metric, or `fallback` where the client did not tell it. */
static inline double flosim_metric_of(const struct flosim_update *update, const char *name, double fallback)
{
    for (size_t i = 0; i < update->num_metrics; i++)
        if (strcmp(update->metrics[i].name, name) == 0)
            return update->metrics[i].value >= 0 ? update->metrics[i].value : fallback;
    return fallback;
}

/* A generator for this selection's draws: the same for the same seed, purpose, round and attempt. */
static inline void flosim_selection_random(const struct flosim_host *host, const struct flosim_selection *selection,
                                           const char *purpose, struct flosim_random *random)
{
    host->random_init(host, random, purpose, "", (uint64_t)selection->round | (uint64_t)selection->attempt << 40);
}

/* Mark k of the selectable clients that are still idle, uniformly at random (selection sampling, Knuth 3.4.2 S). */
static inline void flosim_choose(const struct flosim_host *host, struct flosim_random *random,
                                 const struct flosim_selection *selection, size_t k, enum flosim_action what,
                                 struct flosim_choice *choice)
{
    unsigned char *action = choice->action;
    size_t left = 0;

    for (size_t i = 0; i < selection->num_clients; i++)
        left += (selection->clients[i].flags & FLOSIM_SELECTABLE) && action[i] == FLOSIM_IDLE;
    for (size_t i = 0; i < selection->num_clients && k > 0; i++) {
        if (!(selection->clients[i].flags & FLOSIM_SELECTABLE) || action[i] != FLOSIM_IDLE)
            continue;
        if (host->random_below(random, left) < k) {
            action[i] = (unsigned char)what;
            k--;
        }
        left--;
    }
}

/* How many to choose for a round that needs k updates: more where the session over-selects, and then the first k end
 * it (choice->enough). */
static inline size_t flosim_over_select(const struct flosim_selection *selection, size_t k,
                                        struct flosim_choice *choice)
{
    double n = selection->over_selection * (double)k;

    if (!(n > (double)k))
        return k;
    choice->enough = k;
    return (size_t)(n + 1 - 1e-9);
}

/* k random clients for a synchronous round, over-selection included. */
static inline void flosim_choose_round(const struct flosim_host *host, struct flosim_random *random,
                                       const struct flosim_selection *selection, size_t k, struct flosim_choice *choice)
{
    flosim_choose(host, random, selection, flosim_over_select(selection, k, choice), FLOSIM_TRAIN, choice);
}

#endif
