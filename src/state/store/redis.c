/* The kind `redis`. A store is a hash <store>_<id> and the set keys_<store>_<id> of its keys; a large value lies in the
 * fields "<key> 0", "<key> 1" … of the hash, with "<key> size" (keys have no blanks) and an empty field of its own
 * name. The sorted set `sessions` has each session's id and when it was written last. The hash leader_<cluster> has the
 * term of the latest leader and the number of its last transaction; it is watched from one transaction to the next, so
 * that EXEC fails as soon as another leader has taken the term. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <hiredis/hiredis.h>

#include "state/batch.h"
#include "util/clock.h"
#include "util/crash_point.h"

enum { DEFAULT_TIMEOUT_MS = 5000, WINDOW = 64, BUFFERED = 64 * 1024 };

struct redis {
    redisContext *connection; /* NULL: there is none */
    char *host, *username, *password, *cluster;
    int port;
    int64_t db;
    struct timeval timeout;
    size_t chunk_bytes;
    struct probes *probes;
    char *out; /* commands not yet sent */
    size_t out_n, out_capacity;
    size_t awaited;                        /* replies */
    uint64_t term, sequence, acknowledged; /* of this leader; transactions sent, and known to be there */
    struct table chunks;                   /* "<hash> <key>": values known to be in chunks */
    struct table known;                    /* hashes whose chunked values are known */
};

/* ---- the connection ---- */

static void disconnect(struct redis *self)
{
    if (self->connection)
        redisFree(self->connection);
    self->connection = NULL;
    self->out_n = self->awaited = 0;
    table_clear(&self->chunks);
    table_clear(&self->known);
}

static int lost(struct redis *self, const char *why, struct error *err)
{
    char text[256];

    snprintf(text, sizeof text, "%s", why);
    disconnect(self);
    return FAIL(err, ERR_UNAVAILABLE, "Redis at %s:%d: %s", self->host, self->port, text);
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
            return lost(self, errno == EAGAIN ? "it takes nothing any more" : strerror(errno), err);
        data += n;
        size -= (size_t)n;
    }
    return OK;
}

static int flush(struct redis *self, struct error *err)
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
static int argument(struct redis *self, const void *data, size_t size, struct error *err)
{
    char head[32];
    int n = snprintf(head, sizeof head, "$%zu\r\n", size), status = buffer(self, head, (size_t)n, err);

    if (status == OK && size > BUFFERED) {
        status = flush(self, err);
        if (status == OK)
            status = write_whole(self, data, size, err);
    } else if (status == OK && size)
        status = buffer(self, data, size, err);
    return status == OK ? buffer(self, "\r\n", 2, err) : status;
}

static int begin_command(struct redis *self, int arguments, struct error *err)
{
    char head[16];
    int n = snprintf(head, sizeof head, "*%d\r\n", arguments);

    if (!self->connection)
        return FAIL(err, ERR_UNAVAILABLE, "Redis at %s:%d: not connected", self->host, self->port);
    if (self->out_n > BUFFERED && flush(self, err) != OK)
        return ERR_UNAVAILABLE;
    self->awaited++;
    return buffer(self, head, (size_t)n, err);
}

/* A command of texts; the last argument is NULL. */
static int command(struct redis *self, struct error *err, ...)
{
    const char *texts[8], *text;
    int n = 0, status;
    va_list args;

    va_start(args, err);
    while ((text = va_arg(args, const char *)) && n < 8)
        texts[n++] = text;
    va_end(args);
    status = begin_command(self, n, err);
    for (int i = 0; i < n && status == OK; i++)
        status = argument(self, texts[i], strlen(texts[i]), err);
    return status;
}

/* The next reply, errors included; new. */
static int reply_of(struct redis *self, redisReply **out, struct error *err)
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
        return lost(self, "what listens there does not speak Redis", err);
    if (self->connection->err == REDIS_ERR_IO && errno == EAGAIN)
        snprintf(why, sizeof why, "no answer for %.1f s",
                 (double)self->timeout.tv_sec + 1e-6 * (double)self->timeout.tv_usec);
    else
        snprintf(why, sizeof why, "%s", self->connection->errstr);
    return lost(self, why, err);
}

static int refused(struct redis *self, const redisReply *reply, struct error *err)
{
    char text[300];

    snprintf(text, sizeof text, "%s", reply->str);
    return lost(self, text, err); /* the connection may be in the middle of a transaction */
}

/* Sends one command that stands in the buffer; an error reply is an error. */
static int ask(struct redis *self, redisReply **out, struct error *err)
{
    redisReply *reply = NULL;
    int status = flush(self, err);

    if (out)
        *out = NULL;
    while (status == OK && self->awaited > 0) {
        freeReplyObject(reply);
        reply = NULL;
        status = reply_of(self, &reply, err);
        if (status == OK && reply->type == REDIS_REPLY_ERROR)
            status = refused(self, reply, err);
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
        status = command(self, err, "AUTH", self->username, self->password, NULL);
    else if (self->password)
        status = command(self, err, "AUTH", self->password, NULL);
    if (status == OK && self->password && ask(self, NULL, err) != OK) {
        bool wrong = err && (strstr(err->message, "WRONGPASS") || strstr(err->message, "ERR AUTH"));

        return error_context(err, ERR_UNAVAILABLE, "%s",
                             wrong ? "wrong state_username or state_password_file" : "cannot log in");
    }
    snprintf(db, sizeof db, "%" PRId64, self->db);
    if (status == OK)
        status = command(self, err, "SELECT", db, NULL);
    if (status == OK && ask(self, NULL, err) != OK) {
        if (err && strstr(err->message, "NOAUTH"))
            return error_context(err, ERR_UNAVAILABLE, "it wants a password: set state.state_password_file");
        return error_context(err, ERR_UNAVAILABLE, "database %s (state.state_db)", db);
    }
    return status;
}

static int connect_anew(struct redis *self, struct error *err)
{
    disconnect(self);
    self->connection = redisConnectWithTimeout(self->host, self->port, self->timeout);
    if (!self->connection)
        return FAIL(err, ERR_MEMORY, "no memory for a connection to Redis");
    if (self->connection->err)
        return lost(self, self->connection->errstr, err);
    redisSetTimeout(self->connection, self->timeout);
    redisEnableKeepAlive(self->connection);
    return log_in(self, err);
}

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
    return connect_anew(self, err);
}

static void close_redis(void *priv)
{
    struct redis *self = priv;

    disconnect(self);
    table_fini(&self->chunks);
    table_fini(&self->known);
    free(self->host);
    free(self->username);
    free(self->password);
    free(self->cluster);
    free(self->out);
}

/* ---- reading ---- */

enum { NAME_MAX_BYTES = 400, FIELD_MAX = STORE_KEY_MAX + 32 };

static const char *hash_name(char text[NAME_MAX_BYTES], const char *prefix, enum store_name store, const char *id)
{
    snprintf(text, NAME_MAX_BYTES, "%s%s_%s", prefix, store_names[store], id);
    return text;
}

static void release_reply(void *reply)
{
    freeReplyObject(reply);
}

/* Takes the reply of HGET. */
static int blob_of(redisReply *reply, const char *hash, const char *key, struct blob **out, struct error *err)
{
    if (reply->type != REDIS_REPLY_STRING) {
        freeReplyObject(reply);
        return FAIL(err, ERR_CORRUPT, "Redis: %s lacks a part of %s", hash, key);
    }
    *out = blob_adopt(reply->str, reply->len, release_reply, reply);
    if (*out)
        return OK;
    freeReplyObject(reply);
    return FAIL(err, ERR_MEMORY, "no memory for %s", key);
}

static int get_chunks(struct redis *self, const char *hash, const char *key, size_t size, struct blob **out,
                      struct error *err)
{
    struct blob *blob = blob_new(size);
    size_t done = 0;
    int status = blob ? OK : FAIL(err, ERR_MEMORY, "no memory for %zu bytes of %s", size, key);

    for (size_t i = 0; status == OK && done < size; i++) {
        char field[FIELD_MAX];
        redisReply *reply = NULL;

        snprintf(field, sizeof field, "%s %zu", key, i);
        status = command(self, err, "HGET", hash, field, NULL);
        if (status == OK)
            status = ask(self, &reply, err);
        if (status == OK && (reply->type != REDIS_REPLY_STRING || reply->len == 0 || reply->len > size - done))
            status = FAIL(err, ERR_CORRUPT, "Redis: %s lacks a part of %s", hash, key);
        if (status == OK) {
            memcpy((char *)blob_bytes(blob) + done, reply->str, reply->len);
            done += reply->len;
        }
        freeReplyObject(reply);
    }
    if (status == OK)
        *out = blob;
    else
        blob_unref(blob);
    return status;
}

/* The reply of HMGET hash key "key size". */
static int value_of(struct redis *self, redisReply *reply, const char *hash, const char *key, struct blob **out,
                    struct error *err)
{
    redisReply *value = reply->elements == 2 ? reply->element[0] : NULL;
    redisReply *size = reply->elements == 2 ? reply->element[1] : NULL;

    if (!value || value->type != REDIS_REPLY_STRING)
        return FAIL(err, ERR_NOT_FOUND, "%s has no %s", hash, key);
    if (size->type == REDIS_REPLY_STRING)
        return get_chunks(self, hash, key, strtoull(size->str, NULL, 10), out, err);
    reply->element[0] = NULL; /* ours; freeReplyObject skips what is NULL */
    return blob_of(value, hash, key, out, err);
}

static int get(void *priv, enum store_name store, const char *id, const char *key, struct blob **out, struct error *err)
{
    struct redis *self = priv;
    char hash[NAME_MAX_BYTES], size[FIELD_MAX];
    redisReply *reply = NULL;
    int status;

    *out = NULL;
    hash_name(hash, "", store, id);
    snprintf(size, sizeof size, "%s size", key);
    status = command(self, err, "HMGET", hash, key, size, NULL);
    if (status == OK)
        status = ask(self, &reply, err);
    if (status == OK)
        status = value_of(self, reply, hash, key, out, err);
    freeReplyObject(reply);
    return status;
}

static int len(void *priv, enum store_name store, const char *id, size_t *out, struct error *err)
{
    struct redis *self = priv;
    char set[NAME_MAX_BYTES];
    redisReply *reply = NULL;
    int status = command(self, err, "SCARD", hash_name(set, "keys_", store, id), NULL);

    if (status == OK)
        status = ask(self, &reply, err);
    *out = status == OK ? (size_t)reply->integer : 0;
    freeReplyObject(reply);
    return status;
}

static int by_text(const void *a, const void *b)
{
    return strcmp((*(redisReply *const *)a)->str, (*(redisReply *const *)b)->str);
}

/* Values of up to WINDOW keys in one round trip. */
static int visit_window(struct redis *self, const char *hash, redisReply **keys, size_t n, store_visit visit,
                        void *context, struct error *err)
{
    redisReply *replies[WINDOW] = {NULL};
    int status = OK;

    for (size_t i = 0; i < n && status == OK; i++) {
        char size[FIELD_MAX];

        snprintf(size, sizeof size, "%s size", keys[i]->str);
        status = command(self, err, "HMGET", hash, keys[i]->str, size, NULL);
    }
    if (status == OK)
        status = flush(self, err);
    for (size_t i = 0; i < n && status == OK; i++)
        status = reply_of(self, &replies[i], err);
    for (size_t i = 0; i < n && status == OK; i++) {
        struct blob *value = NULL;

        if (replies[i]->type == REDIS_REPLY_ERROR)
            status = refused(self, replies[i], err);
        else
            status = value_of(self, replies[i], hash, keys[i]->str, &value, err);
        if (status == OK)
            status = visit(context, keys[i]->str, value);
        blob_unref(value);
    }
    for (size_t i = 0; i < n; i++)
        freeReplyObject(replies[i]);
    return status;
}

static int each(void *priv, enum store_name store, const char *id, store_visit visit, void *context, struct error *err)
{
    struct redis *self = priv;
    char hash[NAME_MAX_BYTES], set[NAME_MAX_BYTES];
    redisReply *keys = NULL;
    int status = command(self, err, "SMEMBERS", hash_name(set, "keys_", store, id), NULL);

    hash_name(hash, "", store, id);
    if (status == OK)
        status = ask(self, &keys, err);
    if (status == OK && keys->elements)
        qsort(keys->element, keys->elements, sizeof *keys->element, by_text);
    for (size_t i = 0; status == OK && i < keys->elements; i += WINDOW) {
        size_t n = keys->elements - i < WINDOW ? keys->elements - i : WINDOW;

        status = visit_window(self, hash, keys->element + i, n, visit, context, err);
    }
    freeReplyObject(keys);
    return status;
}

static int sessions(void *priv, store_visit_session visit, void *context, struct error *err)
{
    struct redis *self = priv;
    redisReply *reply = NULL;
    int status = command(self, err, "ZRANGE", "sessions", "0", "-1", "WITHSCORES", NULL);

    if (status == OK)
        status = ask(self, &reply, err);
    for (size_t i = 0; status == OK && i + 1 < reply->elements; i += 2)
        status = visit(context, reply->element[i]->str, strtod(reply->element[i + 1]->str, NULL));
    freeReplyObject(reply);
    return status;
}

/* ---- writing ---- */

/* Which values of the hashes are in chunks, so that replacing them leaves nothing behind: asked once a connection. */
static int learn_chunks(struct redis *self, const char *hash, struct error *err)
{
    redisReply *fields = NULL;
    int status = table_find(&self->known, hash) ? 1 : command(self, err, "HKEYS", hash, NULL);

    if (status == 1)
        return OK;
    if (status == OK)
        status = ask(self, &fields, err);
    for (size_t i = 0; status == OK && i < fields->elements; i++) {
        char text[NAME_MAX_BYTES + FIELD_MAX];

        if (!strchr(fields->element[i]->str, ' '))
            continue;
        snprintf(text, sizeof text, "%s %s", hash, fields->element[i]->str);
        status = table_put(&self->chunks, text, NULL);
    }
    if (status == OK)
        status = table_put(&self->known, hash, NULL);
    freeReplyObject(fields);
    return status == ERR_MEMORY ? FAIL(err, status, "no memory for the fields of %s", hash) : status;
}

static int remove_chunks(struct redis *self, const char *hash, const char *key, struct error *err)
{
    size_t prefix = strlen(hash) + 1, i = 0;
    char text[NAME_MAX_BYTES + FIELD_MAX];
    int status = OK;
    size_t n = (size_t)snprintf(text, sizeof text, "%s %s ", hash, key);

    while (i < self->chunks.n && status == OK) {
        const char *chunk = self->chunks.entries[i].key;

        if (strncmp(chunk, text, n) != 0) {
            i++;
            continue;
        }
        status = command(self, err, "HDEL", hash, chunk + prefix, NULL);
        table_delete(&self->chunks, chunk);
    }
    return status;
}

static int put_field(struct redis *self, const char *hash, const char *field, struct span value, struct error *err)
{
    int status = begin_command(self, 4, err);

    if (status == OK)
        status = argument(self, "HSET", 4, err);
    if (status == OK)
        status = argument(self, hash, strlen(hash), err);
    if (status == OK)
        status = argument(self, field, strlen(field), err);
    if (status == OK)
        status = argument(self, value.data, value.size, err);
    return status;
}

static int put_chunk(struct redis *self, const char *hash, const char *field, struct span value, struct error *err)
{
    char text[NAME_MAX_BYTES + FIELD_MAX];

    snprintf(text, sizeof text, "%s %s", hash, field);
    if (table_put(&self->chunks, text, NULL) != OK)
        return FAIL(err, ERR_MEMORY, "no memory for the parts of a value");
    return put_field(self, hash, field, value, err);
}

static int put_chunks(struct redis *self, const char *hash, const char *key, struct span value, struct error *err)
{
    char field[FIELD_MAX], size[24];
    int n = snprintf(size, sizeof size, "%zu", value.size), status;

    snprintf(field, sizeof field, "%s size", key);
    status = put_chunk(self, hash, field, span_of(size, (size_t)n), err);
    for (size_t i = 0, done = 0; status == OK && done < value.size; i++) {
        size_t part = value.size - done < self->chunk_bytes ? value.size - done : self->chunk_bytes;

        snprintf(field, sizeof field, "%s %zu", key, i);
        status = put_chunk(self, hash, field, span_of((const char *)value.data + done, part), err);
        done += part;
    }
    return status;
}

static int put_value(struct redis *self, const char *hash, const char *set, const struct table_entry *entry,
                     struct error *err)
{
    struct span value = blob_span(entry->value);
    bool large = value.size > self->chunk_bytes;
    int status = remove_chunks(self, hash, entry->key, err);

    if (status == OK && !entry->value)
        status = command(self, err, "HDEL", hash, entry->key, NULL);
    else if (status == OK)
        status = put_field(self, hash, entry->key, large ? span_of("", 0) : value, err);
    if (status == OK && large)
        status = put_chunks(self, hash, entry->key, value, err);
    if (status == OK)
        status = command(self, err, entry->value ? "SADD" : "SREM", set, entry->key, NULL);
    return status;
}

static int put_group(struct redis *self, const struct batch_group *group, struct error *err)
{
    char hash[NAME_MAX_BYTES], set[NAME_MAX_BYTES], time[32];
    bool session = group->store == STORE_TRAINING_SESSION;
    int status = OK;

    hash_name(hash, "", group->store, group->id);
    hash_name(set, "keys_", group->store, group->id);
    snprintf(time, sizeof time, "%.3f", clock_wall_s(&clock_system));
    if (group->cleared)
        status = command(self, err, "DEL", hash, set, NULL);
    if (group->cleared && session && status == OK)
        status = command(self, err, "ZREM", "sessions", group->id, NULL);
    for (size_t i = 0; i < group->changes.n && status == OK; i++)
        status = put_value(self, hash, set, group->changes.entries + i, err);
    if (status == OK && session && group->changes.n > 0)
        status = command(self, err, "ZADD", "sessions", time, group->id, NULL);
    return status;
}

/* What of the leader goes with a transaction; and the watch for the next one. */
static int put_leader(struct redis *self, struct error *err)
{
    char term[24], commit[24];
    int status;

    snprintf(term, sizeof term, "%" PRIu64, self->term);
    snprintf(commit, sizeof commit, "%" PRIu64, ++self->sequence);
    status = command(self, err, "HSET", self->cluster, "term", term, "commit", commit, NULL);
    if (status == OK)
        status = command(self, err, "EXEC", NULL);
    if (status == OK)
        status = command(self, err, "WATCH", self->cluster, NULL);
    return status == OK ? command(self, err, "HGET", self->cluster, "term", NULL) : status;
}

static int replaced(uint64_t other, uint64_t ours, struct error *err)
{
    return FAIL(err, ERR_PRECONDITION, "another leader has taken over (term %" PRIu64 ", this one's is %" PRIu64 ")",
                other, ours);
}

static uint64_t number_of(const redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_STRING ? strtoull(reply->str, NULL, 10) : 0;
}

/* Watches leader_<cluster>, then reads it: what changes afterwards makes EXEC fail. */
static int watch(struct redis *self, uint64_t *term, uint64_t *commit, struct error *err)
{
    redisReply *reply = NULL;
    int status = command(self, err, "WATCH", self->cluster, NULL);

    if (status == OK)
        status = command(self, err, "HMGET", self->cluster, "term", "commit", NULL);
    if (status == OK)
        status = ask(self, &reply, err);
    if (status == OK && reply->elements == 2) {
        *term = number_of(reply->element[0]);
        *commit = number_of(reply->element[1]);
    }
    freeReplyObject(reply);
    return status;
}

/* Reads replies until that of EXEC. An error among them has made Redis refuse the whole; the first one says why. */
static int read_exec(struct redis *self, bool *done, struct error *err)
{
    size_t after = self->term ? 2 : 0;
    redisReply *reply = NULL;
    char why[200] = "";
    int status = OK;

    while (status == OK && self->awaited > after) {
        freeReplyObject(reply);
        status = reply_of(self, &reply, err);
        if (status == OK && reply->type == REDIS_REPLY_ERROR && !*why)
            snprintf(why, sizeof why, "%s", reply->str);
    }
    for (size_t i = 0; status == OK && reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
        if (reply->element[i]->type == REDIS_REPLY_ERROR && !*why)
            snprintf(why, sizeof why, "%s", reply->element[i]->str);
    *done = status == OK && reply->type == REDIS_REPLY_ARRAY;
    freeReplyObject(reply);
    return status == OK && *why ? lost(self, why, err) : status;
}

static int read_watch(struct redis *self, bool done, struct error *err)
{
    redisReply *reply = NULL;
    int status = ask(self, &reply, err);
    uint64_t term = status == OK ? number_of(reply) : 0;

    freeReplyObject(reply);
    if (status != OK)
        return done ? OK : status; /* it is there; the next one will see */
    if (term > self->term)
        return replaced(term, self->term, err);
    return done ? OK : lost(self, "somebody else changed the leader's record; trying again", err);
}

static int putall(void *priv, const struct state_batch *batch, struct error *err)
{
    struct redis *self = priv;
    bool done = false;
    int status = OK;

    for (size_t i = 0; i < batch->n && status == OK; i++) {
        char hash[NAME_MAX_BYTES];

        status = learn_chunks(self, hash_name(hash, "", batch->groups[i].store, batch->groups[i].id), err);
    }
    if (status == OK)
        status = command(self, err, "MULTI", NULL);
    for (size_t i = 0; i < batch->n && status == OK; i++) {
        status = put_group(self, batch->groups + i, err);
        if (status == OK && i == batch->n / 2)
            status = flush(self, err);
        if (status == OK && i == batch->n / 2)
            PROBE(self->probes, "state.committing", batch->round);
    }
    if (status == OK)
        status = self->term ? put_leader(self, err) : command(self, err, "EXEC", NULL);
    if (status == OK)
        status = flush(self, err);
    if (status == OK)
        status = read_exec(self, &done, err);
    if (status == OK && self->term)
        status = read_watch(self, done, err);
    if (status == OK)
        self->acknowledged = self->sequence;
    else if (status != ERR_PRECONDITION)
        disconnect(self);
    return status;
}

/* ---- terms ---- */

static int write_term(struct redis *self, uint64_t term, bool *done, struct error *err)
{
    char text[24];
    redisReply *reply = NULL;
    int status = command(self, err, "MULTI", NULL);

    snprintf(text, sizeof text, "%" PRIu64, term);
    if (status == OK)
        status = command(self, err, "HSET", self->cluster, "term", text, "commit", "0", NULL);
    if (status == OK)
        status = command(self, err, "EXEC", NULL);
    if (status == OK)
        status = ask(self, &reply, err);
    *done = status == OK && reply->type == REDIS_REPLY_ARRAY;
    freeReplyObject(reply);
    return status;
}

static int take_term(void *priv, const char *cluster, uint64_t at_least, uint64_t *term, struct error *err)
{
    struct redis *self = priv;
    uint64_t stored = 0, commit = 0;
    bool done = false;
    char name[NAME_MAX_BYTES];
    int status = OK;

    snprintf(name, sizeof name, "leader_%s", cluster);
    free(self->cluster);
    self->cluster = strdup(name);
    if (!self->cluster)
        return FAIL(err, ERR_MEMORY, "no memory for the leader's record");
    while (status == OK && !done) {
        status = watch(self, &stored, &commit, err);
        *term = stored + 1 > at_least ? stored + 1 : at_least;
        if (status == OK)
            status = write_term(self, *term, &done, err);
    }
    if (status != OK)
        return error_context(err, status, "cannot write the leader's term");
    self->term = *term;
    self->sequence = self->acknowledged = 0;
    status = watch(self, &stored, &commit, err);
    return status == OK && stored > self->term ? replaced(stored, self->term, err) : status;
}

static int reopen(void *priv, bool *complete, struct error *err)
{
    struct redis *self = priv;
    uint64_t term = 0, commit = 0;
    int status = connect_anew(self, err);

    *complete = false;
    if (status != OK || !self->term)
        return status;
    status = watch(self, &term, &commit, err);
    if (status == OK && term > self->term)
        return replaced(term, self->term, err);
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
    .get = get,
    .len = len,
    .each = each,
    .putall = putall,
    .sessions = sessions,
    .take_term = take_term,
};
