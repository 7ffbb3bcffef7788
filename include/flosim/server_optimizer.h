/* Adaptive server optimizers (Reddi et al. 2021, arXiv 2003.00295, Algorithm 2): the mean change of the clients is a
 * pseudo-gradient d, and
 *     m <- beta1 m + (1 - beta1) d,  v <- rule(v, d^2),  x <- x + eta m / (sqrt(v) + tau),
 * with v = tau^2 at first and no bias correction. FedAdam, FedYogi and FedAdagrad differ in `rule`. d is the mean
 * weighted by samples; buffers are averaged. */
#ifndef FLOSIM_SERVER_OPTIMIZER_H
#define FLOSIM_SERVER_OPTIMIZER_H

#include <math.h>

#include <flosim/averaging.h>

struct flosim_adaptive_args {
    double eta, tau, beta1, beta2;
};

struct flosim_adaptive {
    struct flosim_average average; /* of n_k w_k */
    const struct flosim_adaptive_args *args;
    double (*rule)(double v, double square, double beta2);
    float *m, *v; /* [parameters] */
};

static inline void flosim_adaptive_fini(void *state)
{
    struct flosim_adaptive *self = state;

    free(self->m);
    free(self->v);
    flosim_average_fini(state);
}

static inline int flosim_adaptive_init(void *state, const void *args, const struct flosim_host *host,
                                       double (*rule)(double v, double square, double beta2))
{
    struct flosim_adaptive *self = state;
    size_t n = host->num_parameters;
    int status = flosim_average_init(&self->average, host);

    if (status != FLOSIM_OK)
        return status;
    self->args = args;
    self->rule = rule;
    self->m = calloc(n + 1, sizeof *self->m);
    self->v = calloc(n + 1, sizeof *self->v);
    if (!self->m || !self->v) {
        flosim_adaptive_fini(state);
        return host->explain(host, FLOSIM_MEMORY, "no memory for moments of %zu parameters", n);
    }
    for (size_t i = 0; i < n; i++)
        self->v[i] = (float)(self->args->tau * self->args->tau);
    return FLOSIM_OK;
}

static inline int flosim_adaptive_step(struct flosim_adaptive *self, const struct flosim_round *round, float *out)
{
    const struct flosim_adaptive_args *args = self->args;
    struct flosim_average *average = &self->average;

    if (!flosim_average_is_complete(average, round))
        return FLOSIM_PENDING;
    for (size_t i = 0; i < average->host->num_parameters; i++) {
        double x = (double)round->global[i];
        double d = flosim_exact_sum_at(&average->sum, i) / (double)average->sum.total - x;

        self->m[i] = (float)(args->beta1 * (double)self->m[i] + (1 - args->beta1) * d);
        self->v[i] = (float)self->rule((double)self->v[i], d * d, args->beta2);
        out[i] = (float)(x + args->eta * (double)self->m[i] / (sqrt((double)self->v[i]) + args->tau));
    }
    flosim_average_buffers(average, out);
    flosim_average_reset(average);
    return FLOSIM_READY;
}

static inline int flosim_adaptive_on_update(void *state, const struct flosim_update *update,
                                            const struct flosim_round *round, float *out)
{
    struct flosim_adaptive *self = state;
    int status = flosim_average_add_weights(&self->average, update);

    return status == FLOSIM_OK ? flosim_adaptive_step(self, round, out) : status;
}

static inline int flosim_adaptive_on_failure(void *state, const char *client, const struct flosim_round *round,
                                             float *out)
{
    (void)client;
    return flosim_adaptive_step(state, round, out);
}

static inline int flosim_adaptive_save(const void *state)
{
    const struct flosim_adaptive *self = state;
    const struct flosim_host *host = self->average.host;
    size_t size = host->num_parameters * sizeof *self->m;
    int status = flosim_average_save(state);

    if (status == FLOSIM_OK)
        status = host->store_put(host, "m", self->m, size);
    return status == FLOSIM_OK ? host->store_put(host, "v", self->v, size) : status;
}

static inline int flosim_adaptive_restore(void *state)
{
    struct flosim_adaptive *self = state;
    const struct flosim_host *host = self->average.host;
    size_t size = host->num_parameters * sizeof *self->m;
    int status = flosim_average_restore(state);

    if (status == FLOSIM_OK)
        status = flosim_store_get_exactly(host, "m", self->m, size);
    return status == FLOSIM_OK ? flosim_store_get_exactly(host, "v", self->v, size) : status;
}

/* ---- rows of arguments ---- */

#define FLOSIM_ADAPTIVE_ROW(field, value, largest, text)                                                               \
    {                                                                                                                  \
        .name = #field, .type = FLOSIM_DOUBLE, .offset = offsetof(struct flosim_adaptive_args, field),                 \
        .fallback = value, .max = largest, .flags = FLOSIM_OURS, .help = text                                          \
    }
#define FLOSIM_ETA_ROW(value) FLOSIM_ADAPTIVE_ROW(eta, value, 1000, "Learning rate of the server.")
/* Not 0: a weight that does not move would be 0 / 0. */
#define FLOSIM_TAU_ROW                                                                                                 \
    {                                                                                                                  \
        .name = "tau", .type = FLOSIM_DOUBLE, .offset = offsetof(struct flosim_adaptive_args, tau),                    \
        .fallback = "0.001", .min = 1e-12, .max = 1000, .flags = FLOSIM_OURS,                                          \
        .help = "Added to the root: the smaller, the more adaptive."                                                   \
    }
#define FLOSIM_BETA1_ROW(value) FLOSIM_ADAPTIVE_ROW(beta1, value, 0.999999, "Momentum of the mean change.")
#define FLOSIM_BETA2_ROW        FLOSIM_ADAPTIVE_ROW(beta2, "0.99", 0.999999, "Momentum of its square.")

#endif
