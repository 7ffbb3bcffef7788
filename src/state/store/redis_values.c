/* How the changes of a batch become commands. */
#include <stdio.h>
#include <string.h>

#include "state/store/redis.h"
#include "util/clock.h"

/* Which values of the hashes are in chunks, so that replacing them leaves nothing behind: asked once a connection. */
int redis_learn_chunks(struct redis *self, const char *hash, struct error *err)
{
    redisReply *fields = NULL;
    int status = table_find(&self->known, hash) ? 1 : redis_command(self, err, "HKEYS", hash, NULL);

    if (status == 1)
        return OK;
    if (status == OK)
        status = redis_ask(self, &fields, err);
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
        status = redis_command(self, err, "HDEL", hash, chunk + prefix, NULL);
        table_delete(&self->chunks, chunk);
    }
    return status;
}

static int put_field(struct redis *self, const char *hash, const char *field, struct span value, struct error *err)
{
    int status = redis_begin(self, 4, err);

    if (status == OK)
        status = redis_argument(self, "HSET", 4, err);
    if (status == OK)
        status = redis_argument(self, hash, strlen(hash), err);
    if (status == OK)
        status = redis_argument(self, field, strlen(field), err);
    if (status == OK)
        status = redis_argument(self, value.data, value.size, err);
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
        status = redis_command(self, err, "HDEL", hash, entry->key, NULL);
    else if (status == OK)
        status = put_field(self, hash, entry->key, large ? span_of("", 0) : value, err);
    if (status == OK && large)
        status = put_chunks(self, hash, entry->key, value, err);
    if (status == OK)
        status = redis_command(self, err, entry->value ? "SADD" : "SREM", set, entry->key, NULL);
    return status;
}

int redis_put_group(struct redis *self, const struct batch_group *group, struct error *err)
{
    char hash[NAME_MAX_BYTES], set[NAME_MAX_BYTES], time[32];
    bool session = group->store == STORE_TRAINING_SESSION;
    int status = OK;

    redis_hash_name(hash, "", group->store, group->id);
    redis_hash_name(set, "keys_", group->store, group->id);
    snprintf(time, sizeof time, "%.3f", clock_wall_s(&clock_system));
    if (group->cleared)
        status = redis_command(self, err, "DEL", hash, set, NULL);
    if (group->cleared && session && status == OK)
        status = redis_command(self, err, "ZREM", "sessions", group->id, NULL);
    for (size_t i = 0; i < group->changes.n && status == OK; i++)
        status = put_value(self, hash, set, group->changes.entries + i, err);
    if (status == OK && session && group->changes.n > 0)
        status = redis_command(self, err, "ZADD", "sessions", time, group->id, NULL);
    return status;
}
