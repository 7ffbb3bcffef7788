#include "sim/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/container_of.h"
#include "util/fs.h"

#define MS ((uint64_t)1000000)

enum { START_LIMIT_MS = 10000, RETRY_MS = 5 };

/* Debian installs mosquitto into /usr/sbin, which is not in everybody's PATH. */
static char *find_program(const char *name)
{
    const char *path = getenv("PATH");
    char *folders = NULL, *rest, *found = NULL;

    if (asprintf(&folders, "%s:/usr/sbin:/usr/local/sbin", path ? path : "") < 0)
        return NULL;
    rest = folders;
    for (char *folder; !found && (folder = strsep(&rest, ":"));) {
        char *program = *folder ? fs_join(folder, name) : NULL;

        if (program && !access(program, X_OK) && !fs_is_dir(program))
            found = program;
        else
            free(program);
    }
    free(folders);
    return found;
}

static int complain_of_absence(const struct server_kind *kind, struct error *err)
{
    return FAIL(err, ERR_SETUP, "%s is not installed: %s", kind->program, kind->remedy);
}

int server_is_installed(const struct server_kind *kind, struct error *err)
{
    char *program = find_program(kind->program);
    bool found = program != NULL;

    free(program);
    return found ? OK : complain_of_absence(kind, err);
}

/* --- its port --- */

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
}

/* A socket that is bound and never listens keeps the port: nobody else gets it for a listener of his own or for a
 * connection that he opens, also while the server is dead. The server, which sets SO_REUSEADDR as servers do, does. Set
 * after the bind, it does not let two runs choose the same port. */
static int take_port(struct server *server, struct error *err)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    const int yes = 1;

    server->port_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->port_fd < 0 || bind(server->port_fd, (struct sockaddr *)&address, sizeof address) ||
        getsockname(server->port_fd, (struct sockaddr *)&address, &size) ||
        setsockopt(server->port_fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes))
        return FAIL(err, ERR_SETUP, "no free port on 127.0.0.1: %s", strerror(errno));
    server->port = ntohs(address.sin_port);
    return OK;
}

static bool is_open(const struct server *server)
{
    struct sockaddr_in address = loopback(server->port);
    struct timeval limit = {.tv_usec = 100000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    bool open = fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof address) &&
                (!server->kind->serves || server->kind->serves(fd));
    if (fd >= 0)
        close(fd);
    return open;
}

/* --- starting --- */

static int write_config(const struct server *server, struct error *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return FAIL(err, ERR_MEMORY, "out of memory");
    server->kind->write_config(server, out);
    int status = fclose(out) ? FAIL(err, ERR_MEMORY, "out of memory") : OK;
    struct span whole = span_of(text, size);
    if (status == OK)
        status = fs_write_atomic(server->config_path, &whole, 1, err);
    free(text);
    return status;
}

static int run(void *context)
{
    const struct server *server = context;
    const char *name = server->kind->program, *option = server->kind->config_option;

    execl(server->program, name, option ? option : server->config_path, option ? server->config_path : (char *)NULL,
          (char *)NULL);
    fprintf(stderr, "cannot execute %s: %s\n", server->program, strerror(errno));
    return 127;
}

static int start_process(struct server *server, struct error *err)
{
    struct process_entry entry = {.run = run, .context = server, .unblock_signals = true};

    server->is_open = false;
    return supervisor_start(server->supervisor, &server->process, entry, err);
}

static bool is_up_or_gone(void *context)
{
    struct server *server = context;

    server->is_open = server->process.state == PROCESS_RUNNING && is_open(server);
    return server->is_open || server->process.state != PROCESS_RUNNING;
}

static int complain_of_end(const struct server *server, struct error *err)
{
    char how[64];
    char *tail = process_log_tail(&server->process, 3);

    process_end_text(&server->process, how, sizeof how);
    FAIL(err, ERR_SETUP, "%s ended while starting (%s): %s", server->kind->program, how, tail ? tail : "");
    free(tail);
    return ERR_SETUP;
}

/* These servers have no way to say that they are ready, so the door is tried; between tries we hear of an end at once.
 */
static int await_start(struct server *server, struct error *err)
{
    int status = ERR_DEADLINE;

    for (int waited_ms = 0; waited_ms < START_LIMIT_MS && status == ERR_DEADLINE; waited_ms += RETRY_MS)
        status = supervisor_wait(server->supervisor, is_up_or_gone, server, RETRY_MS * MS, err);
    if (status == ERR_DEADLINE)
        return FAIL(err, ERR_SETUP, "%s did not open its port within %d s; see %s", server->kind->program,
                    START_LIMIT_MS / 1000, server->process.log_path);
    return status || server->is_open ? status : complain_of_end(server, err);
}

static void try_door(struct supervisor_timer *timer)
{
    struct server *server = CONTAINER_OF(timer, struct server, door);

    if (!is_up_or_gone(server))
        supervisor_timer_set(server->supervisor, timer, RETRY_MS * MS);
    else if (server->is_open && server->opened)
        server->opened(server->context);
}

int server_start_again(struct server *server, struct error *err)
{
    int status = start_process(server, err);

    if (status == OK)
        supervisor_timer_set(server->supervisor, &server->door, RETRY_MS * MS);
    return status;
}

void server_has_ended(struct server *server)
{
    server->is_open = false;
}

int server_start(struct server *out, const struct server_kind *kind, struct supervisor *supervisor, const char *logs,
                 const char *folder, struct error *err)
{
    *out = (struct server){.kind = kind, .supervisor = supervisor, .port_fd = -1, .door = {.fire = try_door}};
    snprintf(out->process.name, sizeof out->process.name, "%.63s", kind->program);
    snprintf(out->process.log_path, sizeof out->process.log_path, "%s/%s.log", logs, kind->program);
    out->program = find_program(kind->program);
    out->folder = strdup(folder);
    if (asprintf(&out->config_path, "%s/%s.conf", logs, kind->program) < 0)
        out->config_path = NULL;
    if (!out->program)
        return complain_of_absence(kind, err);
    if (!out->config_path || !out->folder)
        return FAIL(err, ERR_MEMORY, "out of memory");
    int status = fs_make_dirs(folder, err);
    if (status == OK)
        status = take_port(out, err);
    if (status == OK)
        status = write_config(out, err);
    if (status == OK)
        status = start_process(out, err);
    return status ? status : await_start(out, err);
}

void server_fini(struct server *server)
{
    if (!server->kind)
        return;
    free(server->program);
    free(server->config_path);
    free(server->folder);
    if (server->port_fd >= 0)
        close(server->port_fd);
    *server = (struct server){0};
}

/* --- one of somebody else's --- */

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

int server_probe(const char *key, const char *host, int port, struct error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *addresses = NULL;
    char service[16];
    int failed = ECONNREFUSED;

    snprintf(service, sizeof service, "%d", port);
    int unresolved = getaddrinfo(host, service, &hints, &addresses);
    if (unresolved)
        return FAIL(err, ERR_SETUP, "%s %s: %s; correct `%s`, or use `%s: embedded`", key, host,
                    gai_strerror(unresolved), key, key);
    for (const struct addrinfo *address = addresses; address && failed; address = address->ai_next)
        failed = connect_to(address);
    freeaddrinfo(addresses);
    if (failed)
        return FAIL(err, ERR_SETUP, "no %s at %s:%d: %s; start one, or use `%s: embedded`", key, host, port,
                    strerror(failed), key);
    return OK;
}
