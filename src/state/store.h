/* State stores: a pluggable kind (inmemory; redis comes later). Dotted keys, values of bytes (JSON or safetensors).
 * Called on the leader's compute thread; blocking is allowed there. Flotilla's five stores are five instances:
 * client_info, training_session, training_state, client_selection_state, aggregator_state, each with its id. */
#ifndef FLOSIM_STATE_STORE_H
#define FLOSIM_STATE_STORE_H

#include <stddef.h>

#include "util/error.h"
#include "util/span.h"

struct store;

struct store_ops {
    const char *name; /* as in state.state_location */
    size_t private_size; /* the framework allocates it zeroed */
    int (*open)(void *priv, const char *store, const char *id, struct error *err);
    void (*close)(void *priv);
    int (*get)(void *priv, const char *key, struct blob **out, struct error *err); /* ERR_NOT_FOUND */
    int (*put)(void *priv, const char *key, struct blob *value, struct error *err); /* takes a reference of its own */
    int (*delete_by_key)(void *priv, const char *key, struct error *err); /* an absent key is fine */
    int (*clear)(void *priv, struct error *err);
    int (*len)(void *priv, size_t *out, struct error *err);
    /* Keys in ascending order: `visit` is called for each with its value; it must not change the store. */
    int (*each)(void *priv, int (*visit)(void *context, const char *key, struct blob *value), void *context,
                struct error *err);
};

extern const struct store_ops *const store_kinds[]; /* NULL-terminated */
const struct store_ops *store_kind_find(const char *name);

int store_open(const struct store_ops *kind, const char *store, const char *id, struct store **out, struct error *err);
void store_close(struct store *store); /* NULL is legal */
int store_get(struct store *store, const char *key, struct blob **out, struct error *err); /* returns new reference */
int store_put(struct store *store, const char *key, struct span value, struct error *err); /* copies */
int store_put_blob(struct store *store, const char *key, struct blob *value, struct error *err);
int store_delete_by_key(struct store *store, const char *key, struct error *err);
int store_clear(struct store *store, struct error *err);
int store_len(struct store *store, size_t *out, struct error *err);
int store_each(struct store *store, int (*visit)(void *context, const char *key, struct blob *value), void *context,
               struct error *err);

#endif
