/* Changes of the state that take effect together: values put and deleted by (store, id, key), stores cleared.
 * A later change of the same key replaces the earlier one, so that a batch is never larger than the state it changes.
 * Not thread safe; it may be handed from thread to thread. */
#ifndef FLOSIM_STATE_BATCH_H
#define FLOSIM_STATE_BATCH_H

#include "state/store.h"
#include "state/table.h"

/* The changes of one store: first the clearing, then the entries. */
struct batch_group {
    enum store_name store;
    char *id;
    bool cleared;
    struct table changes; /* value NULL: the key is deleted */
};

struct state_batch {
    struct batch_group *groups; /* by store and id, ascending */
    size_t n;
    int64_t round; /* for the probes; -1: of none */
};

struct state_batch *state_batch_new(void); /* NULL: out of memory */
void state_batch_free(struct state_batch *batch);

/* Each returns OK, ERR_INVALID (the key), ERR_MEMORY; on error nothing changed. */
int state_batch_put(struct state_batch *batch, enum store_name store, const char *id, const char *key,
                    struct blob *value, struct error *err); /* takes a reference of its own */
int state_batch_put_bytes(struct state_batch *batch, enum store_name store, const char *id, const char *key,
                          struct span value, struct error *err); /* copies */
int state_batch_put_text(struct state_batch *batch, enum store_name store, const char *id, const char *key,
                         const char *text, struct error *err); /* copies, without the NUL */
int state_batch_delete(struct state_batch *batch, enum store_name store, const char *id, const char *key,
                       struct error *err);
int state_batch_clear(struct state_batch *batch, enum store_name store, const char *id, struct error *err);

/* `newer` after what is in `into`, whose `round` becomes newer's where that has one. On ERR_MEMORY a part is merged;
 * merging again is harmless. */
int state_batch_merge(struct state_batch *into, const struct state_batch *newer, struct error *err);

enum batch_answer { BATCH_SILENT, BATCH_PUT, BATCH_DELETED };

/* What the batch says of a key; BATCH_PUT: *value is borrowed. */
enum batch_answer state_batch_find(const struct state_batch *batch, enum store_name store, const char *id,
                                   const char *key, struct blob **value);
const struct batch_group *state_batch_group(const struct state_batch *batch, enum store_name store, const char *id);

bool state_batch_is_empty(const struct state_batch *batch); /* NULL is */
size_t state_batch_bytes(const struct state_batch *batch);  /* of keys and values; NULL has 0 */

#endif
