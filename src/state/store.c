#include "state/store.h"

#include <stdlib.h>
#include <string.h>

extern const struct store_ops store_inmemory, store_redis;

const struct store_ops *const store_kinds[] = {
    &store_inmemory,
    &store_redis,
    NULL,
};

const char *const store_names[NUM_STORES] = {
    [STORE_CLIENT_INFO] = "client_info",           [STORE_TRAINING_SESSION] = "training_session",
    [STORE_TRAINING_STATE] = "training_state",     [STORE_CLIENT_SELECTION_STATE] = "client_selection_state",
    [STORE_AGGREGATOR_STATE] = "aggregator_state",
};

const struct store_ops *store_kind_find(const char *name)
{
    for (size_t i = 0; store_kinds[i]; i++)
        if (strcmp(store_kinds[i]->name, name) == 0)
            return store_kinds[i];
    return NULL;
}

int store_name_find(const char *text, size_t length)
{
    for (int i = 0; i < NUM_STORES; i++)
        if (strlen(store_names[i]) == length && memcmp(store_names[i], text, length) == 0)
            return i;
    return -1;
}

int store_check_key(const char *key, struct error *err)
{
    size_t length = strlen(key);

    if (length == 0 || length > STORE_KEY_MAX)
        return FAIL(err, ERR_INVALID, "a key of %zu bytes in the state; 1 to %d are possible", length, STORE_KEY_MAX);
    for (const char *c = key; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 127)
            return FAIL(err, ERR_INVALID, "a key of the state has a blank or control character");
    return OK;
}

int backend_open(struct backend **out, const struct store_ops *kind, const struct store_options *options,
                 struct error *err)
{
    struct backend *self = calloc(1, sizeof *self + kind->private_size);
    int status;

    *out = NULL;
    if (!self)
        return FAIL(err, ERR_MEMORY, "no memory for the store %s", kind->name);
    self->ops = kind;
    status = kind->open(self->priv, options, err);
    if (status != OK) {
        backend_close(self);
        return status;
    }
    *out = self;
    return OK;
}

void backend_close(struct backend *backend)
{
    if (!backend)
        return;
    backend->ops->close(backend->priv);
    free(backend);
}
