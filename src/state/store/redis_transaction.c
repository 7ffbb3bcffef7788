/* The transactions of the kind `redis`, and the leader's term, which is watched from one to the next. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/store/redis.h"

/* What of the leader goes with a transaction; and the watch for the next one. */
static int put_leader(struct redis *self, struct error *err)
{
    char term[24], commit[24];
    int status;

    snprintf(term, sizeof term, "%" PRIu64, self->term);
    snprintf(commit, sizeof commit, "%" PRIu64, ++self->sequence);
    status = redis_command(self, err, "HSET", self->cluster, "term", term, "commit", commit, NULL);
    if (status == OK)
        status = redis_command(self, err, "EXEC", NULL);
    if (status == OK)
        status = redis_command(self, err, "WATCH", self->cluster, NULL);
    return status == OK ? redis_command(self, err, "HGET", self->cluster, "term", NULL) : status;
}

int redis_replaced(uint64_t other, uint64_t ours, struct error *err)
{
    return FAIL(err, ERR_PRECONDITION, "another leader has taken over (term %" PRIu64 ", this one's is %" PRIu64 ")",
                other, ours);
}

static uint64_t number_of(const redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_STRING ? strtoull(reply->str, NULL, 10) : 0;
}

/* Watches leader_<cluster>, then reads it: what changes afterwards makes EXEC fail. */
int redis_watch(struct redis *self, uint64_t *term, uint64_t *commit, struct error *err)
{
    redisReply *reply = NULL;
    int status = redis_command(self, err, "WATCH", self->cluster, NULL);

    if (status == OK)
        status = redis_command(self, err, "HMGET", self->cluster, "term", "commit", NULL);
    if (status == OK)
        status = redis_ask(self, &reply, err);
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
        status = redis_reply(self, &reply, err);
        if (status == OK && reply->type == REDIS_REPLY_ERROR && !*why)
            snprintf(why, sizeof why, "%s", reply->str);
    }
    for (size_t i = 0; status == OK && reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
        if (reply->element[i]->type == REDIS_REPLY_ERROR && !*why)
            snprintf(why, sizeof why, "%s", reply->element[i]->str);
    *done = status == OK && reply->type == REDIS_REPLY_ARRAY;
    freeReplyObject(reply);
    return status == OK && *why ? redis_refused(self, why, err) : status;
}

static int read_watch(struct redis *self, bool done, struct error *err)
{
    redisReply *reply = NULL;
    int status = redis_ask(self, &reply, err);
    uint64_t term = status == OK ? number_of(reply) : 0;

    freeReplyObject(reply);
    if (status != OK)
        return done ? OK : status; /* it is there; the next one will see */
    if (term > self->term)
        return redis_replaced(term, self->term, err);
    return done ? OK
                : redis_lost(self, ERR_UNAVAILABLE, "somebody else changed the leader's record; trying again", err);
}

/* Too short a patience would send the same large transaction again and again. */
static void note_slowness(struct redis *self, int status)
{
    enum { MOST = 16 };

    if (status == OK)
        self->slowness = 1;
    else if (self->slowness < MOST)
        self->slowness *= 2;
}

int redis_putall(void *priv, const struct state_batch *batch, struct error *err)
{
    struct redis *self = priv;
    bool done = false;
    int status = OK;

    for (size_t i = 0; i < batch->n && status == OK; i++) {
        char hash[NAME_MAX_BYTES];

        status = redis_learn_chunks(self, redis_hash_name(hash, "", batch->groups[i].store, batch->groups[i].id), err);
    }
    if (status == OK)
        status = redis_command(self, err, "MULTI", NULL);
    for (size_t i = 0; i < batch->n && status == OK; i++) {
        status = redis_put_group(self, batch->groups + i, err);
        if (status == OK && i == batch->n / 2)
            status = redis_flush(self, err);
        if (status == OK && i == batch->n / 2)
            PROBE(self->probes, "state.committing", batch->round);
    }
    if (status == OK)
        status = self->term ? put_leader(self, err) : redis_command(self, err, "EXEC", NULL);
    if (status == OK)
        status = redis_flush(self, err);
    if (status == OK)
        redis_be_patient(self, state_batch_bytes(batch) * self->slowness);
    if (status == OK)
        status = read_exec(self, &done, err);
    if (status == OK && self->term)
        status = read_watch(self, done, err);
    if (self->connection)
        redis_be_patient(self, 0);
    note_slowness(self, status);
    if (status == OK)
        self->acknowledged = self->sequence;
    else if (status != ERR_PRECONDITION)
        redis_disconnect(self);
    return status;
}

/* ---- terms ---- */

static int write_term(struct redis *self, uint64_t term, bool *done, struct error *err)
{
    char text[24];
    redisReply *reply = NULL;
    int status = redis_command(self, err, "MULTI", NULL);

    snprintf(text, sizeof text, "%" PRIu64, term);
    if (status == OK)
        status = redis_command(self, err, "HSET", self->cluster, "term", text, "commit", "0", NULL);
    if (status == OK)
        status = redis_command(self, err, "EXEC", NULL);
    if (status == OK)
        status = redis_ask(self, &reply, err);
    *done = status == OK && reply->type == REDIS_REPLY_ARRAY;
    freeReplyObject(reply);
    return status;
}

int redis_take_term(void *priv, const char *cluster, uint64_t at_least, uint64_t *term, struct error *err)
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
        status = redis_watch(self, &stored, &commit, err);
        *term = stored + 1 > at_least ? stored + 1 : at_least;
        if (status == OK)
            status = write_term(self, *term, &done, err);
    }
    if (status != OK)
        return error_context(err, status, "cannot write the leader's term");
    self->term = *term;
    self->sequence = self->acknowledged = 0;
    status = redis_watch(self, &stored, &commit, err);
    return status == OK && stored > self->term ? redis_replaced(stored, self->term, err) : status;
}
