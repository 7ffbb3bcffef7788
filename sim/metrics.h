/* The figures of a run that expectations compare and the summary prints: one row each. */
#ifndef FLOSIM_SIM_METRICS_H
#define FLOSIM_SIM_METRICS_H

#include <stdbool.h>
#include <stddef.h>

#include "util/params.h"

/* NAN: the run produced no such figure. */
struct run_metrics {
    double rounds, lost_rounds, doubled_updates;
    double recoveries, recovery_s_max;
    double accuracy, best_accuracy, loss, train_loss, perplexity, mae, mse;
    double clients, clients_failed, clients_crashed;
    double wall_s, registration_s, round_s_p50, round_s_p95, round_s_max;
    double bytes_up, bytes_down;
    double updates_sent, updates_merged, updates_refused, updates_failed, updates_dropped;
    double refused_non_finite, refused_shape, refused_truncated, refused_stale, backed_off, backdoor_success;
    double pss_idle_mb, pss_training_mb, leader_rss_mb;
};

struct metric {
    const char *name;
    const char *unit;     /* shown behind a value; "" for counts */
    enum param_type type; /* how a value is written: PARAM_DOUBLE, PARAM_DURATION or PARAM_BYTES */
    int decimals;         /* when shown */
    size_t offset;        /* of a double in struct run_metrics */
    bool each_round;      /* known after each round too, not only at the end */
    const char *help;
};

extern const struct metric metric_table[];
extern const size_t num_metrics;

const struct metric *metric_find(const char *name); /* NULL: none */
const char *metric_nearest(const char *name);       /* NULL: none is near */
double metric_value(const struct metric *metric, const struct run_metrics *run);
void metric_text(const struct metric *metric, double value, char *text, size_t size); /* "83.21 %", "none" */

#endif
