/* The kind `inmemory`: lives as long as it is open. It is also the leader's own copy of what another kind keeps. */
#include <stdlib.h>
#include <string.h>

#include "state/batch.h"
#include "util/clock.h"
#include "util/grow.h"

/* One of the five stores under one id. */
struct memory_store {
    enum store_name name;
    char *id;
    double time;
    struct table table;
};

struct term {
    char *cluster;
    uint64_t term;
};

struct inmemory {
    struct memory_store *stores; /* by name and id, ascending */
    size_t n;
    struct term *terms;
    size_t num_terms;
};

static int open_store(void *priv, const struct store_options *options, struct error *err)
{
    (void)priv;
    (void)options;
    (void)err;
    return OK;
}

static void close_store(void *priv)
{
    struct inmemory *self = priv;

    for (size_t i = 0; i < self->n; i++) {
        free(self->stores[i].id);
        table_fini(&self->stores[i].table);
    }
    for (size_t i = 0; i < self->num_terms; i++)
        free(self->terms[i].cluster);
    free(self->stores);
    free(self->terms);
}

/* Where the store stands, or would stand. */
static size_t position(const struct inmemory *self, enum store_name name, const char *id, bool *found)
{
    size_t i = 0;
    int order = -1;

    for (; i < self->n; i++) {
        order = self->stores[i].name < name ? -1 : self->stores[i].name > name;
        if (order == 0)
            order = strcmp(self->stores[i].id, id);
        if (order >= 0)
            break;
    }
    *found = i < self->n && order == 0;
    return i;
}

static struct memory_store *find(const struct inmemory *self, enum store_name name, const char *id)
{
    bool found;
    size_t i = position(self, name, id, &found);

    return found ? &self->stores[i] : NULL;
}

static int get(void *priv, enum store_name name, const char *id, const char *key, struct blob **out, struct error *err)
{
    const struct memory_store *store = find(priv, name, id);
    const struct table_entry *entry = store ? table_find(&store->table, key) : NULL;

    *out = NULL;
    if (!entry)
        return FAIL(err, ERR_NOT_FOUND, "%s_%s has no %s", store_names[name], id, key);
    *out = blob_ref(entry->value);
    return OK;
}

static int len(void *priv, enum store_name name, const char *id, size_t *out, struct error *err)
{
    const struct memory_store *store = find(priv, name, id);

    (void)err;
    *out = store ? store->table.n : 0;
    return OK;
}

static int bytes(void *priv, enum store_name name, const char *id, size_t *out, struct error *err)
{
    const struct memory_store *store = find(priv, name, id);

    (void)err;
    *out = 0;
    for (size_t i = 0; store && i < store->table.n; i++)
        *out += strlen(store->table.entries[i].key) + blob_size(store->table.entries[i].value);
    return OK;
}

static int each(void *priv, enum store_name name, const char *id, store_visit visit, void *context, struct error *err)
{
    const struct memory_store *store = find(priv, name, id);

    (void)err;
    for (size_t i = 0; store && i < store->table.n; i++) {
        int status = visit(context, store->table.entries[i].key, store->table.entries[i].value);

        if (status != OK)
            return status;
    }
    return OK;
}

/* ---- changes: first everything that may fail, then the changes ---- */

static struct memory_store *make(struct inmemory *self, enum store_name name, const char *id)
{
    bool found;
    size_t i = position(self, name, id, &found);
    char *copy;

    if (found)
        return &self->stores[i];
    struct memory_store *stores = grow(self->stores, self->n, sizeof *stores);
    if (!stores)
        return NULL;
    self->stores = stores;
    copy = strdup(id);
    if (!copy)
        return NULL;
    memmove(self->stores + i + 1, self->stores + i, (self->n - i) * sizeof *self->stores);
    self->stores[i] = (struct memory_store){.name = name, .id = copy};
    self->n++;
    return &self->stores[i];
}

static void free_keys(char **keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(keys[i]);
    free(keys);
}

/* Room for every change, and a copy of each key; NULL: out of memory. */
static char **prepare(struct inmemory *self, const struct state_batch *batch, size_t n)
{
    char **keys = calloc(n ? n : 1, sizeof *keys);
    size_t k = 0;

    for (size_t i = 0; keys && i < batch->n; i++) {
        const struct batch_group *group = batch->groups + i;
        struct memory_store *store = make(self, group->store, group->id);
        bool ok = store && table_reserve(&store->table, group->changes.n) == OK;

        for (size_t j = 0; ok && j < group->changes.n; j++)
            ok = (keys[k++] = strdup(group->changes.entries[j].key)) != NULL;
        if (!ok) {
            free_keys(keys, n);
            return NULL;
        }
    }
    return keys;
}

static void drop_if_empty(struct inmemory *self, enum store_name name, const char *id)
{
    bool found;
    size_t i = position(self, name, id, &found);

    if (!found || self->stores[i].table.n > 0)
        return;
    free(self->stores[i].id);
    table_fini(&self->stores[i].table);
    memmove(self->stores + i, self->stores + i + 1, (self->n - i - 1) * sizeof *self->stores);
    self->n--;
}

static int putall(void *priv, const struct state_batch *batch, struct error *err)
{
    struct inmemory *self = priv;
    size_t n = 0, k = 0;
    char **keys;

    for (size_t i = 0; i < batch->n; i++)
        n += batch->groups[i].changes.n;
    keys = prepare(self, batch, n);
    if (!keys)
        return FAIL(err, ERR_MEMORY, "no memory for %zu changes of the state", n);
    for (size_t i = 0; i < batch->n; i++) {
        const struct batch_group *group = batch->groups + i;
        struct memory_store *store = find(self, group->store, group->id);

        store->time = clock_wall_s(&clock_system);
        if (group->cleared)
            table_clear(&store->table);
        for (size_t j = 0; j < group->changes.n; j++, k++) {
            struct blob *value = group->changes.entries[j].value;

            if (value) {
                table_put_reserved(&store->table, keys[k], value);
                keys[k] = NULL;
            } else
                table_delete(&store->table, keys[k]);
        }
        drop_if_empty(self, group->store, group->id);
    }
    free_keys(keys, n);
    return OK;
}

static int sessions(void *priv, store_visit_session visit, void *context, struct error *err)
{
    const struct inmemory *self = priv;

    (void)err;
    for (size_t i = 0; i < self->n; i++) {
        const struct memory_store *store = self->stores + i;
        int status =
            store->name == STORE_TRAINING_SESSION && store->table.n > 0 ? visit(context, store->id, store->time) : OK;

        if (status != OK)
            return status;
    }
    return OK;
}

static struct term *term_of(struct inmemory *self, const char *cluster)
{
    struct term *terms;

    for (size_t i = 0; i < self->num_terms; i++)
        if (strcmp(self->terms[i].cluster, cluster) == 0)
            return &self->terms[i];
    terms = grow(self->terms, self->num_terms, sizeof *terms);
    if (!terms)
        return NULL;
    self->terms = terms;
    terms[self->num_terms] = (struct term){.cluster = strdup(cluster)};
    return terms[self->num_terms].cluster ? &terms[self->num_terms++] : NULL;
}

static int take_term(void *priv, const char *cluster, uint64_t at_least, uint64_t *term, struct error *err)
{
    struct term *stored = term_of(priv, cluster);

    if (!stored)
        return FAIL(err, ERR_MEMORY, "no memory for the leader's term");
    stored->term = stored->term + 1 > at_least ? stored->term + 1 : at_least;
    *term = stored->term;
    return OK;
}

extern const struct store_ops store_inmemory;
const struct store_ops store_inmemory = {
    .name = "inmemory",
    .private_size = sizeof(struct inmemory),
    .open = open_store,
    .close = close_store,
    .get = get,
    .len = len,
    .bytes = bytes,
    .each = each,
    .putall = putall,
    .sessions = sessions,
    .take_term = take_term,
};
