/* The kind `redis`, inside. A store is a hash <store>_<id> and the set keys_<store>_<id> of its keys; a large value
 * lies in the fields "<key> 0", "<key> 1" … of the hash, with "<key> size" (keys have no blanks) and an empty field of
 * its own name. The sorted set `sessions` has each session's id and when it was written last. The hash leader_<cluster>
 * has the term of the latest leader and the number of its last transaction; it is watched from one transaction to the
 * next, so that EXEC fails as soon as another leader has taken the term. Nobody outside store/ includes this. */
#ifndef FLOSIM_STATE_STORE_REDIS_H
#define FLOSIM_STATE_STORE_REDIS_H

#include <hiredis/hiredis.h>

#include "state/batch.h"

struct redis {
    redisContext *connection; /* NULL: there is none */
    char *host, *username, *password, *cluster;
    int port;
    int64_t db;
    int timeout_ms;
    double patience_s; /* how long the next reply may take */
    size_t slowness;   /* from 1; doubles with every transaction that fails, so that a slow disk is not for ever */
    size_t chunk_bytes;
    struct probes *probes;
    char *out; /* commands not yet sent */
    size_t out_n, out_capacity;
    size_t awaited;                        /* replies */
    uint64_t term, sequence, acknowledged; /* of this leader; transactions sent, and known to be there */
    struct table chunks;                   /* "<hash> <key>": values known to be in chunks */
    struct table known;                    /* hashes whose chunked values are known */
};

enum { NAME_MAX_BYTES = 400, FIELD_MAX = STORE_KEY_MAX + 32 };

/* ---- redis_connection.c: after ERR_UNAVAILABLE there is no connection any more ---- */

int redis_connect(struct redis *self, struct error *err); /* anew, logs in and selects the database */
void redis_disconnect(struct redis *self);
int redis_lost(struct redis *self, int status, const char *why, struct error *err); /* disconnects; the status */
/* The next replies may come after timeout_ms, and so much later as `bytes` take a slow disk. */
void redis_be_patient(struct redis *self, size_t bytes);
int redis_is_loading(struct redis *self, bool *loading, struct error *err);

/* Commands are collected and counted in `awaited`. A command of texts; the last argument is NULL. */
int redis_command(struct redis *self, struct error *err, ...);
/* The same by parts: redis_begin, then so many arguments. A large one goes from where it lies to the socket. */
int redis_begin(struct redis *self, int arguments, struct error *err);
int redis_argument(struct redis *self, const void *data, size_t size, struct error *err);
int redis_flush(struct redis *self, struct error *err);

/* The next reply, errors included; new. */
int redis_reply(struct redis *self, redisReply **out, struct error *err);
/* Sends what is collected and takes the last reply (`out` may be NULL); an error reply is an error. */
int redis_ask(struct redis *self, redisReply **out, struct error *err);

/* redis_refusal.c: what an error reply means; disconnects. */
int redis_refused(struct redis *self, const char *reply, struct error *err);

/* ---- redis_read.c ---- */

const char *redis_hash_name(char text[NAME_MAX_BYTES], const char *prefix, enum store_name store, const char *id);
int redis_get(void *priv, enum store_name store, const char *id, const char *key, struct blob **out, struct error *err);
int redis_len(void *priv, enum store_name store, const char *id, size_t *out, struct error *err);
int redis_bytes(void *priv, enum store_name store, const char *id, size_t *out, struct error *err);
int redis_each(void *priv, enum store_name store, const char *id, store_visit visit, void *context, struct error *err);
int redis_sessions(void *priv, store_visit_session visit, void *context, struct error *err);

/* ---- redis_values.c: between MULTI and EXEC ---- */

/* Before MULTI: which values of the hash are in chunks, so that replacing them leaves nothing behind; asked once a
 * connection. */
int redis_learn_chunks(struct redis *self, const char *hash, struct error *err);
int redis_put_group(struct redis *self, const struct batch_group *group, struct error *err);

/* ---- redis_transaction.c ---- */

int redis_putall(void *priv, const struct state_batch *batch, struct error *err);
int redis_take_term(void *priv, const char *cluster, uint64_t at_least, uint64_t *term, struct error *err);
/* Watches leader_<cluster>, then reads it: what changes afterwards makes EXEC fail. */
int redis_watch(struct redis *self, uint64_t *term, uint64_t *commit, struct error *err);
int redis_replaced(uint64_t other, uint64_t ours, struct error *err); /* ERR_PRECONDITION */

#endif
