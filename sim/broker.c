#include "sim/broker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/fs.h"

#define MS ((uint64_t)1000000)

enum { START_LIMIT_MS = 10000, RETRY_MS = 5, PORT_TRIES = 5 };

/* Debian installs mosquitto into /usr/sbin, which is not in everybody's PATH. */
static char *find_program(void)
{
    const char *path = getenv("PATH");
    char *folders = NULL, *rest, *found = NULL;

    if (asprintf(&folders, "%s:/usr/sbin:/usr/local/sbin", path ? path : "") < 0)
        return NULL;
    rest = folders;
    for (char *folder; !found && (folder = strsep(&rest, ":"));) {
        char *program = *folder ? fs_join(folder, "mosquitto") : NULL;

        if (program && !access(program, X_OK) && !fs_is_dir(program))
            found = program;
        else
            free(program);
    }
    free(folders);
    return found;
}

/* The port is free now; that it stays so until the broker has it, nobody can promise (PORT_TRIES). */
static int find_port(struct error *err)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int port = -1;

    if (fd >= 0 && !bind(fd, (struct sockaddr *)&address, sizeof address) &&
        !getsockname(fd, (struct sockaddr *)&address, &size))
        port = ntohs(address.sin_port);
    if (port < 0)
        FAIL(err, ERR_SETUP, "no free port on 127.0.0.1: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return port;
}

/* Without limits on queues: by default mosquitto drops adverts when a thousand clients speak at once. It stays the user
 * who called us, for a change of user would clear the signal that ends it when the supervisor dies. */
static int write_config(const struct broker *broker, struct error *err)
{
    const struct passwd *user = getpwuid(geteuid());
    char text[512];
    int n = snprintf(text, sizeof text,
                     "listener %d 127.0.0.1\n"
                     "allow_anonymous true\n"
                     "persistence false\n"
                     "max_queued_messages 0\n"
                     "max_inflight_messages 0\n"
                     "set_tcp_nodelay true\n"
                     "sys_interval 0\n"
                     "log_dest stderr\n"
                     "log_type error\nlog_type warning\nlog_type notice\nlog_type information\n"
                     "%s%s\n",
                     broker->port, geteuid() == 0 && user ? "user " : "", geteuid() == 0 && user ? user->pw_name : "");
    struct span whole = span_of(text, (size_t)n);

    return fs_write_atomic(broker->config_path, &whole, 1, err);
}

static int run_mosquitto(void *context)
{
    const struct broker *broker = context;

    execl(broker->program, "mosquitto", "-c", broker->config_path, (char *)NULL);
    fprintf(stderr, "cannot execute %s: %s\n", broker->program, strerror(errno));
    return 127;
}

static bool takes_connections(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof address);

    if (fd >= 0)
        close(fd);
    return connected;
}

static bool is_up_or_gone(void *context)
{
    const struct broker *broker = context;

    return broker->process.state != PROCESS_RUNNING || takes_connections(broker->port);
}

/* mosquitto has no way to say that it is ready, so its door is tried; between tries we hear of its end at once. */
static int await_start(struct broker *broker, struct supervisor *supervisor, struct error *err)
{
    int status = ERR_DEADLINE;

    for (int waited_ms = 0; waited_ms < START_LIMIT_MS && status == ERR_DEADLINE; waited_ms += RETRY_MS)
        status = supervisor_wait(supervisor, is_up_or_gone, broker, RETRY_MS * MS, err);
    if (status == ERR_DEADLINE)
        return FAIL(err, ERR_SETUP, "mosquitto did not open its port within %d s; see %s", START_LIMIT_MS / 1000,
                    broker->process.log_path);
    return status;
}

static int complain_of_end(const struct broker *broker, struct error *err)
{
    char how[64];
    char *tail = process_log_tail(&broker->process, 3);

    process_end_text(&broker->process, how, sizeof how);
    FAIL(err, ERR_SETUP, "mosquitto ended while starting (%s): %s", how, tail ? tail : "");
    free(tail);
    return ERR_SETUP;
}

static int try_port(struct broker *broker, struct supervisor *supervisor, struct error *err)
{
    struct process_entry entry = {.run = run_mosquitto, .context = broker, .unblock_signals = true};

    broker->port = find_port(err);
    if (broker->port < 0)
        return ERR_SETUP;
    int status = write_config(broker, err);
    if (status == OK)
        status = supervisor_start(supervisor, &broker->process, entry, err);
    if (status == OK)
        status = await_start(broker, supervisor, err);
    return status;
}

static int complain_of_absence(struct error *err)
{
    return FAIL(err, ERR_SETUP,
                "mosquitto is not installed: `apt-get install mosquitto`, or name a broker that runs with "
                "`broker: {host: ..., port: ...}`");
}

int broker_is_installed(struct error *err)
{
    char *program = find_program();
    bool found = program != NULL;

    free(program);
    return found ? OK : complain_of_absence(err);
}

int broker_start(struct broker *out, struct supervisor *supervisor, const char *folder, struct error *err)
{
    memset(out, 0, sizeof *out);
    out->program = find_program();
    out->config_path = fs_join(folder, "mosquitto.conf");
    snprintf(out->process.name, sizeof out->process.name, "mosquitto");
    snprintf(out->process.log_path, sizeof out->process.log_path, "%s/mosquitto.log", folder);
    if (!out->program)
        return complain_of_absence(err);
    if (!out->config_path)
        return FAIL(err, ERR_MEMORY, "out of memory");
    for (int i = 0; i < PORT_TRIES; i++) {
        int status = try_port(out, supervisor, err);

        if (status != OK)
            return status;
        if (out->process.state == PROCESS_RUNNING)
            return OK;
    }
    return complain_of_end(out, err);
}

void broker_fini(struct broker *broker)
{
    free(broker->program);
    free(broker->config_path);
    broker->program = broker->config_path = NULL;
}

static int connect_to(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, address->ai_protocol);
    struct timeval limit = {.tv_sec = 5};

    if (fd < 0)
        return errno;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    int failed = connect(fd, address->ai_addr, address->ai_addrlen) ? errno : 0;
    close(fd);
    return failed;
}

int broker_probe(const char *host, int port, struct error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *addresses = NULL;
    char service[16];
    int failed = ECONNREFUSED;

    snprintf(service, sizeof service, "%d", port);
    int unresolved = getaddrinfo(host, service, &hints, &addresses);
    if (unresolved)
        return FAIL(err, ERR_SETUP, "broker %s: %s; correct `broker`, or use `broker: embedded`", host,
                    gai_strerror(unresolved));
    for (const struct addrinfo *address = addresses; address && failed; address = address->ai_next)
        failed = connect_to(address);
    freeaddrinfo(addresses);
    if (failed)
        return FAIL(err, ERR_SETUP, "no broker at %s:%d: %s; start one, or use `broker: embedded`", host, port,
                    strerror(failed));
    return OK;
}
