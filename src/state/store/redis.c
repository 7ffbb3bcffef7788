/* The kind `redis`. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "state/store/redis.h"
#include "util/clock.h"

enum { DEFAULT_TIMEOUT_MS = 5000, DEFAULT_LOADING_MS = 60000, FIRST_PAUSE_MS = 20, LAST_PAUSE_MS = 500 };

/* A Redis that was started with us, after the machine's restart, answers before it has read its data. */
static int wait_until_loaded(struct redis *self, int for_ms, const struct log *log, struct error *err)
{
    uint64_t until = clock_now_ns(&clock_system) + (uint64_t)for_ms * 1000000u;
    bool loading = true, told = false;
    int pause_ms = FIRST_PAUSE_MS;

    for (;;) {
        int status = redis_is_loading(self, &loading, err);

        if (status != OK || !loading)
            return status;
        if (clock_now_ns(&clock_system) >= until)
            return redis_lost(self, ERR_UNAVAILABLE, "it still loads its data (LOADING); try again later", err);
        if (!told)
            log_write(log, LOG_WARN, "state", "Redis at %s:%d still loads its data; waiting for at most %d s",
                      self->host, self->port, for_ms / 1000);
        told = true;
        poll(NULL, 0, pause_ms);
        pause_ms = pause_ms * 2 < LAST_PAUSE_MS ? pause_ms * 2 : LAST_PAUSE_MS;
    }
}

/* The predecessor's Redis may come up later than this leader, after the machine's restart. */
static int connect_within(struct redis *self, int for_ms, const struct log *log, struct error *err)
{
    uint64_t until = clock_now_ns(&clock_system) + (uint64_t)for_ms * 1000000u;
    int pause_ms = FIRST_PAUSE_MS, status;
    bool told = false;

    for (;;) {
        struct error why = ERROR_INIT;

        status = redis_connect(self, &why);
        if (status != ERR_UNAVAILABLE || clock_now_ns(&clock_system) >= until) {
            if (status != OK && err)
                *err = why;
            return status;
        }
        if (!told)
            log_write(log, LOG_WARN, "state", "%s; waiting for it for at most %d s", why.message, for_ms / 1000);
        told = true;
        poll(NULL, 0, pause_ms);
        pause_ms = pause_ms * 2 < LAST_PAUSE_MS ? pause_ms * 2 : LAST_PAUSE_MS;
    }
}

static int open_redis(void *priv, const struct store_options *options, struct error *err)
{
    struct redis *self = priv;
    int status;

    self->host = strdup(options->host);
    self->username = options->username ? strdup(options->username) : NULL;
    self->password = options->password ? strdup(options->password) : NULL;
    self->port = options->port;
    self->db = options->db;
    self->slowness = 1;
    self->timeout_ms = options->timeout_ms ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
    self->chunk_bytes = options->chunk_bytes ? options->chunk_bytes : (size_t)64 << 20;
    self->probes = options->probes;
    if (!self->host)
        return FAIL(err, ERR_MEMORY, "no memory for Redis' address");
    status = connect_within(self, options->connect_ms, options->log, err);
    if (status != OK)
        return status;
    return wait_until_loaded(self, options->loading_ms ? options->loading_ms : DEFAULT_LOADING_MS, options->log, err);
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
    if (status == OK && term > self->term) {
        redis_disconnect(self); /* what it watches now is the other's: it would let us write */
        return redis_replaced(term, self->term, err);
    }
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
    .bytes = redis_bytes,
    .each = redis_each,
    .putall = redis_putall,
    .sessions = redis_sessions,
    .take_term = redis_take_term,
};
