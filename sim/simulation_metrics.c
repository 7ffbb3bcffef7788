#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/simulation.h"

static double seconds(uint64_t from_ns, uint64_t to_ns)
{
    return from_ns && to_ns > from_ns ? (double)(to_ns - from_ns) * 1e-9 : NAN;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Nearest rank. */
static double quantile(const double *sorted, size_t n, double q)
{
    size_t rank = (size_t)ceil(q * (double)n);

    return n == 0 ? NAN : sorted[rank > 0 ? rank - 1 : 0];
}

static void round_times(const struct simulation *s, size_t n, struct run_metrics *out)
{
    double *times = calloc(n + 1, sizeof *times);
    size_t told = 0;

    for (size_t i = 0; times && i < n; i++)
        if (shared_round(s->shared, i)->merged > 0) /* a leader may die with a round on record and not told */
            times[told++] = shared_round(s->shared, i)->seconds;
    n = told;
    if (times)
        qsort(times, n, sizeof *times, compare_doubles);
    out->round_s_p50 = times ? quantile(times, n, 0.50) : NAN;
    out->round_s_p95 = times ? quantile(times, n, 0.95) : NAN;
    out->round_s_max = times ? quantile(times, n, 1.0) : NAN;
    free(times);
}

static void round_results(const struct simulation *s, size_t n, struct run_metrics *out)
{
    out->accuracy = out->best_accuracy = out->loss = out->train_loss = NAN;
    out->perplexity = out->mae = out->mse = NAN;
    for (size_t i = 0; i < n; i++) {
        const struct round_record *record = shared_round(s->shared, i);

        if (record->merged == 0)
            continue;
        out->train_loss = record->train_loss;
        if (!record->validated)
            continue;
        out->accuracy = record->accuracy;
        out->loss = record->loss;
        out->perplexity = record->perplexity;
        out->mae = record->mae;
        out->mse = record->mse;
        if (!(out->best_accuracy >= record->accuracy))
            out->best_accuracy = record->accuracy;
    }
}

static void clients(const struct simulation *s, struct run_metrics *out)
{
    int64_t training_kb = 0;

    out->clients = (double)s->num_clients;
    out->clients_crashed = (double)s->num_crashed;
    for (size_t i = 0; i < s->num_clients; i++) {
        const struct client_block *block = shared_client(s->shared, i);
        int64_t kb = atomic_load(&block->pss_training_kb);

        out->clients_failed += s->has_died[i] || atomic_load(&block->failures) > 0;
        training_kb = kb > training_kb ? kb : training_kb;
    }
    out->pss_idle_mb = s->pss_idle_kb ? (double)s->pss_idle_kb / 1024 : NAN;
    out->pss_training_mb = training_kb ? (double)training_kb / 1024 : NAN;
}

void simulation_metrics(const struct simulation *s, struct run_metrics *out)
{
    const struct leader_block *leader = shared_leader(s->shared);
    size_t n = atomic_load(&leader->rounds_finished);

    memset(out, 0, sizeof *out);
    out->rounds = (double)n;
    out->lost_rounds = (double)atomic_load(&leader->lost_rounds);
    out->doubled_updates = (double)atomic_load(&leader->doubled_updates);
    out->recoveries = (double)s->num_recoveries;
    out->recovery_s_max = s->num_recoveries ? s->recovery_s_max : NAN;
    out->wall_s = seconds(s->session_began_ns, s->session_ended_ns);
    out->registration_s = seconds(s->first_fork_ns, s->registered_ns);
    out->bytes_up = (double)atomic_load(&leader->bytes_up);
    out->bytes_down = (double)atomic_load(&leader->bytes_down);
    out->updates_sent = (double)atomic_load(&leader->updates_sent);
    out->updates_merged = (double)atomic_load(&leader->updates_merged);
    out->updates_refused = (double)atomic_load(&leader->updates_refused);
    out->refused_non_finite = (double)atomic_load(&leader->refused_for[REFUSED_NON_FINITE]);
    out->refused_shape = (double)atomic_load(&leader->refused_for[REFUSED_SHAPE]);
    out->refused_truncated = (double)atomic_load(&leader->refused_for[REFUSED_TRUNCATED]);
    out->refused_stale = (double)atomic_load(&leader->refused_for[REFUSED_STALE]);
    out->backed_off = (double)atomic_load(&leader->backed_off);
    out->backdoor_success = s->backdoor_success;
    out->updates_failed = (double)atomic_load(&leader->updates_failed);
    out->updates_dropped = (double)atomic_load(&leader->updates_dropped);
    out->leader_rss_mb = (double)atomic_load(&leader->peak_rss_kb) / 1024;
    round_times(s, n, out);
    round_results(s, n, out);
    clients(s, out);
}
