/* One child process of a simulation: started without exec (roles) or with it (the broker), and dead for certain when
 * the supervisor is. The supervisor's thread only. */
#ifndef FLOSIM_SIM_PROCESS_H
#define FLOSIM_SIM_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/error.h"

enum process_state { PROCESS_NONE, PROCESS_RUNNING, PROCESS_STOPPED, PROCESS_ENDED };

struct process {
    char name[64];      /* in messages: "leader", "client-007", "mosquitto" */
    char log_path[512]; /* where its output goes, appended */
    pid_t pid;          /* of the last start */
    uint32_t starts;    /* so far; the last one's number */
    enum process_state state;
    bool end_expected;  /* a fault or the end of the run asked for it */
    bool follow;        /* when it has ended another is to be started at once */
    int exit_code;      /* PROCESS_ENDED: what it returned, or -1 … */
    int signal;         /* … and the signal that ended it, or 0 */
    uint64_t killed_ns; /* when it was last sent a SIGKILL, on clock_system */
};

struct process_entry {
    int (*run)(void *context); /* in the child; its value is the exit code */
    void *context;
    /* Roles take SIGTERM through a stop_waiter and keep it blocked; a program that is executed wants the usual
     * dispositions. */
    bool unblock_signals;
    const int *close_fds; /* the supervisor's own descriptors */
    size_t num_close_fds;
};

/* Threads of this process. Forking is safe only with one. */
size_t process_num_threads(void);

/* Fork. The child is put into a process group of its own, gets SIGKILL when its parent dies, reads /dev/null and writes
 * to its log. ERR_INTERNAL where more than one thread runs, ERR_UNAVAILABLE where the system has no process left. */
int process_start(struct process *process, const struct process_entry *entry, struct error *err);

/* In a child: a thread that waits for SIGTERM, SIGINT or SIGHUP and then calls `stop`, once. */
struct stop_waiter;
int stop_waiter_new(struct stop_waiter **out, void (*stop)(void *context), void *context, struct error *err);
void stop_waiter_free(struct stop_waiter *waiter); /* `stop` is not called any more; NULL is legal */

/* "killed by SIGSEGV", "exit code 3" for a process that ended. Fills text. */
void process_end_text(const struct process *process, char *text, size_t size);

/* The last `max_lines` lines of its log in a new string (empty where there is none); NULL when out of memory. */
char *process_log_tail(const struct process *process, size_t max_lines);

#endif
