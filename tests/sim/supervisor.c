/* The supervisor forks, which needs a process with one thread; Criterion's have more. So this is a plain program: each
 * test runs in a process of its own. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/broker.h"
#include "sim/redis.h"
#include "sim/supervisor.h"
#include "util/fs.h"

#define SECOND ((uint64_t)1000000000)

/* `message` is what was found. */
#define CHECK_SAYING(condition, message)                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, message);                               \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

#define CHECK(condition) CHECK_SAYING(condition, "false")

struct fixture {
    struct supervisor *supervisor;
    struct process process;
    char folder[64];
    int ended, stopped, notified;
    _Atomic int *shared; /* between parent and child */
};

static void ended(void *context, struct process *process)
{
    (void)process;
    ((struct fixture *)context)->ended++;
}

static void stopped(void *context, struct process *process)
{
    (void)process;
    ((struct fixture *)context)->stopped++;
}

static void notified(void *context)
{
    ((struct fixture *)context)->notified++;
}

static void init(struct fixture *f)
{
    const struct supervisor_hooks hooks = {f, ended, stopped, notified};
    struct error err = ERROR_INIT;

    memset(f, 0, sizeof *f);
    strcpy(f->folder, "/tmp/flosim-supervisor-XXXXXX");
    CHECK(mkdtemp(f->folder));
    f->shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(f->shared != MAP_FAILED);
    strcpy(f->process.name, "child");
    snprintf(f->process.log_path, sizeof f->process.log_path, "%s/child.log", f->folder);
    CHECK_SAYING(supervisor_new(&f->supervisor, &hooks, &err) == OK, err.message);
}

static void fini(struct fixture *f)
{
    supervisor_free(f->supervisor);
    fs_remove_tree(f->folder, NULL);
}

static void start(struct fixture *f, int (*run)(void *context))
{
    struct process_entry entry = {.run = run, .context = f};
    struct error err = ERROR_INIT;

    CHECK_SAYING(supervisor_start(f->supervisor, &f->process, entry, &err) == OK, err.message);
}

static int say_and_end(void *context)
{
    (void)context;
    puts("one\ntwo\nthree");
    return 7;
}

static int wait_for_ever(void *context)
{
    struct fixture *f = context;
    const uint64_t one = 1;

    f->shared[0] = 1;
    if (write(supervisor_notify_fd(f->supervisor), &one, sizeof one) != (ssize_t)sizeof one)
        return 1;
    for (;;)
        pause();
}

static bool has_ended(void *context)
{
    return ((struct fixture *)context)->ended > 0;
}

static bool has_stopped(void *context)
{
    return ((struct fixture *)context)->stopped > 0;
}

static bool is_notified(void *context)
{
    return ((struct fixture *)context)->notified > 0;
}

static bool never(void *context)
{
    (void)context;
    return false;
}

static void await(struct fixture *f, bool (*done)(void *context))
{
    struct error err = ERROR_INIT;

    CHECK_SAYING(supervisor_wait(f->supervisor, done, f, 30 * SECOND, &err) == OK, err.message);
}

static void hears_of_an_end_and_keeps_the_log(void)
{
    struct fixture f;
    char text[64];

    init(&f);
    start(&f, say_and_end);
    await(&f, has_ended);
    process_end_text(&f.process, text, sizeof text);
    CHECK_SAYING(!strcmp(text, "exit code 7"), text);
    char *tail = process_log_tail(&f.process, 2);
    CHECK_SAYING(!strcmp(tail, "two\nthree\n"), tail);
    free(tail);
    fini(&f);
}

static void hears_of_news_stops_and_kills(void)
{
    struct fixture f;
    char text[64];

    init(&f);
    start(&f, wait_for_ever);
    await(&f, is_notified);
    CHECK(f.shared[0] == 1);
    supervisor_signal(f.supervisor, &f.process, SIGSTOP);
    await(&f, has_stopped);
    CHECK(f.process.state == PROCESS_STOPPED);
    supervisor_signal(f.supervisor, &f.process, SIGKILL);
    await(&f, has_ended);
    process_end_text(&f.process, text, sizeof text);
    CHECK_SAYING(!strcmp(text, "killed by SIGKILL"), text);
    fini(&f);
}

static void a_deadline_and_a_failure_end_a_wait(void)
{
    struct fixture f;
    struct error err = ERROR_INIT, found = ERROR_INIT;

    init(&f);
    CHECK(supervisor_wait(f.supervisor, never, &f, SECOND / 100, &found) == ERR_DEADLINE);
    error_set(&err, ERR_UNAVAILABLE, __FILE__, __LINE__, "the leader ended");
    supervisor_fail(f.supervisor, &err);
    CHECK(supervisor_wait(f.supervisor, never, &f, 0, &found) == ERR_UNAVAILABLE);
    CHECK_SAYING(!strcmp(found.message, "the leader ended"), found.message);
    fini(&f);
}

static void an_interrupt_ends_a_wait(void)
{
    struct fixture f;
    struct error err = ERROR_INIT;

    init(&f);
    raise(SIGTERM);
    CHECK(supervisor_wait(f.supervisor, never, &f, 0, &err) == ERR_CANCELLED);
    CHECK_SAYING(!strcmp(err.message, "interrupted by SIGTERM"), err.message);
    fini(&f);
}

struct noted_timer {
    struct supervisor_timer timer;
    int *order, mine;
};

static void note_order(struct supervisor_timer *timer)
{
    struct noted_timer *noted = (struct noted_timer *)(void *)timer;

    *noted->order = *noted->order * 10 + noted->mine;
}

static void timers_fire_by_due_time_and_can_be_cancelled(void)
{
    struct fixture f;
    struct error err = ERROR_INIT;
    int order = 0;
    struct noted_timer timers[3];

    init(&f);
    for (int i = 0; i < 3; i++)
        timers[i] = (struct noted_timer){.timer = {.fire = note_order}, .order = &order, .mine = i + 1};
    supervisor_timer_set(f.supervisor, &timers[0].timer, 3 * SECOND / 1000);
    supervisor_timer_set(f.supervisor, &timers[1].timer, SECOND / 1000);
    supervisor_timer_set(f.supervisor, &timers[2].timer, 2 * SECOND / 1000);
    supervisor_timer_cancel(f.supervisor, &timers[2].timer);
    CHECK(supervisor_wait(f.supervisor, never, &f, SECOND / 20, &err) == ERR_DEADLINE);
    CHECK(order == 21);
    fini(&f);
}

static int ignore_sigterm(void *context)
{
    signal(SIGTERM, SIG_IGN);
    return wait_for_ever(context);
}

static void who_does_not_leave_is_killed(void)
{
    struct fixture f;
    struct process *processes[] = {&f.process};

    init(&f);
    start(&f, ignore_sigterm);
    await(&f, is_notified);
    CHECK(supervisor_end(f.supervisor, processes, 1, SECOND / 10) == 1);
    CHECK(f.process.signal == SIGKILL);
    fini(&f);
}

/* The supervisor dies without a word; nobody of its children may live on. A pipe that all of them hold open tells. */
static void be_a_supervisor(int pipe_end)
{
    struct fixture f;
    struct server broker, redis;
    struct error err = ERROR_INIT;

    init(&f);
    start(&f, wait_for_ever);
    await(&f, is_notified);
    if (server_start(&broker, &broker_kind, f.supervisor, f.folder, f.folder, &err) ||
        server_start(&redis, &redis_kind, f.supervisor, f.folder, f.folder, &err))
        _exit(3);
    if (write(pipe_end, f.folder, sizeof f.folder) != (ssize_t)sizeof f.folder)
        _exit(4);
    for (;;)
        pause();
}

static void no_child_survives_its_sigkill(void)
{
    int ends[2];
    char folder[64], byte;

    CHECK(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        be_a_supervisor(ends[1]);
    }
    close(ends[1]);
    CHECK_SAYING(read(ends[0], folder, sizeof folder) == (ssize_t)sizeof folder, "the supervisor did not get going");
    kill(pid, SIGKILL);
    CHECK(waitpid(pid, NULL, 0) == pid);
    CHECK_SAYING(read(ends[0], &byte, 1) == 0, "somebody still holds the pipe");
    fs_remove_tree(folder, NULL);
}

/* One inline command to a Redis; fills `answer`. */
static void ask_redis(int port, const char *command, char answer[64])
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(write(fd, command, strlen(command)) == (ssize_t)strlen(command));
    ssize_t n = read(fd, answer, 63);
    CHECK(n > 0);
    answer[n] = '\0';
    close(fd);
}

static bool server_has_ended_now(void *server)
{
    return ((struct server *)server)->process.state == PROCESS_ENDED;
}

static bool server_is_open_now(void *server)
{
    return ((struct server *)server)->is_open;
}

static void count_opened(void *context)
{
    ++*(int *)context;
}

/* What was acknowledged is there when a killed Redis begins anew, and nobody took its port meanwhile. */
static void a_server_begins_anew_with_its_data_on_its_port(void)
{
    struct fixture f;
    struct server redis;
    struct error err = ERROR_INIT;
    char answer[64];
    int opened = 0;

    init(&f);
    CHECK_SAYING(server_start(&redis, &redis_kind, f.supervisor, f.folder, f.folder, &err) == OK, err.message);
    redis.opened = count_opened;
    redis.context = &opened;
    ask_redis(redis.port, "SET a b\r\n", answer);
    CHECK_SAYING(!strcmp(answer, "+OK\r\n"), answer);
    supervisor_signal(f.supervisor, &redis.process, SIGKILL);
    CHECK(supervisor_wait(f.supervisor, server_has_ended_now, &redis, 30 * SECOND, &err) == OK);
    server_has_ended(&redis);
    CHECK(opened == 0 && !redis.is_open && redis.process.killed_ns > 0);
    CHECK_SAYING(server_start_again(&redis, &err) == OK, err.message);
    CHECK_SAYING(supervisor_wait(f.supervisor, server_is_open_now, &redis, 30 * SECOND, &err) == OK, err.message);
    CHECK(opened == 1 && redis.process.starts == 2);
    ask_redis(redis.port, "GET a\r\n", answer);
    CHECK_SAYING(!strcmp(answer, "$1\r\nb\r\n"), answer);
    fini(&f);
    server_fini(&redis);
}

static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
    {"hears of an end and keeps the log", hears_of_an_end_and_keeps_the_log},
    {"hears of news stops and kills", hears_of_news_stops_and_kills},
    {"a deadline and a failure end a wait", a_deadline_and_a_failure_end_a_wait},
    {"an interrupt ends a wait", an_interrupt_ends_a_wait},
    {"timers fire by due time and can be cancelled", timers_fire_by_due_time_and_can_be_cancelled},
    {"who does not leave is killed", who_does_not_leave_is_killed},
    {"a server begins anew with its data on its port", a_server_begins_anew_with_its_data_on_its_port},
    {"no child survives its sigkill", no_child_survives_its_sigkill},
};

int main(void)
{
    int failures = 0, status;

    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        fflush(stdout);
        pid_t pid = fork();

        if (pid == 0) {
            alarm(60); /* what hangs has failed */
            tests[i].run();
            _exit(0);
        }
        CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
        printf("%s: %s\n", status == 0 ? "ok" : "FAILED", tests[i].name);
        failures += status != 0;
    }
    return failures > 0;
}
