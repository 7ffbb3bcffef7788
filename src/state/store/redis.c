/* The kind `redis`. */
#include <stdlib.h>
#include <string.h>

#include "state/store/redis.h"

enum { DEFAULT_TIMEOUT_MS = 5000 };

static int open_redis(void *priv, const struct store_options *options, struct error *err)
{
    struct redis *self = priv;
    int timeout_ms = options->timeout_ms ? options->timeout_ms : DEFAULT_TIMEOUT_MS;

    self->host = strdup(options->host);
    self->username = options->username ? strdup(options->username) : NULL;
    self->password = options->password ? strdup(options->password) : NULL;
    self->port = options->port;
    self->db = options->db;
    self->timeout = (struct timeval){timeout_ms / 1000, timeout_ms % 1000 * 1000};
    self->chunk_bytes = options->chunk_bytes ? options->chunk_bytes : (size_t)64 << 20;
    self->probes = options->probes;
    if (!self->host)
        return FAIL(err, ERR_MEMORY, "no memory for Redis' address");
    return redis_connect(self, err);
}

static void close_redis(void *priv)
{
    struct redis *self = priv;

    redis_disconnect(self);
    table_fini(&self->chunks);
    table_fini(&self->known);
    free(self->host);
    free(self->username);
    free(self->password);
    free(self->cluster);
    free(self->out);
}

static int reopen(void *priv, bool *complete, struct error *err)
{
    struct redis *self = priv;
    uint64_t term = 0, commit = 0;
    int status = redis_connect(self, err);

    *complete = false;
    if (status != OK || !self->term)
        return status;
    status = redis_watch(self, &term, &commit, err);
    if (status == OK && term > self->term)
        return redis_replaced(term, self->term, err);
    *complete = status == OK && term == self->term && commit >= self->acknowledged;
    return status;
}

extern const struct store_ops store_redis;
const struct store_ops store_redis = {
    .name = "redis",
    .outlives = true,
    .private_size = sizeof(struct redis),
    .open = open_redis,
    .close = close_redis,
    .reopen = reopen,
    .get = redis_get,
    .len = redis_len,
    .each = redis_each,
    .putall = redis_putall,
    .sessions = redis_sessions,
    .take_term = redis_take_term,
};
