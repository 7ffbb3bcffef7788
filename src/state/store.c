#include "state/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct store {
    const struct store_ops *ops;
    char label[128]; /* "<store>_<id>" for messages */
    max_align_t priv[];
};

enum { KEY_MAX = 512 };

extern const struct store_ops store_inmemory;

const struct store_ops *const store_kinds[] = {
    &store_inmemory,
    NULL,
};

const struct store_ops *store_kind_find(const char *name)
{
    for (size_t i = 0; store_kinds[i]; i++)
        if (strcmp(store_kinds[i]->name, name) == 0)
            return store_kinds[i];
    return NULL;
}

int store_open(const struct store_ops *kind, const char *store, const char *id, struct store **out, struct error *err)
{
    struct store *self = calloc(1, sizeof *self + kind->private_size);
    int status;

    *out = NULL;
    if (!self)
        return FAIL(err, ERR_MEMORY, "no memory for the store %s", store);
    self->ops = kind;
    snprintf(self->label, sizeof self->label, "%s_%s", store, id);
    status = kind->open(self->priv, store, id, err);
    if (status != OK) {
        free(self);
        return status;
    }
    *out = self;
    return OK;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    store->ops->close(store->priv);
    free(store);
}

/* Dotted keys: printable, without blanks, not longer than KEY_MAX. */
static int check_key(const struct store *store, const char *key, struct error *err)
{
    size_t length = strlen(key);

    if (length == 0 || length > KEY_MAX)
        return FAIL(err, ERR_INVALID, "%s: a key of %zu bytes; 1 to %d are possible", store->label, length, KEY_MAX);
    for (const char *c = key; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 127)
            return FAIL(err, ERR_INVALID, "%s: a key with a blank or control character", store->label);
    return OK;
}

int store_get(struct store *store, const char *key, struct blob **out, struct error *err)
{
    *out = NULL;
    if (check_key(store, key, err) != OK)
        return ERR_INVALID;
    return store->ops->get(store->priv, key, out, err);
}

int store_put(struct store *store, const char *key, struct span value, struct error *err)
{
    struct blob *blob = blob_new(value.size);
    int status;

    if (!blob)
        return FAIL(err, ERR_MEMORY, "%s: no memory for %zu bytes of %s", store->label, value.size, key);
    if (value.size)
        memcpy(blob_bytes(blob), value.data, value.size);
    status = store_put_blob(store, key, blob, err);
    blob_unref(blob);
    return status;
}

int store_put_blob(struct store *store, const char *key, struct blob *value, struct error *err)
{
    if (check_key(store, key, err) != OK)
        return ERR_INVALID;
    return store->ops->put(store->priv, key, value, err);
}

int store_delete_by_key(struct store *store, const char *key, struct error *err)
{
    if (check_key(store, key, err) != OK)
        return ERR_INVALID;
    return store->ops->delete_by_key(store->priv, key, err);
}

int store_clear(struct store *store, struct error *err)
{
    return store->ops->clear(store->priv, err);
}

int store_len(struct store *store, size_t *out, struct error *err)
{
    return store->ops->len(store->priv, out, err);
}

int store_each(struct store *store, int (*visit)(void *context, const char *key, struct blob *value), void *context,
               struct error *err)
{
    return store->ops->each(store->priv, visit, context, err);
}
