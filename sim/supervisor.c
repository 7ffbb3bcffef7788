#include "sim/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/grow.h"

struct supervisor {
    struct supervisor_hooks hooks;
    int signal_fd, notify_fd;
    sigset_t old_mask;
    struct process **processes; /* every one ever started */
    size_t num_processes;
    struct supervisor_timer *timers; /* by due time */
    int interrupts, last_interrupt;
    struct error failure;
};

static void fill_mask(sigset_t *mask)
{
    sigemptyset(mask);
    sigaddset(mask, SIGCHLD);
    sigaddset(mask, SIGINT);
    sigaddset(mask, SIGTERM);
    sigaddset(mask, SIGHUP);
}

int supervisor_new(struct supervisor **out, const struct supervisor_hooks *hooks, struct error *err)
{
    struct supervisor *supervisor = calloc(1, sizeof *supervisor);
    sigset_t mask;

    if (!supervisor)
        return FAIL(err, ERR_MEMORY, "out of memory");
    fill_mask(&mask);
    supervisor->hooks = *hooks;
    supervisor->notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    supervisor->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    sigprocmask(SIG_BLOCK, &mask, &supervisor->old_mask);
    if (supervisor->notify_fd < 0 || supervisor->signal_fd < 0) {
        supervisor_free(supervisor);
        return FAIL(err, ERR_SETUP, "cannot make descriptors: %s; `ulimit -n` bounds them", strerror(errno));
    }
    signal(SIGPIPE, SIG_IGN);
    *out = supervisor;
    return OK;
}

int supervisor_notify_fd(const struct supervisor *supervisor)
{
    return supervisor->notify_fd;
}

static bool is_alive(const struct process *process)
{
    return process->state == PROCESS_RUNNING || process->state == PROCESS_STOPPED;
}

static struct process *find_process(const struct supervisor *supervisor, pid_t pid)
{
    for (size_t i = 0; i < supervisor->num_processes; i++)
        if (supervisor->processes[i]->pid == pid && is_alive(supervisor->processes[i]))
            return supervisor->processes[i];
    return NULL;
}

static int remember(struct supervisor *supervisor, struct process *process, struct error *err)
{
    for (size_t i = 0; i < supervisor->num_processes; i++)
        if (supervisor->processes[i] == process)
            return OK;
    struct process **grown = grow(supervisor->processes, supervisor->num_processes, sizeof(struct process *));
    if (!grown)
        return FAIL(err, ERR_MEMORY, "out of memory");
    supervisor->processes = grown;
    supervisor->processes[supervisor->num_processes++] = process;
    return OK;
}

int supervisor_start(struct supervisor *supervisor, struct process *process, struct process_entry entry,
                     struct error *err)
{
    const int own[] = {supervisor->signal_fd};

    entry.close_fds = own;
    entry.num_close_fds = 1;
    int status = remember(supervisor, process, err);
    return status ? status : process_start(process, &entry, err);
}

void supervisor_signal(struct supervisor *supervisor, struct process *process, int signo)
{
    (void)supervisor;
    /* Not reaped yet, so the number cannot belong to anybody else. */
    if (!is_alive(process))
        return;
    if (signo == SIGKILL)
        process->killed_ns = clock_now_ns(&clock_system);
    kill(process->pid, signo);
}

void supervisor_timer_set(struct supervisor *supervisor, struct supervisor_timer *timer, uint64_t delay_ns)
{
    struct supervisor_timer **at = &supervisor->timers;

    supervisor_timer_cancel(supervisor, timer);
    timer->due_ns = clock_now_ns(&clock_system) + delay_ns;
    while (*at && (*at)->due_ns <= timer->due_ns)
        at = &(*at)->next;
    timer->next = *at;
    timer->set = true;
    *at = timer;
}

void supervisor_timer_cancel(struct supervisor *supervisor, struct supervisor_timer *timer)
{
    if (!timer->set)
        return;
    for (struct supervisor_timer **at = &supervisor->timers; *at; at = &(*at)->next)
        if (*at == timer) {
            *at = timer->next;
            break;
        }
    timer->set = false;
}

void supervisor_fail(struct supervisor *supervisor, const struct error *err)
{
    if (supervisor->failure.status == OK)
        supervisor->failure = *err;
}

int supervisor_interrupted(const struct supervisor *supervisor)
{
    return supervisor->last_interrupt;
}

static void note_end(struct supervisor *supervisor, struct process *process, const siginfo_t *info)
{
    process->state = PROCESS_ENDED;
    process->exit_code = info->si_code == CLD_EXITED ? info->si_status : -1;
    process->signal = info->si_code == CLD_EXITED ? 0 : info->si_status;
    if (supervisor->hooks.ended)
        supervisor->hooks.ended(supervisor->hooks.context, process);
}

static void note_change(struct supervisor *supervisor, const siginfo_t *info)
{
    struct process *process = find_process(supervisor, info->si_pid);

    if (!process)
        return;
    if (info->si_code == CLD_STOPPED) {
        process->state = PROCESS_STOPPED;
        if (supervisor->hooks.stopped)
            supervisor->hooks.stopped(supervisor->hooks.context, process);
    } else if (info->si_code == CLD_CONTINUED) {
        process->state = PROCESS_RUNNING;
    } else {
        note_end(supervisor, process, info);
    }
}

/* One SIGCHLD may stand for many changes. */
static void take_changes(struct supervisor *supervisor)
{
    for (;;) {
        siginfo_t info = {0};

        if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WCONTINUED | WNOHANG) || info.si_pid == 0)
            return;
        note_change(supervisor, &info);
    }
}

static void take_signals(struct supervisor *supervisor)
{
    struct signalfd_siginfo info;

    while (read(supervisor->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo != SIGCHLD) {
            bool is_echo = info.ssi_signo == SIGHUP && supervisor->last_interrupt != 0;

            /* One terminal that closes hangs up several times: nobody has lost patience. */
            supervisor->interrupts += !is_echo;
            supervisor->last_interrupt = (int)info.ssi_signo;
        }
    take_changes(supervisor);
}

static void take_news(struct supervisor *supervisor)
{
    uint64_t kicks;

    if (read(supervisor->notify_fd, &kicks, sizeof kicks) == (ssize_t)sizeof kicks && supervisor->hooks.notified)
        supervisor->hooks.notified(supervisor->hooks.context);
}

static void fire_timers(struct supervisor *supervisor)
{
    uint64_t now = clock_now_ns(&clock_system);

    while (supervisor->timers && supervisor->timers->due_ns <= now) {
        struct supervisor_timer *timer = supervisor->timers;

        supervisor->timers = timer->next;
        timer->set = false;
        timer->fire(timer);
    }
}

/* Sleep until something comes, a timer is due, or the deadline (0: none) is reached. */
static void sleep_until(struct supervisor *supervisor, uint64_t deadline_ns)
{
    struct pollfd fds[2] = {{.fd = supervisor->signal_fd, .events = POLLIN},
                            {.fd = supervisor->notify_fd, .events = POLLIN}};
    uint64_t due = supervisor->timers ? supervisor->timers->due_ns : 0;
    uint64_t now = clock_now_ns(&clock_system);

    if (deadline_ns && (!due || deadline_ns < due))
        due = deadline_ns;
    uint64_t left = due > now ? due - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left / 1000000000u), .tv_nsec = (long)(left % 1000000000u)};
    ppoll(fds, 2, due ? &timeout : NULL, NULL);
}

static void take_everything(struct supervisor *supervisor)
{
    take_signals(supervisor);
    take_news(supervisor);
    fire_timers(supervisor);
}

int supervisor_wait(struct supervisor *supervisor, bool (*done)(void *context), void *context, uint64_t timeout_ns,
                    struct error *err)
{
    uint64_t deadline = timeout_ns ? clock_now_ns(&clock_system) + timeout_ns : 0;

    for (;;) {
        take_everything(supervisor);
        if (supervisor->last_interrupt)
            return FAIL(err, ERR_CANCELLED, "interrupted by SIG%s", sigabbrev_np(supervisor->last_interrupt));
        if (supervisor->failure.status != OK) {
            if (err)
                *err = supervisor->failure;
            return supervisor->failure.status;
        }
        if (done(context))
            return OK;
        if (deadline && clock_now_ns(&clock_system) >= deadline)
            return ERR_DEADLINE;
        sleep_until(supervisor, deadline);
    }
}

static size_t count_alive(struct process *const *processes, size_t n)
{
    size_t alive = 0;

    for (size_t i = 0; i < n; i++)
        alive += is_alive(processes[i]);
    return alive;
}

static void signal_all(struct supervisor *supervisor, struct process *const *processes, size_t n, int signo)
{
    for (size_t i = 0; i < n; i++) {
        processes[i]->end_expected = true;
        supervisor_signal(supervisor, processes[i], signo);
        if (signo == SIGTERM)
            supervisor_signal(supervisor, processes[i], SIGCONT);
    }
}

/* Until all have ended; 0: without limit. A further interrupt makes the patience end. */
static void await_ends(struct supervisor *supervisor, struct process *const *processes, size_t n, uint64_t timeout_ns)
{
    uint64_t deadline = timeout_ns ? clock_now_ns(&clock_system) + timeout_ns : 0;
    int interrupts = supervisor->interrupts;

    for (;;) {
        take_everything(supervisor);
        if (count_alive(processes, n) == 0)
            return;
        if (deadline && (clock_now_ns(&clock_system) >= deadline || supervisor->interrupts > interrupts))
            return;
        sleep_until(supervisor, deadline);
    }
}

size_t supervisor_end(struct supervisor *supervisor, struct process *const *processes, size_t n, uint64_t grace_ns)
{
    signal_all(supervisor, processes, n, SIGTERM);
    await_ends(supervisor, processes, n, grace_ns);
    size_t left = count_alive(processes, n);
    if (left > 0) {
        signal_all(supervisor, processes, n, SIGKILL);
        await_ends(supervisor, processes, n, 0);
    }
    return left;
}

void supervisor_free(struct supervisor *supervisor)
{
    if (!supervisor)
        return;
    supervisor->hooks = (struct supervisor_hooks){0}; /* whoever was told may be gone already */
    supervisor->timers = NULL;
    signal_all(supervisor, supervisor->processes, supervisor->num_processes, SIGKILL);
    if (supervisor->signal_fd >= 0 && supervisor->notify_fd >= 0)
        await_ends(supervisor, supervisor->processes, supervisor->num_processes, 0);
    if (supervisor->signal_fd >= 0)
        close(supervisor->signal_fd);
    if (supervisor->notify_fd >= 0)
        close(supervisor->notify_fd);
    if (supervisor->last_interrupt == SIGHUP)
        signal(SIGHUP, SIG_IGN); /* echoes must not take the exit code away that says how the run ended */
    sigprocmask(SIG_SETMASK, &supervisor->old_mask, NULL);
    free(supervisor->processes);
    free(supervisor);
}
