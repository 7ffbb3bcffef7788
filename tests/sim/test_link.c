#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sim/link.h"
#include "util/clock.h"

/* One client; the test is the leader, the client's gRPC server, the client and the broker at once, the link runs in a
 * thread. */

enum { PATIENCE_MS = 30000, BIG = 8 * 1024 * 1024 };

struct scene {
    struct link_block block;
    struct link_shape base;
    _Atomic uint32_t changes;
    _Atomic bool stops;
    int wake_fd, listeners[2];
    int server, broker; /* listening: where the link leads to */
    struct link *link;
    pthread_t thread;
};

static struct link_block *block_of(void *context, size_t client)
{
    (void)client;
    return &((struct scene *)context)->block;
}

static struct link_shape base_of(void *context, size_t client)
{
    (void)client;
    return ((struct scene *)context)->base;
}

static void *run(void *context)
{
    struct scene *scene = context;

    while (!atomic_load(&scene->stops))
        cr_assert_eq(link_step(scene->link, -1, NULL), OK);
    return NULL;
}

static int listen_anywhere(int *port, int flags)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | flags, 0);

    cr_assert(fd >= 0 && !bind(fd, (struct sockaddr *)&address, size) && !listen(fd, 128));
    getsockname(fd, (struct sockaddr *)&address, &size);
    *port = ntohs(address.sin_port);
    return fd;
}

static void wake(struct scene *scene)
{
    const uint64_t one = 1;

    atomic_fetch_add(&scene->block.changes, 1);
    atomic_fetch_add(&scene->changes, 1);
    cr_assert_eq(write(scene->wake_fd, &one, sizeof one), (ssize_t)sizeof one);
}

static struct scene *scene_new(struct link_shape base)
{
    struct scene *scene = calloc(1, sizeof *scene);
    struct sockaddr_in broker = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int port;

    scene->base = base;
    scene->server = listen_anywhere(&port, 0);
    atomic_store(&scene->block.port, (uint32_t)port);
    scene->broker = listen_anywhere(&port, 0);
    broker.sin_port = htons((uint16_t)port);
    scene->wake_fd = eventfd(0, EFD_NONBLOCK);
    scene->listeners[0] = listen_anywhere(&scene->block.grpc_port, SOCK_NONBLOCK);
    scene->listeners[1] = listen_anywhere(&scene->block.mqtt_port, SOCK_NONBLOCK);
    struct link_setup setup = {.num_clients = 1,
                               .block = block_of,
                               .base = base_of,
                               .context = scene,
                               .changes = &scene->changes,
                               .wake_fd = scene->wake_fd,
                               .listeners = scene->listeners,
                               .broker_size = sizeof broker,
                               .seed = 7};
    memcpy(&setup.broker, &broker, sizeof broker);
    cr_assert_eq(link_new(&scene->link, &setup, NULL), OK);
    cr_assert_eq(pthread_create(&scene->thread, NULL, run, scene), 0);
    return scene;
}

static void scene_free(struct scene *scene)
{
    atomic_store(&scene->stops, true);
    wake(scene);
    pthread_join(scene->thread, NULL);
    link_free(scene->link);
    close(scene->wake_fd);
    close(scene->listeners[0]);
    close(scene->listeners[1]);
    if (scene->server >= 0)
        close(scene->server);
    close(scene->broker);
    free(scene);
}

static int call(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static bool is_ready(int fd, short events, int timeout_ms)
{
    struct pollfd one = {.fd = fd, .events = events};

    return poll(&one, 1, timeout_ms) > 0;
}

static int answer(int listener)
{
    cr_assert(is_ready(listener, POLLIN, PATIENCE_MS));
    return accept(listener, NULL, NULL);
}

/* A connection of the leader to the client's server, or of the client to the broker: both of its ends. */
struct ends {
    int near, far;
};

static struct ends connect_grpc(struct scene *scene)
{
    int near = call(scene->block.grpc_port);

    return (struct ends){near, answer(scene->server)};
}

static struct ends connect_mqtt(struct scene *scene)
{
    int near = call(scene->block.mqtt_port);

    return (struct ends){near, answer(scene->broker)};
}

static void close_ends(struct ends ends)
{
    close(ends.near);
    close(ends.far);
}

static void send_text(int fd, const char *text)
{
    cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void expect_text(int fd, const char *text)
{
    char found[64];
    size_t n = strlen(text);

    cr_assert(is_ready(fd, POLLIN, PATIENCE_MS));
    cr_assert_eq(recv(fd, found, n, MSG_WAITALL), (ssize_t)n);
    cr_assert_eq(memcmp(found, text, n), 0);
}

static void expect_nothing(int fd, int ms)
{
    cr_assert_not(is_ready(fd, POLLIN, ms));
}

static void expect_end(int fd)
{
    char byte;

    cr_assert(is_ready(fd, POLLIN, PATIENCE_MS));
    cr_assert_eq(recv(fd, &byte, 1, 0), 0);
}

static void expect_reset(int fd)
{
    char byte;

    cr_assert(is_ready(fd, POLLIN, PATIENCE_MS));
    cr_assert_eq(recv(fd, &byte, 1, 0), -1);
    cr_assert_eq(errno, ECONNRESET);
}

static double seconds(void)
{
    return (double)clock_now_ns(&clock_system) * 1e-9;
}

/* How long one small message needs there and back. */
static double round_trip(struct ends ends)
{
    double began = seconds();

    send_text(ends.near, "question");
    expect_text(ends.far, "question");
    send_text(ends.far, "answer");
    expect_text(ends.near, "answer");
    return seconds() - began;
}

static size_t num_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t n = 0;

    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

struct stream {
    int fd;
    const unsigned char *bytes;
    size_t size;
};

static void *send_stream(void *context)
{
    const struct stream *stream = context;

    for (size_t at = 0; at < stream->size;) {
        ssize_t n = send(stream->fd, stream->bytes + at, stream->size - at, MSG_NOSIGNAL);

        cr_assert_gt(n, 0);
        at += (size_t)n;
    }
    return NULL;
}

/* Everything arrives as it was sent. Returns the seconds. */
static double transfer(int from, int to, size_t size)
{
    unsigned char *sent = malloc(size), *found = malloc(size);
    struct stream stream = {from, sent, size};
    double began = seconds();
    pthread_t sender;

    for (size_t i = 0; i < size; i++)
        sent[i] = (unsigned char)(i * 2654435761u >> 24);
    pthread_create(&sender, NULL, send_stream, &stream);
    cr_assert_eq(recv(to, found, size, MSG_WAITALL), (ssize_t)size);
    pthread_join(sender, NULL);
    cr_assert_eq(memcmp(sent, found, size), 0);
    free(sent);
    free(found);
    return seconds() - began;
}

/* Pieces of any size, split and joined by a slow reader's full buffers. */
static void transfer_both_ways(struct ends ends)
{
    transfer(ends.near, ends.far, BIG);
    transfer(ends.far, ends.near, BIG);
}

TestSuite(link, .timeout = 120);

Test(link, passes_everything_on)
{
    struct scene *scene = scene_new((struct link_shape){0});
    struct ends grpc = connect_grpc(scene), mqtt = connect_mqtt(scene);

    round_trip(grpc);
    round_trip(mqtt);
    transfer_both_ways(grpc);
    shutdown(mqtt.near, SHUT_WR); /* one half at a time */
    expect_end(mqtt.far);
    send_text(mqtt.far, "late");
    expect_text(mqtt.near, "late");
    close(mqtt.far);
    expect_end(mqtt.near);
    close(mqtt.near);
    close_ends(grpc);
    scene_free(scene);
}

Test(link, a_reset_is_passed_on)
{
    struct scene *scene = scene_new((struct link_shape){0});
    struct ends ends = connect_grpc(scene);
    const struct linger at_once = {.l_onoff = 1};

    setsockopt(ends.far, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(ends.far);
    expect_reset(ends.near);
    close(ends.near);
    scene_free(scene);
}

/* The port stays: a client that was started again listens elsewhere. */
Test(link, nobody_there_is_refused_until_somebody_is)
{
    struct scene *scene = scene_new((struct link_shape){0});
    int port;

    close(scene->server);
    scene->server = -1;
    int near = call(scene->block.grpc_port);
    expect_reset(near);
    close(near);
    scene->server = listen_anywhere(&port, 0);
    atomic_store(&scene->block.port, (uint32_t)port);
    struct ends ends = connect_grpc(scene);
    round_trip(ends);
    close_ends(ends);
    scene_free(scene);
}

Test(link, a_thousand_connections_leave_no_descriptor)
{
    struct scene *scene = scene_new((struct link_shape){0});
    size_t before = num_descriptors();

    for (int i = 0; i < 1000; i++) {
        struct ends ends = connect_grpc(scene);

        round_trip(ends);
        close(i % 2 ? ends.near : ends.far);
        expect_end(i % 2 ? ends.far : ends.near);
        close(i % 2 ? ends.far : ends.near);
    }
    struct ends last = connect_grpc(scene); /* whose way through the loop comes after all of theirs */
    round_trip(last);
    close_ends(last);
    for (double began = seconds(); num_descriptors() > before && seconds() - began < 30;)
        poll(NULL, 0, 1);
    cr_assert_eq(num_descriptors(), before);
    scene_free(scene);
}

Test(link, too_many_connections_are_refused)
{
    struct scene *scene = scene_new((struct link_shape){0});
    int near[80], refused = 0;

    for (int i = 0; i < 80; i++)
        near[i] = call(scene->block.grpc_port);
    while (refused < 80 - 64) {
        refused = 0;
        for (int i = 0; i < 80; i++)
            refused += is_ready(near[i], POLLIN, 10);
    }
    cr_assert_eq(refused, 80 - 64);
    for (int i = 0; i < 80; i++)
        close(near[i]);
    scene_free(scene);
}

Test(link, latency_and_its_end)
{
    struct scene *scene = scene_new((struct link_shape){0});
    struct ends ends = connect_grpc(scene);

    round_trip(ends);
    link_set(&scene->block, LINK_LATENCY, 1, 0.1, 0);
    wake(scene);
    cr_assert_geq(round_trip(ends), 0.2);
    transfer_both_ways(ends);
    link_set(&scene->block, LINK_LATENCY, 1, 60, 0);
    wake(scene);
    send_text(ends.near, "late");
    link_unset(&scene->block, LINK_LATENCY, 2); /* another one's */
    wake(scene);
    expect_nothing(ends.far, 100);
    link_unset(&scene->block, LINK_LATENCY, 1);
    wake(scene);
    expect_text(ends.far, "late"); /* now, not in a minute */
    cr_assert_lt(round_trip(ends), 10);
    close_ends(ends);
    scene_free(scene);
}

Test(link, jitter_keeps_the_order)
{
    struct scene *scene = scene_new((struct link_shape){.jitter_s = 0.02});
    struct ends ends = connect_grpc(scene);
    double shortest = 1, longest = 0;

    for (int i = 0; i < 30; i++) {
        double s = round_trip(ends);

        shortest = s < shortest ? s : shortest;
        longest = s > longest ? s : longest;
    }
    cr_assert_gt(longest, 0.015);
    cr_assert_gt(longest - shortest, 0.005);
    transfer_both_ways(ends);
    close_ends(ends);
    scene_free(scene);
}

Test(link, each_direction_has_its_rate)
{
    struct scene *scene = scene_new((struct link_shape){.rate = {[LINK_UP] = 1e6, [LINK_DOWN] = 4e6}});
    struct ends grpc = connect_grpc(scene), mqtt = connect_mqtt(scene);
    double down = transfer(grpc.near, grpc.far, 1000000), up = transfer(grpc.far, grpc.near, 1000000);

    cr_assert(down >= 0.2 && down < 0.8, "%g s", down);
    cr_assert(up >= 0.9 && up < 3, "%g s", up);
    up = transfer(mqtt.near, mqtt.far, 500000);
    cr_assert(up >= 0.4 && up < 2, "%g s", up);
    close_ends(grpc);
    close_ends(mqtt);
    scene_free(scene);
}

Test(link, a_lost_packet_costs_a_retransmission)
{
    struct scene *scene = scene_new((struct link_shape){.loss = 0.3});
    struct ends ends = connect_grpc(scene);
    int late = 0;

    for (int i = 0; i < 20; i++)
        late += round_trip(ends) >= 0.2;
    cr_assert(late >= 3 && late <= 18, "%d", late); /* expected: 10 */
    link_set(&scene->block, LINK_LOSS, 1, 0.01, 0);
    close_ends(ends);
    scene_free(scene);
}

Test(link, a_lossy_line_loses_nothing)
{
    struct scene *scene = scene_new((struct link_shape){.loss = 0.001, .jitter_s = 0.001});
    struct ends ends = connect_mqtt(scene);

    transfer_both_ways(ends);
    close_ends(ends);
    scene_free(scene);
}

/* A byte at a time, each by itself. */
Test(link, slow_drip)
{
    struct scene *scene = scene_new((struct link_shape){0});
    struct ends ends = connect_grpc(scene);
    char bytes[64];
    int pieces = 0;

    round_trip(ends);
    link_set(&scene->block, LINK_SLOW_DRIP, 1, 200, 0);
    wake(scene);
    double began = seconds();
    send_text(ends.near, "a sentence of forty-four bytes, I have counted");
    for (size_t got = 0; got < 44; pieces++) {
        cr_assert(is_ready(ends.far, POLLIN, PATIENCE_MS));
        got += (size_t)recv(ends.far, bytes, sizeof bytes, 0);
    }
    cr_assert_geq(seconds() - began, 0.2);
    cr_assert_gt(pieces, 5);
    link_unset(&scene->block, LINK_SLOW_DRIP, 1);
    wake(scene);
    transfer(ends.far, ends.near, BIG);
    close_ends(ends);
    scene_free(scene);
}

/* Silence both ways; nothing is lost; nobody is told; who calls gets no answer at all. */
Test(link, partition)
{
    struct scene *scene = scene_new((struct link_shape){0});
    struct ends ends = connect_grpc(scene), other = connect_mqtt(scene);

    round_trip(ends);
    round_trip(other);
    link_set(&scene->block, LINK_PARTITION, 1, 0, 0);
    wake(scene);
    send_text(ends.near, "held");
    send_text(ends.far, "back");
    close(other.near);
    expect_nothing(ends.far, 100);
    expect_nothing(ends.near, 0);
    expect_nothing(other.far, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)scene->block.grpc_port)};
    int caller = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    cr_assert_eq(connect(caller, (struct sockaddr *)&address, sizeof address), -1);
    cr_assert_eq(errno, EINPROGRESS);
    cr_assert_not(is_ready(caller, POLLOUT, 100));
    link_unset(&scene->block, LINK_PARTITION, 1);
    wake(scene);
    expect_text(ends.far, "held");
    expect_text(ends.near, "back");
    expect_end(other.far);
    cr_assert(is_ready(caller, POLLOUT, PATIENCE_MS)); /* its SYN is sent again */
    close(answer(scene->server));
    close(caller);
    close(other.far);
    close_ends(ends);
    scene_free(scene);
}

/* What the client sends is lost and ends are not told; when it is over such a connection is worth nothing. */
Test(link, half_open)
{
    struct scene *scene = scene_new((struct link_shape){0});
    struct ends ends = connect_grpc(scene), ended = connect_mqtt(scene), idle = connect_grpc(scene);

    round_trip(ends);
    round_trip(ended);
    round_trip(idle);
    link_set(&scene->block, LINK_HALF_OPEN, 1, 0, 0);
    wake(scene);
    send_text(ends.near, "question");
    expect_text(ends.far, "question");
    send_text(ends.far, "answer");
    close(ended.near);
    expect_nothing(ends.near, 100);
    expect_nothing(ended.far, 0);
    send_text(ended.far, "are you there?");
    expect_nothing(ended.far, 50);
    link_unset(&scene->block, LINK_HALF_OPEN, 1);
    wake(scene);
    expect_reset(ends.near);
    expect_reset(ends.far);
    expect_reset(ended.far);
    round_trip(idle); /* which did not notice */
    close_ends(idle);
    close_ends(ends);
    close(ended.far);
    scene_free(scene);
}

Test(link, disconnect)
{
    struct scene *scene = scene_new((struct link_shape){0});
    struct ends grpc = connect_grpc(scene), mqtt = connect_mqtt(scene);

    round_trip(grpc);
    round_trip(mqtt);
    atomic_fetch_add(&scene->block.disconnects, 1);
    wake(scene);
    expect_reset(grpc.near);
    expect_reset(grpc.far);
    expect_reset(mqtt.near);
    expect_reset(mqtt.far);
    close_ends(grpc);
    close_ends(mqtt);
    grpc = connect_grpc(scene);
    round_trip(grpc);
    close_ends(grpc);
    scene_free(scene);
}

Test(link, flaky)
{
    struct scene *scene = scene_new((struct link_shape){0});

    link_set(&scene->block, LINK_FLAKY, 1, 0.05, 0);
    wake(scene);
    for (int i = 0; i < 5; i++) {
        struct ends ends = connect_grpc(scene);

        expect_reset(ends.near);
        expect_reset(ends.far);
        close_ends(ends);
    }
    link_unset(&scene->block, LINK_FLAKY, 1);
    wake(scene);
    struct ends ends = connect_grpc(scene);
    expect_nothing(ends.near, 300);
    close_ends(ends);
    scene_free(scene);
}

/* A reader that does not read fills the kernel's buffers and ours, and the sender has to wait. */
Test(link, memory_is_bounded)
{
    struct scene *scene = scene_new((struct link_shape){.latency_s = 0.01});
    struct ends ends = connect_grpc(scene);
    char *bytes = calloc(1, 1024 * 1024);
    size_t sent = 0;

    while (is_ready(ends.near, POLLOUT, 500)) {
        ssize_t n = send(ends.near, bytes, 1024 * 1024, MSG_DONTWAIT);

        sent += n > 0 ? (size_t)n : 0;
        cr_assert_lt(sent, (size_t)64 * 1024 * 1024);
    }
    cr_assert_gt(sent, (size_t)1024 * 1024);
    free(bytes);
    close_ends(ends);
    scene_free(scene);
}
