#include "leader/strategy_host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/rng.h"

_Static_assert(sizeof(struct flosim_random) == sizeof(struct rng), "the public generator is ours");

enum { KEY_MAX = 128 };

static struct rng *rng_of(struct flosim_random *random)
{
    return (struct rng *)(void *)random;
}

static struct strategy_host *host_of(const struct flosim_host *services)
{
    return services->handle;
}

static void host_log(const struct flosim_host *services, enum flosim_log_level level, const char *format, ...)
{
    static const enum log_level levels[] = {LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG};
    const struct strategy_host *host = host_of(services);
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    log_write(host->log, levels[level], host->component, "%s", text);
}

static int host_explain(const struct flosim_host *services, int status, const char *format, ...)
{
    struct strategy_host *host = host_of(services);
    va_list args;

    host->explanation.status = status;
    va_start(args, format);
    vsnprintf(host->explanation.message, sizeof host->explanation.message, format, args);
    va_end(args);
    return status;
}

static void random_init(const struct flosim_host *services, struct flosim_random *random, const char *purpose,
                        const char *client, uint64_t round)
{
    rng_init(rng_of(random), services->seed, purpose, client, round);
}

static uint64_t random_below(struct flosim_random *random, uint64_t bound)
{
    return rng_below(rng_of(random), bound);
}

static double random_uniform(struct flosim_random *random)
{
    return rng_uniform(rng_of(random));
}

static double random_normal(struct flosim_random *random)
{
    return rng_normal(rng_of(random));
}

/* "<kind>.<member>.<key>": several members of a kind (terminations) share one store. */
static int full_key(struct strategy_host *host, const char *key, char text[2 * KEY_MAX])
{
    size_t length = strlen(key);

    if (length == 0 || length > KEY_MAX)
        return host_explain(&host->services, FLOSIM_TOO_LARGE, "a key of %zu bytes; 1 to %d are possible", length,
                            KEY_MAX);
    snprintf(text, 2 * KEY_MAX, "%s.%s", host->component, key);
    for (char *c = text; *c; c++)
        if (*c == ' ')
            *c = '.';
    return FLOSIM_OK;
}

static int store_put_value(const struct flosim_host *services, const char *key, const void *data, size_t size)
{
    struct strategy_host *host = host_of(services);
    char text[2 * KEY_MAX];

    if (full_key(host, key, text) != FLOSIM_OK)
        return FLOSIM_TOO_LARGE;
    return store_put(host->store, text, span_of(data, size), &host->explanation);
}

static int store_get_value(const struct flosim_host *services, const char *key, void *data, size_t capacity,
                           size_t *size)
{
    struct strategy_host *host = host_of(services);
    char text[2 * KEY_MAX];
    struct blob *value;
    int status;

    *size = 0;
    if (full_key(host, key, text) != FLOSIM_OK)
        return FLOSIM_TOO_LARGE;
    status = store_get(host->store, text, &value, &host->explanation);
    if (status != OK)
        return status;
    *size = blob_size(value);
    if (data && *size)
        memcpy(data, blob_bytes(value), *size < capacity ? *size : capacity);
    blob_unref(value);
    return FLOSIM_OK;
}

static int describe_tensors(struct strategy_host *host, const struct layout *layout, struct error *err)
{
    host->tensors = calloc(layout->num_tensors ? layout->num_tensors : 1, sizeof *host->tensors);
    if (!host->tensors)
        return FAIL(err, ERR_MEMORY, "no memory for the names of %zu tensors", layout->num_tensors);
    for (size_t i = 0; i < layout->num_tensors; i++) {
        const struct tensor_info *info = &layout->tensors[i];

        host->tensors[i] = (struct flosim_tensor){info->name, info->offset, info->count, info->role == TENSOR_BUFFER};
    }
    return OK;
}

static int host_init(struct strategy_host *host, const char *component, const struct strategy_base *base,
                     struct error *err)
{
    *host = (struct strategy_host){.log = base->log, .component = component, .store = base->store};
    if (describe_tensors(host, base->layout, err) != OK)
        return ERR_MEMORY;
    host->services = (struct flosim_host){
        .abi_version = FLOSIM_STRATEGY_ABI,
        .size = sizeof host->services,
        .handle = host,
        .seed = base->seed,
        .num_weights = base->layout->num_floats,
        .num_parameters = base->layout->num_parameters,
        .tensors = host->tensors,
        .num_tensors = base->layout->num_tensors,
        .training = base->training,
        .log = host_log,
        .explain = host_explain,
        .random_init = random_init,
        .random_below = random_below,
        .random_uniform = random_uniform,
        .random_normal = random_normal,
        .store_put = store_put_value,
        .store_get = store_get_value,
    };
    return OK;
}

int strategy_error(const struct strategy_host *host, int status, struct error *err)
{
    const char *said = host->explanation.message;

    return FAIL(err, status, "%s: %s", host->component, *said ? said : status_text(status));
}

/* What the three kinds share. `component` and the state are made here; the ops' init is called by the caller. */
static int prepare(struct strategy_host *host, void **state, size_t state_size, const char *kind, const char *name,
                   const struct strategy_base *base, struct error *err)
{
    char component[96];
    char *copy;

    snprintf(component, sizeof component, "%s %s", kind, name);
    copy = strdup(component);
    *state = calloc(1, state_size ? state_size : 1);
    if (!copy || !*state) {
        free(copy);
        return FAIL(err, ERR_MEMORY, "no memory for %s", component);
    }
    return host_init(host, copy, base, err);
}

static void host_fini(struct strategy_host *host)
{
    free((char *)(uintptr_t)host->component);
    free(host->tensors);
    *host = (struct strategy_host){0};
}

/* init and fini are the same text for each kind; only the types differ. */
#define DEFINE_KIND(kind, ops_type, word)                                                                              \
    static int kind##_begin(struct kind *self, const struct ops_type *ops, const struct strategy_args *args,           \
                            const struct strategy_base *base, struct error *err)                                       \
    {                                                                                                                  \
        int status;                                                                                                    \
                                                                                                                       \
        *self = (struct kind){0};                                                                                      \
        status = prepare(&self->host, &self->state, ops->state_size, word, ops->name, base, err);                      \
        if (status == OK) {                                                                                            \
            status = ops->init(self->state, strategy_args_values(args), &self->host.services);                         \
            if (status == FLOSIM_OK)                                                                                   \
                self->ops = ops;                                                                                       \
            else                                                                                                       \
                strategy_error(&self->host, status, err);                                                              \
        }                                                                                                              \
        return status;                                                                                                 \
    }                                                                                                                  \
                                                                                                                       \
    int kind##_init(struct kind *self, const struct ops_type *ops, struct strategy_args *args,                         \
                    const struct strategy_base *base, struct error *err)                                               \
    {                                                                                                                  \
        int status = kind##_begin(self, ops, args, base, err);                                                         \
                                                                                                                       \
        self->args = args;                                                                                             \
        if (status != OK)                                                                                              \
            kind##_fini(self);                                                                                         \
        return status;                                                                                                 \
    }                                                                                                                  \
                                                                                                                       \
    int kind##_try(const struct ops_type *ops, const struct strategy_args *args, const struct strategy_base *base,     \
                   struct error *err)                                                                                  \
    {                                                                                                                  \
        struct kind self;                                                                                              \
        int status = kind##_begin(&self, ops, args, base, err);                                                        \
                                                                                                                       \
        kind##_fini(&self);                                                                                            \
        return status;                                                                                                 \
    }                                                                                                                  \
                                                                                                                       \
    int kind##_again(struct kind *self, struct error *err)                                                             \
    {                                                                                                                  \
        const struct ops_type *ops = self->ops;                                                                        \
        int status;                                                                                                    \
                                                                                                                       \
        if (ops->fini)                                                                                                 \
            ops->fini(self->state);                                                                                    \
        self->ops = NULL;                                                                                              \
        memset(self->state, 0, ops->state_size);                                                                       \
        status = ops->init(self->state, strategy_args_values(self->args), &self->host.services);                       \
        if (status == FLOSIM_OK)                                                                                       \
            self->ops = ops;                                                                                           \
        return status == FLOSIM_OK ? OK : strategy_error(&self->host, status, err);                                    \
    }                                                                                                                  \
                                                                                                                       \
    void kind##_fini(struct kind *self)                                                                                \
    {                                                                                                                  \
        if (self->ops && self->ops->fini)                                                                              \
            self->ops->fini(self->state);                                                                              \
        free(self->state);                                                                                             \
        strategy_args_free(self->args);                                                                                \
        host_fini(&self->host);                                                                                        \
        *self = (struct kind){0};                                                                                      \
    }

DEFINE_KIND(selector, flosim_selector_ops, "selection")
DEFINE_KIND(aggregator, flosim_aggregator_ops, "aggregator")
DEFINE_KIND(termination, flosim_termination_ops, "termination")

int aggregator_try_round(const struct flosim_aggregator_ops *ops, const struct strategy_args *args,
                         const struct strategy_base *base, size_t num_clients, struct error *err)
{
    struct flosim_round round = {
        .size = sizeof round, .num_cohorts = 1, .num_wanted = num_clients, .num_clients = num_clients};
    struct flosim_request request = {.size = sizeof request};
    struct aggregator self;
    int status = aggregator_begin(&self, ops, args, base, err), judged = FLOSIM_OK;

    if (status == OK && num_clients > 0 && (ops->flags & FLOSIM_NEEDS_ENOUGH) && ops->prepare)
        judged = ops->prepare(self.state, "", &round, &request);
    if (judged < 0)
        status = strategy_error(&self.host, judged, err);
    aggregator_fini(&self);
    return status;
}

/* ---- the first selection, before there is a session ---- */

struct trial {
    struct flosim_client *clients;
    struct flosim_choice choice;
    char (*ids)[24];
};

static int trial_init(struct trial *trial, size_t n)
{
    *trial = (struct trial){.clients = calloc(n, sizeof *trial->clients),
                            .choice = {.size = sizeof trial->choice, .action = calloc(n, 1), .cohort = calloc(n, 1)},
                            .ids = calloc(n, sizeof *trial->ids)};
    if (!trial->clients || !trial->choice.action || !trial->choice.cohort || !trial->ids)
        return ERR_MEMORY;
    for (size_t i = 0; i < n; i++) {
        snprintf(trial->ids[i], sizeof trial->ids[i], "%09zu", i);
        trial->clients[i] = (struct flosim_client){.id = trial->ids[i],
                                                   .flags = FLOSIM_ACTIVE | FLOSIM_SELECTABLE,
                                                   .num_samples = 1,
                                                   .seconds_per_batch = 1,
                                                   .last_round = -1,
                                                   .last_loss = -1,
                                                   .last_accuracy = -1,
                                                   .last_seconds = -1,
                                                   .validation_loss = -1,
                                                   .last_square_loss = -1,
                                                   .validation_accuracy = -1,
                                                   .validation_round = -1};
    }
    return OK;
}

static void trial_fini(struct trial *trial)
{
    free(trial->clients);
    free(trial->choice.action);
    free(trial->choice.cohort);
    free(trial->ids);
}

/* The first round of most; of those that go by losses, latencies or labels, and of rounds that overlap, it tells
 * nothing. */
size_t selector_try_round(const struct flosim_selector_ops *ops, const struct strategy_args *args,
                          const struct strategy_base *base, size_t num_clients)
{
    enum { DEPENDS = FLOSIM_USES_LATENCY | FLOSIM_USES_LABELS | FLOSIM_VALIDATES | FLOSIM_SELECTS_WHILE_TRAINING };
    struct selector self;
    struct trial trial = {0};
    struct error ignored = ERROR_INIT;
    size_t found = 0;

    if (num_clients == 0 || (ops->flags & DEPENDS))
        return 0;
    if (selector_begin(&self, ops, args, base, &ignored) == OK && trial_init(&trial, num_clients) == OK) {
        struct flosim_selection selection = {.size = sizeof selection,
                                             .num_rounds = base->training->num_rounds,
                                             .over_selection = 1,
                                             .num_clients = num_clients,
                                             .clients = trial.clients};

        if (ops->select(self.state, &selection, &trial.choice) == FLOSIM_OK)
            for (size_t i = 0; i < num_clients; i++)
                found += trial.choice.action[i] == FLOSIM_TRAIN;
    }
    trial_fini(&trial);
    selector_fini(&self);
    return found;
}
