#include "worker/stopwatch.h"

void stopwatch_start(struct stopwatch *watch, const struct worker_host *host, const struct clock *clock)
{
    *watch = (struct stopwatch){.host = host, .clock = clock, .start_ns = clock_now_ns(clock)};
}

bool stopwatch_is_modelled(const struct stopwatch *watch)
{
    return watch->host->compute_seconds != NULL;
}

void stopwatch_add_flops(struct stopwatch *watch, double flops)
{
    if (watch->host->compute_seconds)
        watch->compute_s += watch->host->compute_seconds(watch->host->context, flops);
}

double stopwatch_measured_s(const struct stopwatch *watch)
{
    return (double)(clock_now_ns(watch->clock) - watch->start_ns) * 1e-9;
}

double stopwatch_compute_s(const struct stopwatch *watch)
{
    return stopwatch_is_modelled(watch) ? watch->compute_s : stopwatch_measured_s(watch);
}

double stopwatch_duration_s(const struct stopwatch *watch, int64_t round, size_t bytes_down, size_t bytes_up)
{
    double compute_s = stopwatch_compute_s(watch);

    if (!watch->host->transfer_seconds)
        return compute_s;
    return compute_s + watch->host->transfer_seconds(watch->host->context, round, bytes_down, bytes_up);
}

bool stopwatch_limit_reached(const struct stopwatch *watch, const struct work_limit *limit, int64_t mini_batches)
{
    switch (limit->kind) {
    case LIMIT_TIMEOUT:
        return limit->timeout_duration_s > 0 && stopwatch_compute_s(watch) >= (double)limit->timeout_duration_s;
    case LIMIT_MINI_BATCHES:
        return limit->max_mini_batch_count > 0 && mini_batches >= limit->max_mini_batch_count;
    case LIMIT_NONE:
        break;
    }
    return false;
}
