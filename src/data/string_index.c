#include "data/string_index.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 64, FIRST_ROOM = 32 };

/* FNV-1a. */
static size_t hash_of(struct span string)
{
    const unsigned char *bytes = string.data;
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < string.size; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return (size_t)(hash ^ hash >> 29);
}

/* The slot where the string is, or where it belongs. */
static uint32_t *slot_of(const struct string_index *index, struct span string)
{
    for (size_t i = hash_of(string);; i++) {
        uint32_t *slot = &index->slots[i & (index->num_slots - 1)];
        const struct span *there = *slot ? &index->strings[*slot - 1] : NULL;
        if (!there || (there->size == string.size && memcmp(there->data, string.data, string.size) == 0))
            return slot;
    }
}

/* At most half of the slots are taken. */
static int grow(struct string_index *index, struct error *err)
{
    size_t num_slots = index->num_slots ? 2 * index->num_slots : FIRST_SLOTS;
    uint32_t *slots = calloc(num_slots, sizeof *slots);

    if (!slots)
        return FAIL(err, ERR_MEMORY, "no memory for %zu strings", index->n);
    free(index->slots);
    index->slots = slots;
    index->num_slots = num_slots;
    for (size_t i = 0; i < index->n; i++)
        *slot_of(index, index->strings[i]) = (uint32_t)i + 1;
    return OK;
}

static int append(struct string_index *index, struct span string, struct error *err)
{
    if (index->n == index->room) {
        size_t room = index->room ? 2 * index->room : FIRST_ROOM;
        struct span *strings = realloc(index->strings, room * sizeof *strings);
        if (!strings)
            return FAIL(err, ERR_MEMORY, "no memory for %zu strings", room);
        index->strings = strings;
        index->room = room;
    }
    index->strings[index->n++] = string;
    return OK;
}

int string_index_add(struct string_index *index, struct span string, uint32_t *number, struct error *err)
{
    if (2 * (index->n + 1) > index->num_slots) {
        int status = index->n >= INT32_MAX ? FAIL(err, ERR_TOO_LARGE, "too many strings") : grow(index, err);
        if (status)
            return status;
    }
    uint32_t *slot = slot_of(index, string);
    if (!*slot) {
        int status = append(index, string, err);
        if (status)
            return status;
        *slot = (uint32_t)index->n;
    }
    *number = *slot - 1;
    return OK;
}

uint32_t string_index_find(const struct string_index *index, struct span string)
{
    return index->num_slots ? *slot_of(index, string) - 1u : UINT32_MAX;
}

void string_index_fini(struct string_index *index)
{
    free(index->strings);
    free(index->slots);
    memset(index, 0, sizeof *index);
}
