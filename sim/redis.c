#include "sim/redis.h"

#include <string.h>
#include <sys/socket.h>

/* Every write is synced before it is acknowledged, so that a SIGKILL loses nothing that was. No snapshots beside the
 * append-only file; that is rewritten when it has grown large. `set-proc-title no` keeps the command line, by which
 * people and tests tell whose server it is. */
static void write_config(const struct server *server, FILE *out)
{
    fprintf(out,
            "bind 127.0.0.1\n"
            "port %d\n"
            "dir \"%s\"\n"
            "daemonize no\n"
            "set-proc-title no\n"
            "appendonly yes\n"
            "appendfsync always\n"
            "save \"\"\n"
            "auto-aof-rewrite-min-size 512mb\n"
            "logfile \"\"\n",
            server->port, server->folder);
}

/* It takes connections before it has its data back from disk. */
static bool serves(int fd)
{
    static const char ping[] = "PING\r\n", pong[] = "+PONG";
    char answer[sizeof pong] = "";

    return send(fd, ping, sizeof ping - 1, MSG_NOSIGNAL) == (ssize_t)sizeof ping - 1 &&
           recv(fd, answer, sizeof pong - 1, MSG_WAITALL) == (ssize_t)sizeof pong - 1 && !strcmp(answer, pong);
}

const struct server_kind redis_kind = {
    .program = "redis-server",
    .remedy = "`apt-get install redis-server`, or name a server that runs with `redis: {host: ..., port: ...}`",
    .write_config = write_config,
    .serves = serves,
};
