/* What the kind `redis` reads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/store/redis.h"

enum { WINDOW = 64 };

const char *redis_hash_name(char text[NAME_MAX_BYTES], const char *prefix, enum store_name store, const char *id)
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
        status = redis_command(self, err, "HGET", hash, field, NULL);
        if (status == OK)
            status = redis_ask(self, &reply, err);
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

int redis_get(void *priv, enum store_name store, const char *id, const char *key, struct blob **out, struct error *err)
{
    struct redis *self = priv;
    char hash[NAME_MAX_BYTES], size[FIELD_MAX];
    redisReply *reply = NULL;
    int status;

    *out = NULL;
    redis_hash_name(hash, "", store, id);
    snprintf(size, sizeof size, "%s size", key);
    status = redis_command(self, err, "HMGET", hash, key, size, NULL);
    if (status == OK)
        status = redis_ask(self, &reply, err);
    if (status == OK)
        status = value_of(self, reply, hash, key, out, err);
    freeReplyObject(reply);
    return status;
}

int redis_len(void *priv, enum store_name store, const char *id, size_t *out, struct error *err)
{
    struct redis *self = priv;
    char set[NAME_MAX_BYTES];
    redisReply *reply = NULL;
    int status = redis_command(self, err, "SCARD", redis_hash_name(set, "keys_", store, id), NULL);

    if (status == OK)
        status = redis_ask(self, &reply, err);
    *out = status == OK ? (size_t)reply->integer : 0;
    freeReplyObject(reply);
    return status;
}

/* Lengths of up to WINDOW fields in one round trip. */
static int add_lengths(struct redis *self, const char *hash, redisReply **fields, size_t n, size_t *sum,
                       struct error *err)
{
    int status = OK;

    for (size_t i = 0; i < n && status == OK; i++)
        status = redis_command(self, err, "HSTRLEN", hash, fields[i]->str, NULL);
    if (status == OK)
        status = redis_flush(self, err);
    for (size_t i = 0; i < n && status == OK; i++) {
        redisReply *reply = NULL;

        status = redis_reply(self, &reply, err);
        if (status == OK)
            *sum += strlen(fields[i]->str) + (reply->type == REDIS_REPLY_INTEGER ? (size_t)reply->integer : 0);
        freeReplyObject(reply);
    }
    return status;
}

int redis_bytes(void *priv, enum store_name store, const char *id, size_t *out, struct error *err)
{
    struct redis *self = priv;
    char hash[NAME_MAX_BYTES];
    redisReply *fields = NULL;
    int status = redis_command(self, err, "HKEYS", redis_hash_name(hash, "", store, id), NULL);

    *out = 0;
    if (status == OK)
        status = redis_ask(self, &fields, err);
    for (size_t i = 0; status == OK && i < fields->elements; i += WINDOW) {
        size_t n = fields->elements - i < WINDOW ? fields->elements - i : WINDOW;

        status = add_lengths(self, hash, fields->element + i, n, out, err);
    }
    freeReplyObject(fields);
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
        status = redis_command(self, err, "HMGET", hash, keys[i]->str, size, NULL);
    }
    if (status == OK)
        status = redis_flush(self, err);
    for (size_t i = 0; i < n && status == OK; i++)
        status = redis_reply(self, &replies[i], err);
    for (size_t i = 0; i < n && status == OK; i++) {
        struct blob *value = NULL;

        if (replies[i]->type == REDIS_REPLY_ERROR)
            status = redis_refused(self, replies[i]->str, err);
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

int redis_each(void *priv, enum store_name store, const char *id, store_visit visit, void *context, struct error *err)
{
    struct redis *self = priv;
    char hash[NAME_MAX_BYTES], set[NAME_MAX_BYTES];
    redisReply *keys = NULL;
    int status = redis_command(self, err, "SMEMBERS", redis_hash_name(set, "keys_", store, id), NULL);

    redis_hash_name(hash, "", store, id);
    if (status == OK)
        status = redis_ask(self, &keys, err);
    if (status == OK && keys->elements)
        qsort(keys->element, keys->elements, sizeof *keys->element, by_text);
    for (size_t i = 0; status == OK && i < keys->elements; i += WINDOW) {
        size_t n = keys->elements - i < WINDOW ? keys->elements - i : WINDOW;

        status = visit_window(self, hash, keys->element + i, n, visit, context, err);
    }
    freeReplyObject(keys);
    return status;
}

int redis_sessions(void *priv, store_visit_session visit, void *context, struct error *err)
{
    struct redis *self = priv;
    redisReply *reply = NULL;
    int status = redis_command(self, err, "ZRANGE", "sessions", "0", "-1", "WITHSCORES", NULL);

    if (status == OK)
        status = redis_ask(self, &reply, err);
    for (size_t i = 0; status == OK && i + 1 < reply->elements; i += 2)
        status = visit(context, reply->element[i]->str, strtod(reply->element[i + 1]->str, NULL));
    freeReplyObject(reply);
    return status;
}
