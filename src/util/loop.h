/* An event loop: one thread runs it and owns all state of a role; every other thread only posts.
 * Events are embedded in what they are about, so posting needs no memory and cannot fail. */
#ifndef FLOSIM_UTIL_LOOP_H
#define FLOSIM_UTIL_LOOP_H

#include <stddef.h>
#include <stdint.h>

#include "util/clock.h"
#include "util/container_of.h"
#include "util/error.h"

struct loop;

struct loop_event {
    struct loop_event *next;                  /* the loop's own */
    uint64_t posted_ns;                       /* the loop's own: its lag counts from here */
    void (*handle)(struct loop_event *event); /* runs on the loop's thread; may free the event or post it again */
};

struct loop_timer {
    uint64_t due_ns;
    uint64_t sequence; /* equal due times fire in the order in which they were set */
    long heap_index;   /* -1: not set */
    void (*fire)(struct loop_timer *timer);
};

/* Returns new loop; the clock is borrowed for its life. */
int loop_new(struct loop **out, const struct clock *clock, struct error *err);

/* Handles what is still queued (so that events own nothing afterwards), then frees. No other thread may post any more.
 */
void loop_free(struct loop *loop);

/* Run until loop_stop; the caller becomes the loop's thread. A stop that came before ends it at once; afterwards it can
 * be run again. */
void loop_run(struct loop *loop);

/* Any thread. The loop ends after the event in hand; queued events stay queued. */
void loop_stop(struct loop *loop);

/* Any thread; `event->handle` is set by the caller. The event belongs to the loop until it is handled: whoever posted
 * it never touches it again. Events of one poster are handled in the order posted. */
void loop_post(struct loop *loop, struct loop_event *event);

const struct clock *loop_clock(const struct loop *loop);

/* Loop thread only. Setting a set timer moves it. */
void loop_timer_init(struct loop_timer *timer, void (*fire)(struct loop_timer *timer));
int loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t delay_ns, struct error *err);
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer); /* of an unset timer: nothing */

struct loop_lag {
    uint64_t events;
    double p50_ms, p99_ms, max_ms; /* from posting an event (or a timer's due time) to the start of its handling */
};

/* Loop thread only. Between begin and end (which nest) the loop also asks itself every 10 ms how late it is, so that
 * percentiles rest on many samples even where few events come. A late moment counts for every one that it delays. */
int loop_sample_begin(struct loop *loop, struct error *err);
void loop_sample_end(struct loop *loop);

/* Loop thread only. Fills `lag` for the time since the loop began. */
void loop_lag(const struct loop *loop, struct loop_lag *lag);

#endif
