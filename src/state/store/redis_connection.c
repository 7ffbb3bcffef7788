/* The connection of the kind `redis`: commands are collected and sent in large pieces, replies come in their order. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "state/store/redis.h"
#include "util/crash_point.h"

enum { BUFFERED = 64 * 1024 };
#define SLOW_DISK_BYTES_S 10e6 /* with `appendfsync always` EXEC is answered after all of it was written */

void redis_disconnect(struct redis *self)
{
    if (self->connection)
        redisFree(self->connection);
    self->connection = NULL;
    self->out_n = self->awaited = 0;
    table_clear(&self->chunks);
    table_clear(&self->known);
}

int redis_lost(struct redis *self, int status, const char *why, struct error *err)
{
    char text[500];

    snprintf(text, sizeof text, "%s", why); /* it may lie in the connection */
    redis_disconnect(self);
    return FAIL(err, status, "Redis at %s:%d: %s", self->host, self->port, text);
}

/* A write error of hiredis' own would raise SIGPIPE; and every write is a place to crash at. */
static int write_whole(struct redis *self, const char *data, size_t size, struct error *err)
{
    while (size > 0) {
        ssize_t n;

        crash_point();
        n = send(self->connection->fd, data, size < 16u << 20 ? size : 16u << 20, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return redis_lost(self, ERR_UNAVAILABLE, errno == EAGAIN ? "it takes nothing any more" : strerror(errno),
                              err);
        data += n;
        size -= (size_t)n;
    }
    return OK;
}

int redis_flush(struct redis *self, struct error *err)
{
    int status = write_whole(self, self->out, self->out_n, err);

    self->out_n = 0;
    return status;
}

static int buffer(struct redis *self, const void *data, size_t size, struct error *err)
{
    if (self->out_n + size > self->out_capacity) {
        size_t capacity = self->out_n + size + BUFFERED;
        char *out = realloc(self->out, capacity);

        if (!out)
            return FAIL(err, ERR_MEMORY, "no memory for what goes to Redis");
        self->out = out;
        self->out_capacity = capacity;
    }
    memcpy(self->out + self->out_n, data, size);
    self->out_n += size;
    return OK;
}

/* A large argument goes from where it lies to the socket. */
int redis_argument(struct redis *self, const void *data, size_t size, struct error *err)
{
    char head[32];
    int n = snprintf(head, sizeof head, "$%zu\r\n", size), status = buffer(self, head, (size_t)n, err);

    if (status == OK && size > BUFFERED) {
        status = redis_flush(self, err);
        if (status == OK)
            status = write_whole(self, data, size, err);
    } else if (status == OK && size)
        status = buffer(self, data, size, err);
    return status == OK ? buffer(self, "\r\n", 2, err) : status;
}

int redis_begin(struct redis *self, int arguments, struct error *err)
{
    char head[16];
    int n = snprintf(head, sizeof head, "*%d\r\n", arguments);

    if (!self->connection)
        return FAIL(err, ERR_UNAVAILABLE, "Redis at %s:%d: not connected", self->host, self->port);
    if (self->out_n > BUFFERED && redis_flush(self, err) != OK)
        return ERR_UNAVAILABLE;
    self->awaited++;
    return buffer(self, head, (size_t)n, err);
}

/* A command of texts; the last argument is NULL. */
int redis_command(struct redis *self, struct error *err, ...)
{
    const char *texts[8], *text;
    int n = 0, status;
    va_list args;

    va_start(args, err);
    while ((text = va_arg(args, const char *)) && n < 8)
        texts[n++] = text;
    va_end(args);
    status = redis_begin(self, n, err);
    for (int i = 0; i < n && status == OK; i++)
        status = redis_argument(self, texts[i], strlen(texts[i]), err);
    return status;
}

/* The next reply, errors included; new. */
int redis_reply(struct redis *self, redisReply **out, struct error *err)
{
    void *reply = NULL;
    char why[200];

    *out = NULL;
    if (redisGetReply(self->connection, &reply) == REDIS_OK) {
        self->awaited--;
        *out = reply;
        return OK;
    }
    if (self->connection->err == REDIS_ERR_PROTOCOL)
        return redis_lost(self, ERR_SETUP, "what listens there does not speak Redis", err);
    if (self->connection->err == REDIS_ERR_IO && errno == EAGAIN)
        snprintf(why, sizeof why, "no answer for %.1f s", self->patience_s);
    else
        snprintf(why, sizeof why, "%s", self->connection->errstr);
    return redis_lost(self, ERR_UNAVAILABLE, why, err);
}

/* Sends one command that stands in the buffer; an error reply is an error. */
int redis_ask(struct redis *self, redisReply **out, struct error *err)
{
    redisReply *reply = NULL;
    int status = redis_flush(self, err);

    if (out)
        *out = NULL;
    while (status == OK && self->awaited > 0) {
        freeReplyObject(reply);
        reply = NULL;
        status = redis_reply(self, &reply, err);
        if (status == OK && reply->type == REDIS_REPLY_ERROR)
            status = redis_refused(self, reply->str, err);
    }
    if (status == OK && out)
        *out = reply;
    else
        freeReplyObject(reply);
    return status;
}

static int log_in(struct redis *self, struct error *err)
{
    char db[24];
    int status = OK;

    if (self->password && self->username)
        status = redis_command(self, err, "AUTH", self->username, self->password, NULL);
    else if (self->password)
        status = redis_command(self, err, "AUTH", self->password, NULL);
    if (status == OK && self->password)
        status = redis_ask(self, NULL, err);
    snprintf(db, sizeof db, "%" PRId64, self->db);
    if (status == OK)
        status = redis_command(self, err, "SELECT", db, NULL);
    return status == OK ? redis_ask(self, NULL, err) : status;
}

static struct timeval timeval_of(double seconds)
{
    return (struct timeval){(time_t)seconds, (suseconds_t)(1e6 * (seconds - floor(seconds)))};
}

void redis_be_patient(struct redis *self, size_t bytes)
{
    self->patience_s = 1e-3 * self->timeout_ms + (double)bytes / SLOW_DISK_BYTES_S;
    redisSetTimeout(self->connection, timeval_of(self->patience_s));
}

int redis_connect(struct redis *self, struct error *err)
{
    redis_disconnect(self);
    self->connection = redisConnectWithTimeout(self->host, self->port, timeval_of(1e-3 * self->timeout_ms));
    if (!self->connection)
        return FAIL(err, ERR_MEMORY, "no memory for a connection to Redis");
    if (self->connection->err)
        return redis_lost(self, ERR_UNAVAILABLE, self->connection->errstr, err);
    redis_be_patient(self, 0);
    redisEnableKeepAlive(self->connection);
    return log_in(self, err);
}

int redis_is_loading(struct redis *self, bool *loading, struct error *err)
{
    redisReply *reply = NULL;
    int status = redis_command(self, err, "PING", NULL);

    if (status == OK)
        status = redis_flush(self, err);
    if (status == OK)
        status = redis_reply(self, &reply, err);
    *loading = status == OK && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "LOADING", 7) == 0;
    freeReplyObject(reply);
    return status;
}
