#include "sim/link_process.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sim/link.h"

/* --- in its process --- */

static struct link_block *block_of(void *context, size_t client)
{
    const struct simulation *s = context;

    return &shared_client(s->shared, client)->link;
}

static struct link_shape base_of(void *context, size_t client)
{
    const struct simulation *s = context;

    return fleet_link_shape(&s->scenario.fleet, client);
}

static struct link_shape no_shape(void *context, size_t client)
{
    (void)context, (void)client;
    return (struct link_shape){0};
}

/* For whoever wants to look at a client's network from outside. */
static void say_ports(const struct simulation *s)
{
    for (size_t i = 0; i < s->num_clients; i++) {
        const struct link_block *block = &shared_client(s->shared, i)->link;

        fprintf(stderr, "%s grpc=127.0.0.1:%d mqtt=127.0.0.1:%d\n", s->clients[i].name, block->grpc_port,
                block->mqtt_port);
    }
}

static int run(void *context)
{
    struct simulation *s = context;
    struct link_setup setup = {
        .num_clients = s->num_clients,
        .block = block_of,
        .base = s->scenario.keys.links == LINKS_SHAPED ? base_of : no_shape,
        .context = s,
        .changes = shared_link_changes(s->shared),
        .wake_fd = s->link_wake_fd,
        .listeners = s->link_listeners,
        .broker = s->link_broker,
        .broker_size = s->link_broker_size,
        .seed = (uint64_t)s->scenario.keys.seed,
    };
    struct error err = ERROR_INIT;
    struct link *link = NULL;
    int status = link_new(&link, &setup, &err);

    say_ports(s);
    while (status == OK) /* until SIGTERM */
        status = link_step(link, -1, &err);
    fprintf(stderr, "%s\n", err.message);
    link_free(link);
    return status_exit_code(status);
}

/* --- in the supervisor --- */

static int listen_on_loopback(int *port, struct error *err)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 && !bind(fd, (struct sockaddr *)&address, sizeof address) && !listen(fd, 16) &&
        !getsockname(fd, (struct sockaddr *)&address, &size)) {
        *port = ntohs(address.sin_port);
        return fd;
    }
    FAIL(err, ERR_SETUP, "cannot open a port for the link: %s; `ulimit -n` bounds how many", strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static int open_ports(struct simulation *s, struct error *err)
{
    s->link_listeners = malloc(2 * s->num_clients * sizeof *s->link_listeners);
    if (!s->link_listeners)
        return FAIL(err, ERR_MEMORY, "out of memory");
    while (s->num_link_listeners < 2 * s->num_clients) {
        struct link_block *block = block_of(s, s->num_link_listeners / 2);
        bool is_mqtt = s->num_link_listeners % 2 == 1;
        int fd = listen_on_loopback(is_mqtt ? &block->mqtt_port : &block->grpc_port, err);

        if (fd < 0)
            return ERR_SETUP;
        s->link_listeners[s->num_link_listeners++] = fd;
    }
    return OK;
}

static void close_ports(struct simulation *s)
{
    for (size_t i = 0; i < s->num_link_listeners; i++)
        close(s->link_listeners[i]);
    s->num_link_listeners = 0;
    free(s->link_listeners);
    s->link_listeners = NULL;
}

static int find_broker(struct simulation *s, struct error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char service[16];

    snprintf(service, sizeof service, "%d", s->broker_port);
    int unresolved = getaddrinfo(s->broker_host, service, &hints, &found);
    if (unresolved)
        return FAIL(err, ERR_SETUP, "broker %s: %s", s->broker_host, gai_strerror(unresolved));
    memcpy(&s->link_broker, found->ai_addr, found->ai_addrlen);
    s->link_broker_size = found->ai_addrlen;
    freeaddrinfo(found);
    return OK;
}

int link_process_start(struct simulation *s, struct error *err)
{
    /* Nothing is to be tidied up in it: SIGTERM simply ends it. */
    struct process_entry entry = {.run = run, .context = s, .unblock_signals = true};

    if (!s->scenario.needs_link)
        return OK;
    s->link_wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int status = s->link_wake_fd < 0 ? FAIL(err, ERR_SETUP, "eventfd: %s", strerror(errno)) : find_broker(s, err);
    if (status == OK)
        status = open_ports(s, err);
    if (status == OK)
        status = supervisor_start(s->supervisor, &s->link, entry, err);
    close_ports(s); /* before others are forked, who would keep them open */
    return status;
}

void link_changed(struct shared *shared, size_t client, int wake_fd)
{
    static const uint64_t one = 1;
    ssize_t written;

    atomic_fetch_add(&shared_client(shared, client)->link.changes, 1);
    atomic_fetch_add(shared_link_changes(shared), 1);
    do {
        written = write(wake_fd, &one, sizeof one);
    } while (written < 0 && errno == EINTR);
}

void link_process_heal(struct simulation *s)
{
    if (s->link.state != PROCESS_RUNNING)
        return;
    for (size_t i = 0; i < s->num_clients; i++) {
        struct link_block *block = block_of(s, i);

        for (size_t effect = 0; effect < NUM_LINK_EFFECTS; effect++)
            atomic_store(&block->settings[effect].fault, 0);
        link_changed(s->shared, i, s->link_wake_fd);
    }
}

void link_process_fini(struct simulation *s)
{
    if (s->link_wake_fd >= 0)
        close(s->link_wake_fd);
    s->link_wake_fd = -1;
}
