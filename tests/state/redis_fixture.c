#include "redis_fixture.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fs.h"

static struct sockaddr_in address(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int free_port(void)
{
    struct sockaddr_in any = address(0);
    socklen_t size = sizeof any;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    cr_assert_eq(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&any, &size), 0);
    close(fd);
    return ntohs(any.sin_port);
}

static void run(const struct redis_fixture *redis, const char *option, const char *value)
{
    char port[16];
    int null = open("/dev/null", O_RDWR);

    snprintf(port, sizeof port, "%d", redis->port);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(null, 1);
    dup2(null, 2);
    execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", redis->dir, "--save", "",
           "--appendonly", "yes", "--appendfsync", "always", option, value, (char *)NULL);
    _exit(127);
}

/* Until it answers a PING with whatever: then it has read its data. */
static void wait_until_up(const struct redis_fixture *redis)
{
    for (int attempt = 0; attempt < 500; attempt++) {
        struct sockaddr_in there = address(redis->port);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        char answer[64] = "";

        if (connect(fd, (struct sockaddr *)&there, sizeof there) == 0 && write(fd, "PING\r\n", 6) == 6 &&
            read(fd, answer, sizeof answer - 1) > 0 && !strstr(answer, "LOADING")) {
            close(fd);
            return;
        }
        close(fd);
        usleep(10000);
    }
    cr_assert(false, "redis-server did not start");
}

static void start(struct redis_fixture *redis, const char *option, const char *value)
{
    redis->pid = fork();
    cr_assert_geq(redis->pid, 0);
    if (redis->pid == 0)
        run(redis, option, value);
    wait_until_up(redis);
}

void redis_fixture_start(struct redis_fixture *redis, const char *option, const char *value)
{
    *redis = (struct redis_fixture){.port = free_port()};
    snprintf(redis->dir, sizeof redis->dir, "/tmp/flosim-redis-XXXXXX");
    cr_assert(mkdtemp(redis->dir));
    start(redis, option, value);
}

void redis_fixture_restart(struct redis_fixture *redis)
{
    start(redis, NULL, NULL);
}

void redis_fixture_kill(struct redis_fixture *redis)
{
    if (redis->pid == 0)
        return;
    kill(redis->pid, SIGKILL);
    waitpid(redis->pid, NULL, 0);
    redis->pid = 0;
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
