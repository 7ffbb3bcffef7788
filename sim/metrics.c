#include "sim/metrics.h"

#include <math.h>
#include <string.h>

#define AT(member) offsetof(struct run_metrics, member)

// clang-format off
const struct metric metric_table[] = {
    {"rounds",          "",    PARAM_DOUBLE,   0, AT(rounds), true, "Rounds that produced a new global model."},
    {"lost_rounds",     "",    PARAM_DOUBLE,   0, AT(lost_rounds), false, "Rounds asked for that produced no new model."},
    {"doubled_updates", "",    PARAM_DOUBLE,   0, AT(doubled_updates), false, "Updates that were merged although they were in the model already, by the same leader or by the one before it."},
    {"recoveries",      "",    PARAM_DOUBLE,   0, AT(recoveries), false, "How often the session went on with a new leader."},
    {"recovery_s_max",  "s",   PARAM_DURATION, 3, AT(recovery_s_max), false, "Longest time from a leader's SIGKILL to the next selection by a new one."},
    {"accuracy",        "%",   PARAM_DOUBLE,   2, AT(accuracy), true, "Accuracy of the global model at the last validation."},
    {"best_accuracy",   "%",   PARAM_DOUBLE,   2, AT(best_accuracy), true, "The highest accuracy at any validation."},
    {"loss",            "",    PARAM_DOUBLE,   4, AT(loss), true, "Loss of the global model at the last validation."},
    {"perplexity",      "",    PARAM_DOUBLE,   2, AT(perplexity), true, "e^loss over tokens at the last validation; language models only."},
    {"mae",             "",    PARAM_DOUBLE,   4, AT(mae), true, "Mean absolute error at the last validation; where values are predicted."},
    {"mse",             "",    PARAM_DOUBLE,   4, AT(mse), true, "Mean squared error at the last validation; where values are predicted."},
    {"train_loss",      "",    PARAM_DOUBLE,   4, AT(train_loss), true, "Mean training loss of the clients of the last round."},
    {"backdoor_success", "%",  PARAM_DOUBLE,   2, AT(backdoor_success), false, "Validation images of other classes that the last global model takes for the target once the patch of the fault `backdoor` is on them."},
    {"clients",         "",    PARAM_DOUBLE,   0, AT(clients), false, "Clients that the run started with."},
    {"clients_failed",  "",    PARAM_DOUBLE,   0, AT(clients_failed), false, "Clients that failed a request or whose process ended during the session."},
    {"clients_crashed", "",    PARAM_DOUBLE,   0, AT(clients_crashed), false, "Clients whose process ended although no fault asked for it."},
    {"wall_s",          "s",   PARAM_DURATION, 2, AT(wall_s), false, "Wall time of the session, registration excluded."},
    {"registration_s",  "s",   PARAM_DURATION, 2, AT(registration_s), false, "Wall time from the first fork until every client was registered."},
    {"round_s_p50",     "s",   PARAM_DURATION, 3, AT(round_s_p50), false, "Median wall time of a round."},
    {"round_s_p95",     "s",   PARAM_DURATION, 3, AT(round_s_p95), false, "95th percentile of the wall time of a round."},
    {"round_s_max",     "s",   PARAM_DURATION, 3, AT(round_s_max), false, "Wall time of the longest round."},
    {"bytes_up",        "B",   PARAM_BYTES,     0, AT(bytes_up), false, "Bytes of the updates that were merged."},
    {"bytes_down",      "B",   PARAM_BYTES,     0, AT(bytes_down), false, "Bytes of the requests that they answered."},
    {"updates_sent",    "",    PARAM_DOUBLE,   0, AT(updates_sent), false, "Training requests sent."},
    {"updates_merged",  "",    PARAM_DOUBLE,   0, AT(updates_merged), false, "Updates merged into a global model."},
    {"updates_refused", "",    PARAM_DOUBLE,   0, AT(updates_refused), false, "Updates received but refused."},
    {"refused_non_finite", "", PARAM_DOUBLE,   0, AT(refused_non_finite), false, "Of these, because weights were not finite."},
    {"refused_shape",   "",    PARAM_DOUBLE,   0, AT(refused_shape), false, "Of these, because they were weights of another model."},
    {"refused_truncated", "",  PARAM_DOUBLE,   0, AT(refused_truncated), false, "Of these, because their bytes were no whole message or model."},
    {"refused_stale",   "",    PARAM_DOUBLE,   0, AT(refused_stale), false, "Of these, because they answered an earlier request."},
    {"backed_off",      "",    PARAM_DOUBLE,   0, AT(backed_off), false, "How often a client was not selected for a while because it had failed several times in a row."},
    {"updates_failed",  "",    PARAM_DOUBLE,   0, AT(updates_failed), false, "Training requests without a usable answer."},
    {"updates_dropped", "",    PARAM_DOUBLE,   0, AT(updates_dropped), false, "Updates not needed: surplus of over-selection, or of rounds without quorum."},
    {"pss_idle_mb",     "MiB", PARAM_DOUBLE,   2, AT(pss_idle_mb), false, "Largest memory share of a sampled client when all are registered."},
    {"leader_rss_mb",   "MiB", PARAM_DOUBLE,   1, AT(leader_rss_mb), false, "Largest resident memory of the leader, the shared validation data included."},
    {"pss_training_mb", "MiB", PARAM_DOUBLE,   2, AT(pss_training_mb), false, "Largest memory share of a sampled client at the end of a training."},
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
