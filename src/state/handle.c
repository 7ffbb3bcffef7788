/* Store handles: committed state with the pending batch laid over it. */
#include <stdlib.h>
#include <string.h>

#include "state/state.h"

struct store {
    struct state *state;
    enum store_name name;
    char *id;
    struct state_batch **pending;
};

int store_open(struct state *state, enum store_name name, const char *id, struct state_batch **pending,
               struct store **out, struct error *err)
{
    struct store *self = calloc(1, sizeof *self);

    *out = NULL;
    if (self)
        *self = (struct store){state, name, strdup(id), pending};
    if (!self || !self->id) {
        free(self);
        return FAIL(err, ERR_MEMORY, "no memory for the store %s_%s", store_names[name], id);
    }
    *out = self;
    return OK;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    free(store->id);
    free(store);
}

static int need_pending(struct store *store, struct error *err)
{
    if (!*store->pending)
        *store->pending = state_batch_new();
    return *store->pending ? OK : FAIL(err, ERR_MEMORY, "no memory for a change of the state");
}

int store_get(struct store *store, const char *key, struct blob **out, struct error *err)
{
    struct blob *value;

    *out = NULL;
    if (store_check_key(key, err) != OK)
        return ERR_INVALID;
    switch (*store->pending ? state_batch_find(*store->pending, store->name, store->id, key, &value) : BATCH_SILENT) {
    case BATCH_PUT:
        *out = blob_ref(value);
        return OK;
    case BATCH_DELETED:
        return FAIL(err, ERR_NOT_FOUND, "%s_%s has no %s", store_names[store->name], store->id, key);
    default:
        return state_get(store->state, store->name, store->id, key, out, err);
    }
}

int store_put(struct store *store, const char *key, struct span value, struct error *err)
{
    if (need_pending(store, err) != OK)
        return ERR_MEMORY;
    return state_batch_put_bytes(*store->pending, store->name, store->id, key, value, err);
}

int store_put_blob(struct store *store, const char *key, struct blob *value, struct error *err)
{
    if (need_pending(store, err) != OK)
        return ERR_MEMORY;
    return state_batch_put(*store->pending, store->name, store->id, key, value, err);
}

int store_delete_by_key(struct store *store, const char *key, struct error *err)
{
    if (need_pending(store, err) != OK)
        return ERR_MEMORY;
    return state_batch_delete(*store->pending, store->name, store->id, key, err);
}

int store_clear(struct store *store, struct error *err)
{
    if (need_pending(store, err) != OK)
        return ERR_MEMORY;
    return state_batch_clear(*store->pending, store->name, store->id, err);
}

static int collect(void *context, const char *key, struct blob *value)
{
    return table_put(context, key, value);
}

/* What the store will hold after the commit. */
static int lay_over(struct store *store, struct table *table, struct error *err)
{
    const struct batch_group *group =
        *store->pending ? state_batch_group(*store->pending, store->name, store->id) : NULL;
    int status = OK;

    if (!group || !group->cleared)
        status = state_each(store->state, store->name, store->id, collect, table, err);
    for (size_t i = 0; group && status == OK && i < group->changes.n; i++) {
        const struct table_entry *entry = group->changes.entries + i;

        if (entry->value)
            status = table_put(table, entry->key, entry->value);
        else
            table_delete(table, entry->key);
    }
    if (status == ERR_MEMORY)
        return FAIL(err, status, "no memory for the keys of %s_%s", store_names[store->name], store->id);
    return status;
}

int store_len(struct store *store, size_t *out, struct error *err)
{
    struct table table = {0};
    int status = lay_over(store, &table, err);

    *out = table.n;
    table_fini(&table);
    return status;
}

int store_each(struct store *store, store_visit visit, void *context, struct error *err)
{
    struct table table = {0};
    int status = lay_over(store, &table, err);

    for (size_t i = 0; status == OK && i < table.n; i++)
        status = visit(context, table.entries[i].key, table.entries[i].value);
    table_fini(&table);
    return status;
}
