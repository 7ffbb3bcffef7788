/* A compute thread behind a loop: arithmetic and files run here, their results come back as events.
 * Tasks run one at a time in the order submitted. Tasks are embedded in what they are about. */
#ifndef FLOSIM_UTIL_EXECUTOR_H
#define FLOSIM_UTIL_EXECUTOR_H

#include <stdbool.h>

#include "util/loop.h"

struct executor;

struct executor_task {
    struct loop_event done_event;            /* the executor's own */
    struct executor_task *next;              /* the executor's own */
    bool was_run;                            /* set by the executor: false in `done` when it was freed before run */
    void (*run)(struct executor_task *task); /* on the compute thread */
    void (*done)(
        struct executor_task *task); /* afterwards on the loop's thread; may free the task or submit it again */
};

/* Starts the thread, which takes no signals. `name` shows in ps and gdb (its first 15 characters). `loop` is borrowed
 * and must outlive the executor. */
int executor_new(struct executor **out, struct loop *loop, const char *name, struct error *err);

/* Loop thread only. The task belongs to the executor until `done` is called. */
void executor_submit(struct executor *executor, struct executor_task *task);

/* Waits for the task in hand; tasks not begun are not run, but their `done` is still called by the loop. Frees. */
void executor_free(struct executor *executor);

#endif
