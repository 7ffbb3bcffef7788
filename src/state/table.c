#include "state/table.h"

#include <stdlib.h>
#include <string.h>

#include "util/status.h"

void table_clear(struct table *table)
{
    for (size_t i = 0; i < table->n; i++) {
        free(table->entries[i].key);
        blob_unref(table->entries[i].value);
    }
    table->n = 0;
}

void table_fini(struct table *table)
{
    table_clear(table);
    free(table->entries);
    *table = (struct table){0};
}

/* Where `key` stands, or would stand. */
static size_t position(const struct table *table, const char *key, bool *found)
{
    size_t low = 0, high = table->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(table->entries[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < table->n && strcmp(table->entries[low].key, key) == 0;
    return low;
}

struct table_entry *table_find(const struct table *table, const char *key)
{
    bool found;
    size_t i = position(table, key, &found);

    return found ? &table->entries[i] : NULL;
}

int table_reserve(struct table *table, size_t more)
{
    size_t capacity = table->capacity ? table->capacity : 16;
    struct table_entry *entries;

    if (table->capacity - table->n >= more)
        return OK;
    while (capacity - table->n < more)
        capacity *= 2;
    entries = realloc(table->entries, capacity * sizeof *entries);
    if (!entries)
        return ERR_MEMORY;
    table->entries = entries;
    table->capacity = capacity;
    return OK;
}

void table_put_reserved(struct table *table, char *key, struct blob *value)
{
    bool found;
    size_t i = position(table, key, &found);
    struct table_entry *entry = table->entries + i;

    if (found) {
        struct blob *old = entry->value;

        free(key);
        entry->value = blob_ref(value);
        blob_unref(old);
        return;
    }
    memmove(entry + 1, entry, (table->n - i) * sizeof *entry);
    *entry = (struct table_entry){key, blob_ref(value)};
    table->n++;
}

int table_put(struct table *table, const char *key, struct blob *value)
{
    char *copy = strdup(key);

    if (!copy || table_reserve(table, 1) != OK) {
        free(copy);
        return ERR_MEMORY;
    }
    table_put_reserved(table, copy, value);
    return OK;
}

void table_delete(struct table *table, const char *key)
{
    struct table_entry *entry = table_find(table, key);

    if (!entry)
        return;
    free(entry->key);
    blob_unref(entry->value);
    memmove(entry, entry + 1, (size_t)(table->entries + table->n - entry - 1) * sizeof *entry);
    table->n--;
}
