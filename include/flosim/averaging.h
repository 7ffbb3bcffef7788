/* What aggregators that average have in common: the exact sums of one round, their place in the store, and the ops that
 * follow from them. A member's state begins with a struct flosim_average, so that held, discard and fini can be taken
 * from here; save and restore too where there is nothing else to keep.
 *
 * P floats are parameters first, then buffers (running statistics). Members that sum changes of parameters still
 * average the buffers themselves, weighted by samples: a statistic is no step of an optimizer.
 *
 * Memory is 16 P bytes, however many clients answer. */
#ifndef FLOSIM_AVERAGING_H
#define FLOSIM_AVERAGING_H

#include <flosim/exact_sum.h>
#include <flosim/strategy.h>

struct flosim_average {
    const struct flosim_host *host;
    struct flosim_exact_sum sum;       /* [P]; its total is the number of samples */
    struct flosim_exact_scalar beside; /* another sum over the clients, of the member's choice */
    uint64_t held;                     /* updates in it */
};

static inline int flosim_average_init(struct flosim_average *average, const struct flosim_host *host)
{
    *average = (struct flosim_average){.host = host};
    if (flosim_exact_sum_init(&average->sum, host->num_weights) != FLOSIM_OK)
        return host->explain(host, FLOSIM_MEMORY, "no memory for sums of %zu weights", host->num_weights);
    return FLOSIM_OK;
}

static inline void flosim_average_reset(struct flosim_average *average)
{
    flosim_exact_sum_reset(&average->sum);
    average->beside = (struct flosim_exact_scalar){0};
    average->held = 0;
}

static inline int flosim_average_too_large(const struct flosim_average *average, int status)
{
    return average->host->explain(average->host, status, "weights times samples leave the range of exact sums");
}

/* + n_k w_k, of parameters and buffers. A status < 0 is explained, and nothing changed. */
static inline int flosim_average_add_weights(struct flosim_average *average, const struct flosim_update *update)
{
    int status = flosim_exact_sum_add(&average->sum, update->weights, update->num_samples);

    if (status != FLOSIM_OK)
        return flosim_average_too_large(average, status);
    average->held++;
    return FLOSIM_OK;
}

/* + factor (w_k - x) of parameters, + n_k w_k of buffers, and `beside` to the sum beside. x [P] as a rule the global
 * model. A status < 0 is explained, and nothing changed. */
static inline int flosim_average_add_change(struct flosim_average *average, const struct flosim_update *update,
                                            const float *x, double factor, double beside)
{
    struct flosim_exact_sum *sum = &average->sum;
    struct flosim_exact_scalar scalar = average->beside;
    size_t n = average->host->num_parameters;
    uint32_t largest = flosim_largest_bits(update->weights + n, sum->n - n);
    double reach = flosim_exact_reach(update->weights, x, n, factor);
    float buffer;

    memcpy(&buffer, &largest, sizeof buffer);
    if ((double)buffer * (double)update->num_samples > reach)
        reach = (double)buffer * (double)update->num_samples;
    if (!(sum->bound + reach < FLOSIM_EXACT_LIMIT) || flosim_exact_scalar_add(&scalar, beside) != FLOSIM_OK ||
        largest >= 0x7f800000u || update->num_samples <= 0 || update->num_samples > INT32_MAX)
        return flosim_average_too_large(average, FLOSIM_TOO_LARGE);
    for (size_t i = 0; i < n; i++)
        sum->sums[i] += flosim_exact_of(factor * ((double)update->weights[i] - (double)x[i]));
    for (size_t i = n; i < sum->n; i++)
        sum->sums[i] += flosim_exact_term(update->weights[i], update->num_samples);
    sum->bound += reach;
    sum->total += update->num_samples;
    average->beside = scalar;
    average->held++;
    return FLOSIM_OK;
}

/* out's buffers = their mean; its parameters stay as they are. */
static inline void flosim_average_buffers(const struct flosim_average *average, float *out)
{
    for (size_t i = average->host->num_parameters; i < average->sum.n; i++)
        out[i] = (float)(flosim_exact_sum_at(&average->sum, i) / (double)average->sum.total);
}

/* out = x + scale * sum for parameters, the mean for buffers; then the sums are empty. */
static inline int flosim_average_step(struct flosim_average *average, const float *x, double scale, float *out)
{
    for (size_t i = 0; i < average->host->num_parameters; i++)
        out[i] = (float)((double)x[i] + scale * flosim_exact_sum_at(&average->sum, i));
    flosim_average_buffers(average, out);
    flosim_average_reset(average);
    return FLOSIM_READY;
}

/* Is it time for a model? */
static inline int flosim_average_is_complete(const struct flosim_average *average, const struct flosim_round *round)
{
    return round->complete && average->held > 0;
}

/* The weighted mean of everything once the round is complete (McMahan et al. 2017, Algorithm 1). */
static inline int flosim_average_mean(struct flosim_average *average, const struct flosim_round *round, float *out)
{
    if (!flosim_average_is_complete(average, round))
        return FLOSIM_PENDING;
    flosim_exact_sum_mean(&average->sum, out);
    flosim_average_reset(average);
    return FLOSIM_READY;
}

/* ---- what local steps weigh ---- */

/* |a|_1 of Wang et al. 2020: local SGD with momentum rho moves by -learning rate times the sum of a_j g_j over its
 * gradients; this is the sum of a_j. rho = 0: the number of steps. `shrink` is learning rate times mu of a proximal
 * term, which pulls each step's result back. */
static inline double flosim_steps_weight(int64_t steps, double rho, double shrink)
{
    double velocity = 0, moved = 0;

    for (int64_t i = 0; i < steps; i++) {
        velocity = rho * velocity + 1 - shrink * moved;
        moved += velocity;
    }
    return moved;
}

/* ---- stragglers: count what they got done, or not ---- */

#define FLOSIM_DROP_PARTIAL_ROW(args_type, field)                                                                      \
    {                                                                                                                  \
        .name = "drop_partial", .type = FLOSIM_BOOL, .offset = offsetof(args_type, field), .fallback = "false",        \
        .flags = FLOSIM_OURS,                                                                                          \
        .help = "Refuse updates of clients that did fewer epochs than asked for, as the FedAvg baseline of Li et al. " \
                "2020 does; false counts partial work."                                                                \
    }

/* FLOSIM_OK for the whole work, or where the client did not tell; else FLOSIM_INVALID, explained. */
static inline int flosim_refuse_partial(const struct flosim_host *host, const struct flosim_update *update)
{
    if (update->num_epochs <= 0 || update->num_epochs > (double)host->training->num_epochs - 1e-6)
        return FLOSIM_OK;
    return host->explain(host, FLOSIM_INVALID, "it did %.3g of %lld epochs, and drop_partial is set",
                         update->num_epochs, (long long)host->training->num_epochs);
}

/* ---- ops of members whose state begins with a struct flosim_average ---- */

static inline size_t flosim_average_held(const void *state)
{
    return (size_t)((const struct flosim_average *)state)->held;
}

static inline void flosim_average_discard(void *state, uint32_t cohort)
{
    (void)cohort;
    flosim_average_reset(state);
}

static inline void flosim_average_fini(void *state)
{
    flosim_exact_sum_fini(&((struct flosim_average *)state)->sum);
}

/* ---- the store ---- */

struct flosim_average_record {
    struct flosim_exact_scalar beside;
    uint64_t held;
    int64_t total;
    double bound;
};

/* Put the sums under two keys; between rounds, when there are none, that is a few bytes. */
static inline int flosim_average_put(const struct flosim_average *average, const char *key, const char *sums_key)
{
    const struct flosim_host *host = average->host;
    struct flosim_average_record record;
    int status;

    memset(&record, 0, sizeof record);
    record.beside = average->beside;
    record.held = average->held;
    record.total = average->sum.total;
    record.bound = average->sum.bound;
    status = host->store_put(host, key, &record, sizeof record);
    if (status != FLOSIM_OK)
        return status;
    return host->store_put(host, sums_key, average->sum.sums,
                           average->held ? average->sum.n * sizeof *average->sum.sums : 0);
}

/* A value of exactly `size` bytes, or an explained status. */
static inline int flosim_store_get_exactly(const struct flosim_host *host, const char *key, void *data, size_t size)
{
    size_t found;
    int status = host->store_get(host, key, data, size, &found);

    if (status == FLOSIM_OK && found != size)
        return host->explain(host, FLOSIM_CORRUPT, "saved %s has %zu bytes, not %zu", key, found, size);
    return status;
}

static inline int flosim_average_get(struct flosim_average *average, const char *key, const char *sums_key)
{
    const struct flosim_host *host = average->host;
    struct flosim_average_record record;
    int status = flosim_store_get_exactly(host, key, &record, sizeof record);

    if (status != FLOSIM_OK)
        return status;
    status = flosim_store_get_exactly(host, sums_key, average->sum.sums,
                                      record.held ? average->sum.n * sizeof *average->sum.sums : 0);
    if (status != FLOSIM_OK) {
        flosim_average_reset(average);
        return status;
    }
    average->beside = record.beside;
    average->held = record.held;
    average->sum.total = record.total;
    average->sum.bound = record.bound;
    return FLOSIM_OK;
}

static inline int flosim_average_save(const void *state)
{
    return flosim_average_put(state, "header", "sums");
}

static inline int flosim_average_restore(void *state)
{
    return flosim_average_get(state, "header", "sums");
}

#endif
