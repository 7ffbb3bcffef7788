/* How a run went, read back from its events.jsonl when it is over: the figures after each round, and when the events
 * happened that somebody asks for. Memory grows with rounds and with those events alone. */
#ifndef FLOSIM_SIM_RUN_HISTORY_H
#define FLOSIM_SIM_RUN_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/metrics.h"
#include "util/error.h"

enum { HISTORY_NAME_SIZE = 40 };

struct history_round {
    int64_t round;              /* from 1 */
    double t_s;                 /* when it ended, since the session began */
    struct run_metrics figures; /* those with `each_round` set; the others are 0 */
};

struct history_event {
    double t_s; /* since the run began */
    char name[HISTORY_NAME_SIZE];
};

struct run_history {
    double session_began_s; /* NAN: it never did */
    struct history_round *rounds;
    size_t num_rounds;
    struct history_event *events; /* in the order of the file */
    size_t num_events;
};

/* `wanted` says which events are kept; a fault that strikes is an event of its kind's name too (leader-kill). A round
 * that was replayed counts as it ended last. A line cut short by a crash is passed over. ERR_IO, ERR_MEMORY. */
int run_history_read(const char *path, bool (*wanted)(void *context, const char *name), void *context,
                     struct run_history *out, struct error *err);
void run_history_fini(struct run_history *history);

/* Names of events that a run tells, beside the kinds of faults. Ends with a NULL name. */
struct event_kind {
    const char *name, *help;
};
extern const struct event_kind event_kinds[];

#endif
