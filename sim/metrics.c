#include "sim/metrics.h"

#include <math.h>
#include <string.h>

#define AT(member) offsetof(struct run_metrics, member)

// clang-format off
const struct metric metric_table[] = {
    {"rounds",          "",    PARAM_DOUBLE,   0, AT(rounds),          "Rounds that produced a new global model."},
    {"lost_rounds",     "",    PARAM_DOUBLE,   0, AT(lost_rounds),     "Rounds asked for that produced no new model."},
    {"doubled_updates", "",    PARAM_DOUBLE,   0, AT(doubled_updates), "Updates that were merged although they were in the model already, by the same leader or by the one before it."},
    {"recoveries",      "",    PARAM_DOUBLE,   0, AT(recoveries),      "How often the session went on with a new leader."},
    {"recovery_s_max",  "s",   PARAM_DURATION, 3, AT(recovery_s_max),  "Longest time from a leader's SIGKILL to the next selection by a new one."},
    {"accuracy",        "%",   PARAM_DOUBLE,   2, AT(accuracy),        "Accuracy of the global model at the last validation."},
    {"best_accuracy",   "%",   PARAM_DOUBLE,   2, AT(best_accuracy),   "The highest accuracy at any validation."},
    {"loss",            "",    PARAM_DOUBLE,   4, AT(loss),            "Loss of the global model at the last validation."},
    {"perplexity",      "",    PARAM_DOUBLE,   2, AT(perplexity),      "e^loss over tokens at the last validation; language models only."},
    {"mae",             "",    PARAM_DOUBLE,   4, AT(mae),             "Mean absolute error at the last validation; where values are predicted."},
    {"mse",             "",    PARAM_DOUBLE,   4, AT(mse),             "Mean squared error at the last validation; where values are predicted."},
    {"train_loss",      "",    PARAM_DOUBLE,   4, AT(train_loss),      "Mean training loss of the clients of the last round."},
    {"clients",         "",    PARAM_DOUBLE,   0, AT(clients),         "Clients that the run started with."},
    {"clients_failed",  "",    PARAM_DOUBLE,   0, AT(clients_failed),  "Clients that failed a request or whose process ended during the session."},
    {"clients_crashed", "",    PARAM_DOUBLE,   0, AT(clients_crashed), "Clients whose process ended although no fault asked for it."},
    {"wall_s",          "s",   PARAM_DURATION, 2, AT(wall_s),          "Wall time of the session, registration excluded."},
    {"registration_s",  "s",   PARAM_DURATION, 2, AT(registration_s),  "Wall time from the first fork until every client was registered."},
    {"round_s_p50",     "s",   PARAM_DURATION, 3, AT(round_s_p50),     "Median wall time of a round."},
    {"round_s_p95",     "s",   PARAM_DURATION, 3, AT(round_s_p95),     "95th percentile of the wall time of a round."},
    {"round_s_max",     "s",   PARAM_DURATION, 3, AT(round_s_max),     "Wall time of the longest round."},
    {"updates_sent",    "",    PARAM_DOUBLE,   0, AT(updates_sent),    "Training requests sent."},
    {"updates_merged",  "",    PARAM_DOUBLE,   0, AT(updates_merged),  "Updates merged into a global model."},
    {"updates_refused", "",    PARAM_DOUBLE,   0, AT(updates_refused), "Updates received but refused."},
    {"updates_failed",  "",    PARAM_DOUBLE,   0, AT(updates_failed),  "Training requests without a usable answer."},
    {"updates_dropped", "",    PARAM_DOUBLE,   0, AT(updates_dropped), "Updates not needed: surplus of over-selection, or of rounds without quorum."},
    {"pss_idle_mb",     "MiB", PARAM_DOUBLE,   2, AT(pss_idle_mb),     "Largest memory share of a sampled client when all are registered."},
    {"leader_rss_mb",   "MiB", PARAM_DOUBLE,   1, AT(leader_rss_mb),   "Largest resident memory of the leader, the shared validation data included."},
    {"pss_training_mb", "MiB", PARAM_DOUBLE,   2, AT(pss_training_mb), "Largest memory share of a sampled client at the end of a training."},
};
// clang-format on

const size_t num_metrics = sizeof metric_table / sizeof *metric_table;

const struct metric *metric_find(const char *name)
{
    for (size_t i = 0; i < num_metrics; i++)
        if (!strcmp(metric_table[i].name, name))
            return &metric_table[i];
    return NULL;
}

const char *metric_nearest(const char *name)
{
    const char *names[sizeof metric_table / sizeof *metric_table];

    for (size_t i = 0; i < num_metrics; i++)
        names[i] = metric_table[i].name;
    return nearest_word(name, names, num_metrics);
}

double metric_value(const struct metric *metric, const struct run_metrics *run)
{
    double value;

    memcpy(&value, (const char *)run + metric->offset, sizeof value);
    return value;
}

void metric_text(const struct metric *metric, double value, char *text, size_t size)
{
    if (isnan(value))
        snprintf(text, size, "none");
    else
        snprintf(text, size, "%.*f%s%s", metric->decimals, value, *metric->unit ? " " : "", metric->unit);
}

void metrics_help(FILE *out)
{
    for (size_t i = 0; i < num_metrics; i++)
        fprintf(out, "  %-16s %-4s %s\n", metric_table[i].name, metric_table[i].unit, metric_table[i].help);
}
