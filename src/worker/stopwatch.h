/* How long work took on this worker's device: measured, or modelled from its FLOPs where the host models devices, so
 * that a training that is cut by its timeout is cut at the same mini-batch every time. One thread. */
#ifndef FLOSIM_WORKER_STOPWATCH_H
#define FLOSIM_WORKER_STOPWATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/edge_messages.h"
#include "util/clock.h"
#include "worker/worker.h"

struct stopwatch {
    const struct worker_host *host;
    const struct clock *clock;
    uint64_t start_ns;
    double compute_s; /* modelled so far */
};

/* Both are borrowed. Started when the compute slot is held: waiting for one counts nowhere. */
void stopwatch_start(struct stopwatch *watch, const struct worker_host *host, const struct clock *clock);

bool stopwatch_is_modelled(const struct stopwatch *watch);
void stopwatch_add_flops(struct stopwatch *watch, double flops);

double stopwatch_measured_s(const struct stopwatch *watch);
double stopwatch_compute_s(const struct stopwatch *watch); /* modelled, else measured */

/* What peers are told: computing and, where it is modelled, the link's time for the bytes. */
double stopwatch_duration_s(const struct stopwatch *watch, int64_t round, size_t bytes_down, size_t bytes_up);

/* Has the limit been reached after so many mini-batches? A timeout of 0 is none. */
bool stopwatch_limit_reached(const struct stopwatch *watch, const struct work_limit *limit, int64_t mini_batches);

#endif
