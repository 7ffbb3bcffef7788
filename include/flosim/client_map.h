/* A number for each client, by id, for strategies that remember something of clients; it can be saved. Sorted by id;
 * finding takes log K steps, adding K. */
#ifndef FLOSIM_CLIENT_MAP_H
#define FLOSIM_CLIENT_MAP_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <flosim/strategy.h>

struct flosim_client_entry {
    char id[136];
    int64_t value;
};

struct flosim_client_map { /* all zero: empty */
    struct flosim_client_entry *entries;
    size_t n, capacity;
};

static inline void flosim_client_map_fini(struct flosim_client_map *map)
{
    free(map->entries);
    *map = (struct flosim_client_map){0};
}

/* Where it is, or where it would be. */
static inline size_t flosim_client_map_place(const struct flosim_client_map *map, const char *id)
{
    size_t low = 0, high = map->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strncmp(map->entries[middle].id, id, sizeof map->entries->id - 1) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static inline int64_t flosim_client_map_get(const struct flosim_client_map *map, const char *id, int64_t fallback)
{
    size_t i = flosim_client_map_place(map, id);

    if (i == map->n || strncmp(map->entries[i].id, id, sizeof map->entries->id - 1) != 0)
        return fallback;
    return map->entries[i].value;
}

static inline int flosim_client_map_reserve(struct flosim_client_map *map, size_t n)
{
    struct flosim_client_entry *entries;

    if (n <= map->capacity)
        return FLOSIM_OK;
    n = n < 2 * map->capacity ? 2 * map->capacity : n;
    entries = realloc(map->entries, n * sizeof *entries);
    if (!entries)
        return FLOSIM_MEMORY;
    map->entries = entries;
    map->capacity = n;
    return FLOSIM_OK;
}

static inline int flosim_client_map_set(struct flosim_client_map *map, const char *id, int64_t value)
{
    size_t i = flosim_client_map_place(map, id);

    if (i < map->n && strncmp(map->entries[i].id, id, sizeof map->entries->id - 1) == 0) {
        map->entries[i].value = value;
        return FLOSIM_OK;
    }
    if (flosim_client_map_reserve(map, map->n + 1) != FLOSIM_OK)
        return FLOSIM_MEMORY;
    memmove(map->entries + i + 1, map->entries + i, (map->n - i) * sizeof *map->entries);
    memset(&map->entries[i], 0, sizeof map->entries[i]);
    strncpy(map->entries[i].id, id, sizeof map->entries->id - 1);
    map->entries[i].value = value;
    map->n++;
    return FLOSIM_OK;
}

static inline int flosim_client_map_save(const struct flosim_client_map *map, const struct flosim_host *host,
                                         const char *key)
{
    return host->store_put(host, key, map->entries, map->n * sizeof *map->entries);
}

/* Replaces what the map holds. FLOSIM_NOT_FOUND, FLOSIM_CORRUPT, FLOSIM_MEMORY; then nothing changed. */
static inline int flosim_client_map_restore(struct flosim_client_map *map, const struct flosim_host *host,
                                            const char *key)
{
    struct flosim_client_map saved = {0};
    size_t size;
    int status = host->store_get(host, key, NULL, 0, &size);

    if (status == FLOSIM_OK && size % sizeof *saved.entries != 0)
        status = host->explain(host, FLOSIM_CORRUPT, "what is saved of the clients has %zu bytes", size);
    if (status == FLOSIM_OK)
        status = flosim_client_map_reserve(&saved, size / sizeof *saved.entries);
    if (status == FLOSIM_OK)
        status = host->store_get(host, key, saved.entries, size, &size);
    if (status != FLOSIM_OK) {
        flosim_client_map_fini(&saved);
        return status;
    }
    saved.n = size / sizeof *saved.entries;
    for (size_t i = 0; i < saved.n; i++)
        saved.entries[i].id[sizeof saved.entries->id - 1] = '\0';
    flosim_client_map_fini(map);
    *map = saved;
    return FLOSIM_OK;
}

#endif
