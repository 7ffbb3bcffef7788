/* The metrics of a client's answer: untrusted JSON, bounded; what is not told is negative. */
#include <math.h>

#include "leader/session_internal.h"

enum { MAX_METRICS_BYTES = 64 * 1024 };

void job_figures_clear(struct job_figures *figures)
{
    *figures = (struct job_figures){-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
}

/* Non-negative and finite, or -1. */
static double real_of(const json_t *metrics, const char *key)
{
    const json_t *value = json_object_get(metrics, key);
    double number = json_is_number(value) ? json_number_value(value) : -1;

    return isfinite(number) && number >= 0 ? number : -1;
}

static int64_t integer_of(const json_t *metrics, const char *key)
{
    double number = real_of(metrics, key);

    return number >= 0 && number < 1e15 ? (int64_t)number : -1;
}

int job_figures_parse(struct span json, struct job_figures *out, struct error *err)
{
    json_error_t where;
    json_t *metrics;

    job_figures_clear(out);
    if (json.size > MAX_METRICS_BYTES)
        return FAIL(err, ERR_TOO_LARGE, "metrics of %zu bytes; at most %d are possible", json.size, MAX_METRICS_BYTES);
    metrics = json_loadb(json.data ? json.data : "", json.size, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(metrics)) {
        json_decref(metrics);
        return FAIL(err, ERR_INVALID, "the metrics are not a JSON object: %s", where.text);
    }
    *out = (struct job_figures){
        .loss = real_of(metrics, "loss"),
        .accuracy = real_of(metrics, "accuracy"),
        .time_taken_s = real_of(metrics, "time_taken_s"),
        .measured_s = real_of(metrics, "measured_s"),
        .num_samples = integer_of(metrics, "num_samples"),
        .mini_batches = integer_of(metrics, "total_mini_batches"),
        .pss_idle_kb = integer_of(metrics, "pss_idle_kb"),
        .pss_kb = integer_of(metrics, "pss_kb"),
        .num_epochs = real_of(metrics, "num_epochs"),
        .initial_loss = real_of(metrics, "initial_loss"),
        .square_loss = real_of(metrics, "square_loss"),
    };
    json_decref(metrics);
    return OK;
}
