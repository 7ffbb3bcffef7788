/* The store `inmemory`: lives as long as it is open. Entries are an array sorted by key; values are shared, not copied.
 */
#include <stdlib.h>
#include <string.h>

#include "state/store.h"

struct entry {
    char *key;
    struct blob *value;
};

struct inmemory {
    struct entry *entries;
    size_t n, capacity;
};

static int open_store(void *priv, const char *store, const char *id, struct error *err)
{
    (void)priv;
    (void)store;
    (void)id;
    (void)err;
    return OK;
}

static int clear(void *priv, struct error *err)
{
    struct inmemory *self = priv;

    (void)err;
    for (size_t i = 0; i < self->n; i++) {
        free(self->entries[i].key);
        blob_unref(self->entries[i].value);
    }
    self->n = 0;
    return OK;
}

static void close_store(void *priv)
{
    clear(priv, NULL);
    free(((struct inmemory *)priv)->entries);
}

/* Where `key` stands, or would stand. */
static size_t position(const struct inmemory *self, const char *key, int *found)
{
    size_t low = 0, high = self->n;

    *found = 0;
    while (low < high && !*found) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(self->entries[middle].key, key);

        if (order == 0)
            *found = 1;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return *found ? high : low;
}

static int get(void *priv, const char *key, struct blob **out, struct error *err)
{
    const struct inmemory *self = priv;
    int found;
    size_t i = position(self, key, &found);

    if (!found)
        return FAIL(err, ERR_NOT_FOUND, "no value for the key %s", key);
    *out = blob_ref(self->entries[i].value);
    return OK;
}

static int reserve(struct inmemory *self)
{
    size_t capacity = self->capacity ? 2 * self->capacity : 16;
    struct entry *entries;

    if (self->n < self->capacity)
        return OK;
    entries = realloc(self->entries, capacity * sizeof *entries);
    if (!entries)
        return ERR_MEMORY;
    self->entries = entries;
    self->capacity = capacity;
    return OK;
}

static int put(void *priv, const char *key, struct blob *value, struct error *err)
{
    struct inmemory *self = priv;
    int found;
    size_t i = position(self, key, &found);
    char *copy;

    if (found) {
        struct blob *old = self->entries[i].value;

        self->entries[i].value = blob_ref(value);
        blob_unref(old);
        return OK;
    }
    copy = strdup(key);
    if (!copy || reserve(self) != OK) {
        free(copy);
        return FAIL(err, ERR_MEMORY, "no memory for the key %s", key);
    }
    memmove(self->entries + i + 1, self->entries + i, (self->n - i) * sizeof *self->entries);
    self->entries[i] = (struct entry){copy, blob_ref(value)};
    self->n++;
    return OK;
}

static int delete_by_key(void *priv, const char *key, struct error *err)
{
    struct inmemory *self = priv;
    int found;
    size_t i = position(self, key, &found);

    (void)err;
    if (!found)
        return OK;
    free(self->entries[i].key);
    blob_unref(self->entries[i].value);
    memmove(self->entries + i, self->entries + i + 1, (self->n - i - 1) * sizeof *self->entries);
    self->n--;
    return OK;
}

static int len(void *priv, size_t *out, struct error *err)
{
    (void)err;
    *out = ((const struct inmemory *)priv)->n;
    return OK;
}

static int each(void *priv, int (*visit)(void *context, const char *key, struct blob *value), void *context,
                struct error *err)
{
    const struct inmemory *self = priv;

    (void)err;
    for (size_t i = 0; i < self->n; i++) {
        int status = visit(context, self->entries[i].key, self->entries[i].value);

        if (status != OK)
            return status;
    }
    return OK;
}

extern const struct store_ops store_inmemory;
const struct store_ops store_inmemory = {
    .name = "inmemory",
    .private_size = sizeof(struct inmemory),
    .open = open_store,
    .close = close_store,
    .get = get,
    .put = put,
    .delete_by_key = delete_by_key,
    .clear = clear,
    .len = len,
    .each = each,
};
