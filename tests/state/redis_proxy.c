#include "redis_proxy.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in address(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static bool pass(int to, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = send(to, data, size, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

/* Redis ends the connection once it has done everything that came on it. */
static void let_it_finish(int redis)
{
    char dropped[4096];

    shutdown(redis, SHUT_WR);
    while (read(redis, dropped, sizeof dropped) > 0)
        ;
}

static bool from_client(struct redis_proxy *proxy, int client, int redis)
{
    static const char exec[] = "*1\r\n$4\r\nEXEC\r\n";
    char data[65536];
    ssize_t n = read(client, data, sizeof data);
    char *at = n > 0 ? memmem(data, (size_t)n, exec, sizeof exec - 1) : NULL;
    int cut = at ? atomic_exchange(&proxy->cut, CUT_NEVER) : CUT_NEVER;

    if (n <= 0)
        return false;
    if (!pass(redis, data, cut == CUT_BEFORE_EXEC ? (size_t)(at - data) : (size_t)n))
        return false;
    if (cut == CUT_NEVER)
        return true;
    let_it_finish(redis);
    atomic_fetch_add(&proxy->cuts, 1);
    return false;
}

static bool from_redis(int redis, int client)
{
    char data[65536];
    ssize_t n = read(redis, data, sizeof data);

    return n > 0 && pass(client, data, (size_t)n);
}

static void serve(struct redis_proxy *proxy, int client)
{
    struct sockaddr_in there = address(proxy->to_port);
    int redis = socket(AF_INET, SOCK_STREAM, 0);
    bool going = connect(redis, (struct sockaddr *)&there, sizeof there) == 0;

    while (going) {
        struct pollfd fds[2] = {{client, POLLIN, 0}, {redis, POLLIN, 0}};

        poll(fds, 2, -1);
        if (fds[0].revents)
            going = from_client(proxy, client, redis);
        if (going && fds[1].revents)
            going = from_redis(redis, client);
    }
    close(redis);
    close(client);
}

static void *run(void *argument)
{
    struct redis_proxy *proxy = argument;

    while (!atomic_load(&proxy->ending)) {
        int client = accept(proxy->fd, NULL, NULL);

        if (client >= 0)
            serve(proxy, client);
    }
    return NULL;
}

void redis_proxy_start(struct redis_proxy *proxy, int to_port)
{
    struct sockaddr_in here = address(0);
    socklen_t size = sizeof here;

    memset(proxy, 0, sizeof *proxy);
    proxy->to_port = to_port;
    proxy->fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(proxy->fd, (struct sockaddr *)&here, sizeof here), 0);
    cr_assert_eq(getsockname(proxy->fd, (struct sockaddr *)&here, &size), 0);
    cr_assert_eq(listen(proxy->fd, 8), 0);
    proxy->port = ntohs(here.sin_port);
    cr_assert_eq(pthread_create(&proxy->thread, NULL, run, proxy), 0);
}

void redis_proxy_stop(struct redis_proxy *proxy)
{
    atomic_store(&proxy->ending, true);
    shutdown(proxy->fd, SHUT_RDWR); /* accept returns */
    pthread_join(proxy->thread, NULL);
    close(proxy->fd);
}
