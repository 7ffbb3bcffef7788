#include "sim/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

enum { TAIL_BYTES = 16384, STACK_BYTES = 256 * 1024 };

size_t process_num_threads(void)
{
    struct stat st;

    /* One sub-directory a thread, and "." and "..". */
    return stat("/proc/self/task", &st) || st.st_nlink < 3 ? 1 : (size_t)st.st_nlink - 2;
}

static void redirect(const struct process *process)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int log = open(process->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

    if (null < 0 || log < 0)
        _exit(126);
    dup2(null, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    close(null);
    close(log);
}

static void reset_signals(void)
{
    sigset_t none;

    for (int signo = 1; signo < NSIG; signo++)
        signal(signo, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void run_child(const struct process *process, const struct process_entry *entry, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before the line above */
        _exit(125);
    setpgid(0, 0);
    prctl(PR_SET_NAME, process->name); /* what ps and top show */
    for (size_t i = 0; i < entry->num_close_fds; i++)
        close(entry->close_fds[i]);
    redirect(process);
    if (entry->unblock_signals)
        reset_signals();
    int code = entry->run(entry->context);
    fflush(NULL);
#if defined(__SANITIZE_ADDRESS__)
    __lsan_do_leak_check();
#endif
    /* Not exit(): gRPC's and Paho's threads may still run, and what atexit undoes belongs to the parent. */
    _exit(code);
}

int process_start(struct process *process, const struct process_entry *entry, struct error *err)
{
    size_t threads = process_num_threads();
    pid_t parent = getpid();

    if (threads != 1)
        return FAIL(err, ERR_INTERNAL, "cannot fork %s: the supervisor has %zu threads", process->name, threads);
    process->starts++;
    fflush(NULL); /* or the child would write what is buffered once more */
    pid_t pid = fork();
    if (pid < 0)
        return FAIL(err, ERR_UNAVAILABLE,
                    "cannot start %s: fork: %s; `ulimit -u` and the memory bound how many clients a "
                    "machine takes",
                    process->name, strerror(errno));
    if (pid == 0)
        run_child(process, entry, parent);
    setpgid(pid, pid); /* both sides do it: whoever is first */
    process->pid = pid;
    process->state = PROCESS_RUNNING;
    process->end_expected = false;
    process->exit_code = -1;
    process->signal = 0;
    return OK;
}

struct stop_waiter {
    pthread_t thread;
    void (*stop)(void *context);
    void *context;
};

static void *wait_for_stop(void *argument)
{
    struct stop_waiter *waiter = argument;
    sigset_t set;
    int signo, state;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    int failed = sigwait(&set, &signo);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    if (!failed)
        waiter->stop(waiter->context);
    return NULL;
}

int stop_waiter_new(struct stop_waiter **out, void (*stop)(void *context), void *context, struct error *err)
{
    struct stop_waiter *waiter = malloc(sizeof *waiter);
    pthread_attr_t attributes;

    if (!waiter)
        return FAIL(err, ERR_MEMORY, "out of memory");
    *waiter = (struct stop_waiter){.stop = stop, .context = context};
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int failed = pthread_create(&waiter->thread, &attributes, wait_for_stop, waiter);
    pthread_attr_destroy(&attributes);
    if (failed) {
        free(waiter);
        return FAIL(err, ERR_UNAVAILABLE, "cannot start a thread: %s", strerror(failed));
    }
    *out = waiter;
    return OK;
}

void stop_waiter_free(struct stop_waiter *waiter)
{
    if (!waiter)
        return;
    pthread_cancel(waiter->thread); /* heard only in sigwait */
    pthread_join(waiter->thread, NULL);
    free(waiter);
}

void process_end_text(const struct process *process, char *text, size_t size)
{
    const char *name = process->signal ? sigabbrev_np(process->signal) : NULL;

    if (name)
        snprintf(text, size, "killed by SIG%s", name);
    else if (process->signal)
        snprintf(text, size, "killed by signal %d", process->signal);
    else
        snprintf(text, size, "exit code %d", process->exit_code);
}

/* Where the last max_lines lines of text begin. */
static char *last_lines(char *text, size_t size, size_t max_lines)
{
    size_t at = size;

    while (at > 0 && max_lines > 0)
        if (text[--at] == '\n' && at + 1 < size && --max_lines == 0)
            return text + at + 1;
    return text;
}

char *process_log_tail(const struct process *process, size_t max_lines)
{
    char *text = calloc(1, TAIL_BYTES + 1);
    int fd = open(process->log_path, O_RDONLY | O_CLOEXEC);

    if (text && fd >= 0) {
        off_t size = lseek(fd, 0, SEEK_END);
        ssize_t n = pread(fd, text, TAIL_BYTES, size > TAIL_BYTES ? size - TAIL_BYTES : 0);
        size_t length = n > 0 ? (size_t)n : 0;

        text[length] = '\0';
        char *from = last_lines(text, length, max_lines);
        memmove(text, from, strlen(from) + 1);
    }
    if (fd >= 0)
        close(fd);
    return text;
}
