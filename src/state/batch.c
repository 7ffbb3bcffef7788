#include "state/batch.h"

#include <stdlib.h>
#include <string.h>

#include "util/grow.h"

struct state_batch *state_batch_new(void)
{
    struct state_batch *batch = calloc(1, sizeof *batch);

    if (batch)
        batch->round = -1;
    return batch;
}

void state_batch_free(struct state_batch *batch)
{
    if (!batch)
        return;
    for (size_t i = 0; i < batch->n; i++) {
        free(batch->groups[i].id);
        table_fini(&batch->groups[i].changes);
    }
    free(batch->groups);
    free(batch);
}

/* Where the group stands, or would stand. A batch has few. */
static size_t position(const struct state_batch *batch, enum store_name store, const char *id, bool *found)
{
    size_t i = 0;
    int order = -1;

    for (; i < batch->n; i++) {
        order = batch->groups[i].store < store ? -1 : batch->groups[i].store > store;
        if (order == 0)
            order = strcmp(batch->groups[i].id, id);
        if (order >= 0)
            break;
    }
    *found = i < batch->n && order == 0;
    return i;
}

const struct batch_group *state_batch_group(const struct state_batch *batch, enum store_name store, const char *id)
{
    bool found;
    size_t i = position(batch, store, id, &found);

    return found ? &batch->groups[i] : NULL;
}

static struct batch_group *insert(struct state_batch *batch, size_t i, enum store_name store, char *id)
{
    struct batch_group *groups = grow(batch->groups, batch->n, sizeof *groups), *group;

    if (!groups)
        return NULL;
    batch->groups = groups;
    group = groups + i;
    memmove(group + 1, group, (batch->n - i) * sizeof *group);
    *group = (struct batch_group){.store = store, .id = id};
    batch->n++;
    return group;
}

/* The group, made where it is not there; NULL: out of memory. */
static struct batch_group *group_of(struct state_batch *batch, enum store_name store, const char *id)
{
    bool found;
    size_t i = position(batch, store, id, &found);
    struct batch_group *group;
    char *copy;

    if (found)
        return &batch->groups[i];
    copy = strdup(id);
    group = copy ? insert(batch, i, store, copy) : NULL;
    if (!group)
        free(copy);
    return group;
}

static int change(struct state_batch *batch, enum store_name store, const char *id, const char *key, struct blob *value,
                  struct error *err)
{
    struct batch_group *group;

    if (store_check_key(key, err) != OK)
        return ERR_INVALID;
    group = group_of(batch, store, id);
    if (!group || table_put(&group->changes, key, value) != OK)
        return FAIL(err, ERR_MEMORY, "no memory for %s of %s_%s", key, store_names[store], id);
    return OK;
}

int state_batch_put(struct state_batch *batch, enum store_name store, const char *id, const char *key,
                    struct blob *value, struct error *err)
{
    return change(batch, store, id, key, value, err);
}

int state_batch_put_bytes(struct state_batch *batch, enum store_name store, const char *id, const char *key,
                          struct span value, struct error *err)
{
    struct blob *blob = blob_new(value.size);
    int status;

    if (!blob)
        return FAIL(err, ERR_MEMORY, "no memory for %zu bytes of %s", value.size, key);
    if (value.size)
        memcpy(blob_bytes(blob), value.data, value.size);
    status = change(batch, store, id, key, blob, err);
    blob_unref(blob);
    return status;
}

int state_batch_put_text(struct state_batch *batch, enum store_name store, const char *id, const char *key,
                         const char *text, struct error *err)
{
    return state_batch_put_bytes(batch, store, id, key, span_of(text, strlen(text)), err);
}

int state_batch_delete(struct state_batch *batch, enum store_name store, const char *id, const char *key,
                       struct error *err)
{
    return change(batch, store, id, key, NULL, err);
}

int state_batch_clear(struct state_batch *batch, enum store_name store, const char *id, struct error *err)
{
    struct batch_group *group = group_of(batch, store, id);

    if (!group)
        return FAIL(err, ERR_MEMORY, "no memory to clear %s_%s", store_names[store], id);
    table_fini(&group->changes);
    group->cleared = true;
    return OK;
}

int state_batch_merge(struct state_batch *into, const struct state_batch *newer, struct error *err)
{
    int status = OK;

    for (size_t i = 0; i < newer->n && status == OK; i++) {
        const struct batch_group *group = newer->groups + i;

        if (group->cleared)
            status = state_batch_clear(into, group->store, group->id, err);
        for (size_t k = 0; k < group->changes.n && status == OK; k++) {
            const struct table_entry *entry = group->changes.entries + k;

            status = change(into, group->store, group->id, entry->key, entry->value, err);
        }
    }
    if (newer->round >= 0)
        into->round = newer->round;
    return status;
}

enum batch_answer state_batch_find(const struct state_batch *batch, enum store_name store, const char *id,
                                   const char *key, struct blob **value)
{
    const struct batch_group *group = state_batch_group(batch, store, id);
    const struct table_entry *entry = group ? table_find(&group->changes, key) : NULL;

    if (entry && entry->value) {
        *value = entry->value;
        return BATCH_PUT;
    }
    return entry || (group && group->cleared) ? BATCH_DELETED : BATCH_SILENT;
}

bool state_batch_is_empty(const struct state_batch *batch)
{
    return !batch || batch->n == 0;
}

size_t state_batch_bytes(const struct state_batch *batch)
{
    size_t bytes = 0;

    for (size_t i = 0; batch && i < batch->n; i++)
        for (size_t k = 0; k < batch->groups[i].changes.n; k++) {
            const struct table_entry *entry = batch->groups[i].changes.entries + k;

            bytes += strlen(entry->key) + (entry->value ? blob_size(entry->value) : 0);
        }
    return bytes;
}
