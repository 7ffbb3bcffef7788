/* The supervisor: one thread that starts processes, hears of their ends, stops, signals and news, and sleeps otherwise.
 * Everything comes through one poll() on a signalfd (SIGCHLD, SIGINT, SIGTERM, SIGHUP) and the eventfd that the
 * children kick; its timeout is the next timer. Nothing is asked at intervals. */
#ifndef FLOSIM_SIM_SUPERVISOR_H
#define FLOSIM_SIM_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/process.h"
#include "util/error.h"

struct supervisor;

struct supervisor_hooks {
    void *context;
    void (*ended)(void *context, struct process *process);   /* state is PROCESS_ENDED */
    void (*stopped)(void *context, struct process *process); /* by SIGSTOP; state is PROCESS_STOPPED */
    void (*notified)(void *context);                         /* a child kicked the eventfd */
};

struct supervisor_timer {
    uint64_t due_ns; /* on clock_system */
    void (*fire)(struct supervisor_timer *timer);
    struct supervisor_timer *next;
    bool set;
};

/* Blocks the signals that it takes; supervisor_free restores them. */
int supervisor_new(struct supervisor **out, const struct supervisor_hooks *hooks, struct error *err);

/* Kills and reaps whatever still runs. */
void supervisor_free(struct supervisor *supervisor);

/* The eventfd of shared memory. */
int supervisor_notify_fd(const struct supervisor *supervisor);

/* Start a process (again); it is borrowed until the supervisor is freed. entry's close_fds are set here. */
int supervisor_start(struct supervisor *supervisor, struct process *process, struct process_entry entry,
                     struct error *err);

/* A signal for a process that runs or is stopped; else nothing. */
void supervisor_signal(struct supervisor *supervisor, struct process *process, int signo);

void supervisor_timer_set(struct supervisor *supervisor, struct supervisor_timer *timer, uint64_t delay_ns);
void supervisor_timer_cancel(struct supervisor *supervisor, struct supervisor_timer *timer);

/* The run cannot go on: the wait in hand returns this error. The first one counts. */
void supervisor_fail(struct supervisor *supervisor, const struct error *err);

/* Handle what comes until `done` is true (asked after every event). ERR_CANCELLED: interrupted by a signal;
 * ERR_DEADLINE: `timeout_ns` (0: none) passed, `err` untouched; else the error of supervisor_fail. */
int supervisor_wait(struct supervisor *supervisor, bool (*done)(void *context), void *context, uint64_t timeout_ns,
                    struct error *err);

/* SIGINT, SIGTERM or SIGHUP that came, or 0. */
int supervisor_interrupted(const struct supervisor *supervisor);

/* End these processes: SIGTERM (stopped ones go on first), SIGKILL for those that are still there after grace_ns or
 * when a second interrupt comes. Returns when all have ended; how many had to be killed. */
size_t supervisor_end(struct supervisor *supervisor, struct process *const *processes, size_t n, uint64_t grace_ns);

#endif
