#include "sim/link.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "sim/link_internal.h"
#include "util/clock.h"
#include "util/container_of.h"

#define MS ((uint64_t)1000000)

enum { MAX_EVENTS = 64, ACCEPT_AGAIN_MS = 100 };

static uint64_t time_ns(void)
{
    return clock_now_ns(&clock_system);
}

void link_watch(struct link *link, struct link_source *source, uint32_t interest)
{
    struct epoll_event event = {.events = interest, .data.ptr = source};
    int op = interest == 0 ? EPOLL_CTL_DEL : source->interest == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

    if (source->interest == interest || source->fd < 0)
        return;
    epoll_ctl(link->epoll_fd, op, source->fd, &event);
    source->interest = interest;
}

/* --- accepting --- */

/* In a partition nobody gets as far as a connection: the kernel drops what comes for the port, so that the caller's
 * SYN stays without an answer as on a cut line, and is sent again. */
static void drop_everything(int fd, bool drop)
{
    struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
    const struct sock_fprog program = {.len = 1, .filter = &none};
    const int unused = 0;

    if (drop)
        setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    else
        setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
}

static void listen_to(struct link_listener *listener)
{
    struct link_client *client = listener->client;

    link_watch(client->link, &listener->source, client->shape.is_partition ? 0 : EPOLLIN);
}

static void accept_all(struct link_listener *listener, uint64_t now_ns)
{
    struct link *link = listener->client->link;

    for (;;) {
        int fd = accept4(listener->source.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            connection_open(listener, fd, now_ns);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            link_watch(link, &listener->source, 0); /* or it would wake us all the time */
            link->accepts_again_ns = now_ns + ACCEPT_AGAIN_MS * MS;
        }
        if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

static void accept_again(struct link *link)
{
    link->accepts_again_ns = LINK_NEVER;
    for (size_t i = 0; i < link->setup.num_clients; i++) {
        listen_to(&link->clients[i].grpc);
        listen_to(&link->clients[i].mqtt);
    }
}

/* --- changes --- */

static void reset_all(struct link_client *client)
{
    while (client->connections)
        connection_reset(client->connections);
}

static void plan_break(struct link_client *client, uint64_t now_ns)
{
    double flaky_s = client->shape.flaky_s;

    client->breaks_at_ns = flaky_s > 0 ? now_ns + (uint64_t)(rng_exponential(&client->rng, flaky_s) * 1e9) : LINK_NEVER;
}

static void reshape(struct link_client *client, uint64_t now_ns)
{
    struct link_shape before = client->shape;

    client->shape = link_shape_of(&client->base, client->block);
    if (client->shape.is_partition != before.is_partition) {
        drop_everything(client->grpc.source.fd, client->shape.is_partition);
        drop_everything(client->mqtt.source.fd, client->shape.is_partition);
    }
    listen_to(&client->grpc);
    listen_to(&client->mqtt);
    if (client->shape.flaky_s > before.flaky_s || client->shape.flaky_s < before.flaky_s)
        plan_break(client, now_ns);
    for (struct link_connection *next, *at = client->connections; at; at = next) {
        next = at->next;
        connection_reshape(at, before.is_half_open, now_ns);
    }
}

static void take_changes(struct link *link, uint64_t now_ns)
{
    uint32_t changes = atomic_load(link->setup.changes);

    if (changes == link->seen_changes)
        return;
    link->seen_changes = changes;
    for (size_t i = 0; i < link->setup.num_clients; i++) {
        struct link_client *client = &link->clients[i];
        uint32_t of_client = atomic_load(&client->block->changes);

        if (of_client == client->seen_changes)
            continue;
        client->seen_changes = of_client;
        uint32_t disconnects = atomic_load(&client->block->disconnects);
        if (disconnects != client->seen_disconnects)
            reset_all(client);
        client->seen_disconnects = disconnects;
        reshape(client, now_ns);
    }
}

/* --- time --- */

static uint64_t next_due_ns(const struct link *link)
{
    uint64_t due = link->accepts_again_ns;

    for (size_t i = 0; i < link->setup.num_clients; i++) {
        const struct link_client *client = &link->clients[i];
        uint64_t of_client = client->due_ns < client->breaks_at_ns ? client->due_ns : client->breaks_at_ns;

        due = of_client < due ? of_client : due;
    }
    return due;
}

static void run_due(struct link_client *client, uint64_t now_ns)
{
    if (client->breaks_at_ns <= now_ns) {
        reset_all(client);
        plan_break(client, now_ns);
    }
    if (client->due_ns > now_ns)
        return;
    client->due_ns = LINK_NEVER;
    for (struct link_connection *next, *at = client->connections; at; at = next) {
        next = at->next;
        connection_run(at, now_ns);
    }
}

static int wait_ms(const struct link *link, int max_wait_ms)
{
    uint64_t due = next_due_ns(link), now_ns = time_ns();
    uint64_t ms = due <= now_ns ? 0 : (due - now_ns + MS - 1) / MS;

    if (due == LINK_NEVER)
        return max_wait_ms;
    return max_wait_ms >= 0 && ms > (uint64_t)max_wait_ms ? max_wait_ms : ms > 60000 ? 60000 : (int)ms;
}

/* --- the loop --- */

static void handle(struct link_source *source, uint64_t now_ns)
{
    uint64_t kicks;

    switch (source->kind) {
    case SOURCE_WAKE:
        if (read(source->fd, &kicks, sizeof kicks) < 0) /* somebody else was faster: it is empty */
            return;
        return;
    case SOURCE_LISTENER:
        accept_all(CONTAINER_OF(source, struct link_listener, source), now_ns);
        return;
    case SOURCE_END:
        connection_run(CONTAINER_OF(source, struct link_end, source)->connection, now_ns);
        return;
    }
}

static void free_closed(struct link *link)
{
    while (link->closed) {
        struct link_connection *next = link->closed->next;

        free(link->closed);
        link->closed = next;
    }
}

int link_step(struct link *link, int max_wait_ms, struct error *err)
{
    struct epoll_event events[MAX_EVENTS];
    int n = epoll_wait(link->epoll_fd, events, MAX_EVENTS, wait_ms(link, max_wait_ms));
    uint64_t now_ns = time_ns();

    if (n < 0 && errno != EINTR)
        return FAIL(err, ERR_INTERNAL, "epoll_wait: %s", strerror(errno));
    for (int i = 0; i < n; i++) {
        take_changes(link, now_ns);
        handle(events[i].data.ptr, now_ns);
    }
    take_changes(link, now_ns);
    if (link->accepts_again_ns <= now_ns)
        accept_again(link);
    for (size_t i = 0; i < link->setup.num_clients; i++)
        run_due(&link->clients[i], now_ns);
    free_closed(link);
    return OK;
}

/* --- its life --- */

static void init_client(struct link *link, size_t i)
{
    struct link_client *client = &link->clients[i];
    const struct link_setup *setup = &link->setup;

    *client = (struct link_client){
        .link = link,
        .number = i,
        .block = setup->block(setup->context, i),
        .grpc = {{SOURCE_LISTENER, setup->listeners[2 * i], 0}, client, false},
        .mqtt = {{SOURCE_LISTENER, setup->listeners[2 * i + 1], 0}, client, true},
        .base = setup->base(setup->context, i),
        .due_ns = LINK_NEVER,
        .breaks_at_ns = LINK_NEVER,
    };
    rng_init(&client->rng, setup->seed, "link-flaky", "", i);
    reshape(client, time_ns());
}

int link_new(struct link **out, const struct link_setup *setup, struct error *err)
{
    struct link *link = calloc(1, sizeof *link);

    if (!link)
        return FAIL(err, ERR_MEMORY, "out of memory");
    link->setup = *setup;
    link->accepts_again_ns = LINK_NEVER;
    link->wake = (struct link_source){SOURCE_WAKE, setup->wake_fd, 0};
    link->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    link->clients = calloc(setup->num_clients, sizeof *link->clients);
    link->scratch = malloc(LINK_CHUNK);
    if (link->epoll_fd < 0 || !link->clients || !link->scratch) {
        link->setup.num_clients = 0;
        link_free(link);
        return FAIL(err, ERR_SETUP, "cannot set the link up: %s", strerror(errno));
    }
    link_watch(link, &link->wake, EPOLLIN);
    for (size_t i = 0; i < setup->num_clients; i++)
        init_client(link, i);
    *out = link;
    return OK;
}

void link_free(struct link *link)
{
    if (!link)
        return;
    for (size_t i = 0; i < link->setup.num_clients; i++)
        reset_all(&link->clients[i]);
    free_closed(link);
    if (link->epoll_fd >= 0)
        close(link->epoll_fd);
    free(link->clients);
    free(link->scratch);
    free(link);
}

size_t link_num_connections(const struct link *link)
{
    return link->num_connections;
}
