/* events.jsonl: one JSON object a line, every event of a run on one clock.
 * Several processes append to one file (O_APPEND, one write(2) a line), so lines never mix. Any thread. */
#ifndef FLOSIM_UTIL_EVENT_LOG_H
#define FLOSIM_UTIL_EVENT_LOG_H

#include <jansson.h>
#include <stdint.h>

#include "util/clock.h"
#include "util/error.h"

struct event_log {
    int fd;             /* -1: events are dropped */
    uint64_t origin_ns; /* t = 0 of the run, on `clock` */
    const struct clock *clock;
};

int event_log_open(struct event_log *log, const char *path, const struct clock *clock, struct error *err);
void event_log_close(struct event_log *log);

/* Append {"t": seconds since the origin, "event": name, …fields}. Takes the reference to `fields` (NULL: none). A NULL
 * log drops the event. */
void event_log_write(struct event_log *log, const char *name, json_t *fields);

#endif
