/* Values by key, in ascending order of the keys: an array sorted by key, values shared and not copied. What the parts
 * of the state room are made of. Not thread safe. Zeroed is a legal empty table. */
#ifndef FLOSIM_STATE_TABLE_H
#define FLOSIM_STATE_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "util/span.h"

struct table_entry {
    char *key;
    struct blob *value; /* may be NULL: what that means is up to the owner */
};

struct table {
    struct table_entry *entries;
    size_t n, capacity;
};

void table_fini(struct table *table);  /* empty and reusable afterwards */
void table_clear(struct table *table); /* the same, but keeps the room for as many entries */

/* The entry of `key`, or NULL. Borrowed until the table changes. */
struct table_entry *table_find(const struct table *table, const char *key);

/* Takes a reference of `value`. OK or ERR_MEMORY; then nothing changed. */
int table_put(struct table *table, const char *key, struct blob *value);

/* So many keys more can be put without ERR_MEMORY, as far as the array is concerned. */
int table_reserve(struct table *table, size_t more);

/* Takes `key` (made by malloc) too where it is new, and frees it where it is not. Cannot fail after table_reserve. */
void table_put_reserved(struct table *table, char *key, struct blob *value);

void table_delete(struct table *table, const char *key); /* an absent key is fine */

#endif
