#include "redis_fixture.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fs.h"

enum { PATIENCE_MS = 30000 };

static struct sockaddr_in address(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int free_port(void)
{
    struct sockaddr_in any = address(0);
    socklen_t size = sizeof any;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    cr_assert_eq(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&any, &size), 0);
    close(fd);
    return ntohs(any.sin_port);
}

static void run(const struct redis_fixture *redis, const char *option, const char *value, int log_fd)
{
    char port[16];

    snprintf(port, sizeof port, "%d", redis->port);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(log_fd, 1);
    dup2(log_fd, 2);
    execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", redis->dir, "--save", "",
           "--appendonly", "yes", "--appendfsync", "always", option, value, (char *)NULL);
    _exit(127);
}

/* Reads what the server writes until it says `text`. */
static void wait_for(const struct redis_fixture *redis, const char *text)
{
    char log[16384] = "";
    size_t n = 0;

    while (!strstr(log, text)) {
        struct pollfd fd = {redis->log_fd, POLLIN, 0};
        ssize_t got;

        cr_assert_eq(poll(&fd, 1, PATIENCE_MS), 1, "redis-server does not say `%s`: %s", text, log);
        got = read(redis->log_fd, log + n, sizeof log - 1 - n);
        cr_assert_gt(got, 0, "redis-server ended: %s", log);
        n += (size_t)got;
        log[n] = '\0';
    }
}

static void start(struct redis_fixture *redis, const char *option, const char *value)
{
    int fds[2];

    cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
    redis->pid = fork();
    cr_assert_geq(redis->pid, 0);
    if (redis->pid == 0)
        run(redis, option, value, fds[1]);
    close(fds[1]);
    redis->log_fd = fds[0];
    /* The log's level is `notice`: what a test makes it say does not fill the pipe. */
}

void redis_fixture_start(struct redis_fixture *redis, const char *option, const char *value)
{
    *redis = (struct redis_fixture){.port = free_port()};
    snprintf(redis->dir, sizeof redis->dir, "/tmp/flosim-redis-XXXXXX");
    cr_assert(mkdtemp(redis->dir));
    start(redis, option, value);
    wait_for(redis, "Ready to accept connections");
}

void redis_fixture_restart(struct redis_fixture *redis)
{
    start(redis, NULL, NULL);
    wait_for(redis, "Ready to accept connections");
}

void redis_fixture_restart_slowly(struct redis_fixture *redis, const char *us_per_command)
{
    start(redis, "--key-load-delay", us_per_command);
    wait_for(redis, "Server initialized");
}

void redis_fixture_kill(struct redis_fixture *redis)
{
    if (redis->pid == 0)
        return;
    kill(redis->pid, SIGKILL);
    waitpid(redis->pid, NULL, 0);
    close(redis->log_fd);
    redis->pid = 0;
}

void redis_fixture_halt(struct redis_fixture *redis)
{
    int status;

    kill(redis->pid, SIGSTOP);
    cr_assert_eq(waitpid(redis->pid, &status, WUNTRACED), redis->pid);
    cr_assert(WIFSTOPPED(status));
}

void redis_fixture_go_on(struct redis_fixture *redis)
{
    kill(redis->pid, SIGCONT);
}

void redis_fixture_forget(struct redis_fixture *redis)
{
    char path[128];

    snprintf(path, sizeof path, "%s/appendonlydir", redis->dir);
    cr_assert_eq(fs_remove_tree(path, NULL), OK);
}

void redis_fixture_stop(struct redis_fixture *redis)
{
    redis_fixture_kill(redis);
    fs_remove_tree(redis->dir, NULL);
}

void redis_fixture_ask(const struct redis_fixture *redis, const char *line, char *answer, size_t size)
{
    struct sockaddr_in there = address(redis->port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct pollfd readable = {fd, POLLIN, 0};
    ssize_t n;

    cr_assert_eq(connect(fd, (struct sockaddr *)&there, sizeof there), 0);
    cr_assert_eq(dprintf(fd, "%s\r\n", line), (int)strlen(line) + 2);
    cr_assert_eq(poll(&readable, 1, PATIENCE_MS), 1, "no answer to %s", line);
    n = read(fd, answer, size - 1);
    cr_assert_gt(n, 0);
    answer[n] = '\0';
    close(fd);
}

void redis_fixture_do(const struct redis_fixture *redis, const char *line, const char *answer)
{
    char text[256];

    redis_fixture_ask(redis, line, text, sizeof text);
    cr_assert_eq(strncmp(text, answer, strlen(answer)), 0, "%s: %s", line, text);
}
