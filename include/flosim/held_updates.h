/* Updates that an aggregator keeps until their round is complete, for rules that are not sums: medians, trimmed means,
 * choices among updates.
 *
 * They lie sorted by client id, so that whatever is computed from them in that order does not depend on the order in
 * which they came. Memory is P floats for each. A member that has nothing but these begins its state with a struct
 * flosim_held, gives flosim_held_init its rule, and takes the ops from the end of this file. Not thread safe. */
#ifndef FLOSIM_HELD_UPDATES_H
#define FLOSIM_HELD_UPDATES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flosim/strategy.h>

struct flosim_held_update {
    char *client;
    int64_t num_samples;
    float *weights; /* [P] */
};

struct flosim_held;

/* Make a model of all that is held (at least one): fills out [P]. FLOSIM_READY; FLOSIM_TOO_FEW or a negative status
 * after host->explain. */
typedef int flosim_held_rule(const struct flosim_held *held, float *out);

struct flosim_held {
    const struct flosim_host *host; /* borrowed */
    const void *args;               /* of the member; borrowed */
    flosim_held_rule *rule;
    struct flosim_held_update *updates; /* [n], by client id */
    size_t n, capacity;
};

/* ---- the collection --------------------------------------------------------------------------------------------- */

static inline void flosim_held_init(struct flosim_held *held, const void *args, const struct flosim_host *host,
                                    flosim_held_rule *rule)
{
    *held = (struct flosim_held){.host = host, .args = args, .rule = rule};
}

static inline void flosim_held_remove(struct flosim_held *held, size_t at)
{
    free(held->updates[at].client);
    free(held->updates[at].weights);
    held->n--;
    memmove(held->updates + at, held->updates + at + 1, (held->n - at) * sizeof *held->updates);
}

/* Forget all. */
static inline void flosim_held_clear(struct flosim_held *held)
{
    while (held->n > 0)
        flosim_held_remove(held, held->n - 1);
}

static inline int flosim_held_reserve(struct flosim_held *held)
{
    size_t capacity = held->capacity ? 2 * held->capacity : 16;
    struct flosim_held_update *updates;

    if (held->n < held->capacity)
        return FLOSIM_OK;
    updates = realloc(held->updates, capacity * sizeof *updates);
    if (!updates)
        return FLOSIM_MEMORY;
    held->updates = updates;
    held->capacity = capacity;
    return FLOSIM_OK;
}

/* Put a copy of weights [P] to its place. *at: where. FLOSIM_MEMORY; then nothing changed. */
static inline int flosim_held_add(struct flosim_held *held, const char *client, int64_t num_samples,
                                  const float *weights, size_t *at)
{
    size_t bytes = held->host->num_weights * sizeof *weights, length = strlen(client) + 1, i = held->n;
    struct flosim_held_update update = {malloc(length), num_samples, malloc(bytes ? bytes : 1)};

    if (!update.client || !update.weights || flosim_held_reserve(held) != FLOSIM_OK) {
        free(update.client);
        free(update.weights);
        return held->host->explain(held->host, FLOSIM_MEMORY, "no memory to keep %zu updates", held->n + 1);
    }
    memcpy(update.client, client, length);
    memcpy(update.weights, weights, bytes);
    while (i > 0 && strcmp(held->updates[i - 1].client, client) > 0)
        i--;
    memmove(held->updates + i + 1, held->updates + i, (held->n - i) * sizeof update);
    held->updates[i] = update;
    held->n++;
    *at = i;
    return FLOSIM_OK;
}

/* ---- in the store: "updates" tells who and how many samples, "weights.<i>" is the i-th's ------------------------- */

static inline void flosim_held_key(char key[32], size_t i)
{
    snprintf(key, 32, "weights.%zu", i);
}

/* The text "samples client\n" for each. NULL: no memory. */
static inline char *flosim_held_list(const struct flosim_held *held, size_t *size)
{
    size_t capacity = 1, used = 0;
    char *text;

    for (size_t i = 0; i < held->n; i++)
        capacity += strlen(held->updates[i].client) + 24;
    text = malloc(capacity);
    for (size_t i = 0; text && i < held->n; i++)
        used += (size_t)snprintf(text + used, capacity - used, "%lld %s\n", (long long)held->updates[i].num_samples,
                                 held->updates[i].client);
    *size = used;
    return text;
}

static inline int flosim_held_put(const struct flosim_held *held)
{
    const struct flosim_host *host = held->host;
    char key[32], *text;
    size_t size;
    int status = FLOSIM_OK;

    for (size_t i = 0; i < held->n && status == FLOSIM_OK; i++) {
        flosim_held_key(key, i);
        status = host->store_put(host, key, held->updates[i].weights, host->num_weights * sizeof(float));
    }
    if (status != FLOSIM_OK)
        return status;
    text = flosim_held_list(held, &size);
    if (!text)
        return host->explain(host, FLOSIM_MEMORY, "no memory to save the list of %zu updates", held->n);
    status = host->store_put(host, "updates", text, size);
    free(text);
    return status;
}

/* One line of the list, and its weights. */
static inline int flosim_held_take_one(struct flosim_held *held, size_t i, char *line, float *weights)
{
    const struct flosim_host *host = held->host;
    size_t size, bytes = host->num_weights * sizeof *weights, at;
    char key[32], *client;
    long long num_samples = strtoll(line, &client, 10);
    int status;

    if (client == line || *client != ' ' || num_samples <= 0)
        return host->explain(host, FLOSIM_CORRUPT, "line %zu of the saved list is broken", i + 1);
    flosim_held_key(key, i);
    status = host->store_get(host, key, weights, bytes, &size);
    if (status == FLOSIM_OK && size != bytes)
        status = host->explain(host, FLOSIM_CORRUPT, "saved %s has %zu bytes, must have %zu", key, size, bytes);
    return status != FLOSIM_OK ? status : flosim_held_add(held, client + 1, num_samples, weights, &at);
}

static inline int flosim_held_take_all(struct flosim_held *held, char *text)
{
    float *weights = malloc(held->host->num_weights * sizeof *weights + 1);
    int status = weights ? FLOSIM_OK : held->host->explain(held->host, FLOSIM_MEMORY, "no memory for an update");

    for (size_t i = 0; *text && status == FLOSIM_OK; i++) {
        size_t length = strcspn(text, "\n");
        int is_last = text[length] == '\0';

        text[length] = '\0';
        status = flosim_held_take_one(held, i, text, weights);
        text += length + !is_last;
    }
    free(weights);
    return status;
}

static inline int flosim_held_get(struct flosim_held *held)
{
    const struct flosim_host *host = held->host;
    size_t size, again;
    int status = host->store_get(host, "updates", NULL, 0, &size);
    char *text;

    flosim_held_clear(held);
    if (status != FLOSIM_OK)
        return status;
    text = calloc(size + 1, 1);
    if (!text)
        return host->explain(host, FLOSIM_MEMORY, "no memory for the saved list of updates");
    status = host->store_get(host, "updates", text, size, &again);
    if (status == FLOSIM_OK)
        status = flosim_held_take_all(held, text);
    free(text);
    if (status != FLOSIM_OK)
        flosim_held_clear(held);
    return status;
}

/* ---- ops of members whose state begins with a struct flosim_held ------------------------------------------------- */

static inline int flosim_held_complete(struct flosim_held *held, const struct flosim_round *round, float *out)
{
    int status;

    if (!round->complete || held->n == 0)
        return FLOSIM_PENDING;
    status = held->rule(held, out);
    if (status == FLOSIM_READY)
        flosim_held_clear(held);
    return status;
}

static inline int flosim_held_on_update(void *state, const struct flosim_update *update,
                                        const struct flosim_round *round, float *out)
{
    struct flosim_held *held = state;
    size_t at;
    int status = flosim_held_add(held, update->client, update->num_samples, update->weights, &at);

    if (status != FLOSIM_OK)
        return status;
    status = flosim_held_complete(held, round, out);
    if (status < 0)
        flosim_held_remove(held, at);
    return status;
}

static inline int flosim_held_on_failure(void *state, const char *client, const struct flosim_round *round, float *out)
{
    (void)client;
    return flosim_held_complete(state, round, out);
}

static inline size_t flosim_held_count(const void *state)
{
    return ((const struct flosim_held *)state)->n;
}

static inline int flosim_held_save(const void *state)
{
    return flosim_held_put(state);
}

static inline int flosim_held_restore(void *state)
{
    return flosim_held_get(state);
}

static inline void flosim_held_discard(void *state, uint32_t cohort)
{
    (void)cohort;
    flosim_held_clear(state);
}

static inline void flosim_held_fini(void *state)
{
    struct flosim_held *held = state;

    flosim_held_clear(held);
    free(held->updates);
    held->updates = NULL;
    held->capacity = 0;
}

#endif
