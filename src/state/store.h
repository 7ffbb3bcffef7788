/* What keeps state: a pluggable kind (inmemory, redis). A kind holds Flotilla's five stores, each as many times as
 * there are ids (the session's; for client_info the cluster's); a store maps dotted keys to bytes (JSON or
 * safetensors). The leader does not use kinds directly: state/state.h puts memory in front of them and a thread behind.
 * Everything here blocks, for a bounded time; one thread at a time. */
#ifndef FLOSIM_STATE_STORE_H
#define FLOSIM_STATE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"
#include "util/log.h"
#include "util/probe.h"
#include "util/span.h"

enum store_name {
    STORE_CLIENT_INFO,
    STORE_TRAINING_SESSION,
    STORE_TRAINING_STATE,
    STORE_CLIENT_SELECTION_STATE,
    STORE_AGGREGATOR_STATE,
    NUM_STORES
};

/* "client_info" …, as they are called in Redis and in checkpoints. */
extern const char *const store_names[NUM_STORES];
int store_name_find(const char *text, size_t length); /* -1: none */

/* Dotted keys: printable, without blanks, at most STORE_KEY_MAX bytes; ids are path components (fs_is_component). */
enum { STORE_KEY_MAX = 512 };
int store_check_key(const char *key, struct error *err);

struct state_batch;

typedef int (*store_visit)(void *context, const char *key,
                           struct blob *value); /* both borrowed; not OK ends the walk */
typedef int (*store_visit_session)(void *context, const char *id, double time); /* of the last write; 0: unknown */

struct store_options { /* borrowed until open returns, except `probes` */
    const char *host;
    int port;
    const char *username, *password; /* may be NULL */
    int64_t db;
    int timeout_ms;        /* without progress; 0: 5,000 */
    int connect_ms;        /* how long `open` goes on trying where nobody answers; 0: one attempt */
    int loading_ms;        /* how long `open` waits for a store that still reads its data; 0: 60,000 */
    const struct log *log; /* may be NULL; tells of such waiting */
    size_t chunk_bytes;    /* a larger value is split; 0: 64 MiB */
    struct probes *probes; /* may be NULL: state.committing is met when half of a batch is sent */
};

/* Errors: ERR_UNAVAILABLE where the store could not be asked or cannot take anything for now (the caller may try again
 * with `reopen`), ERR_SETUP where a person has to change something first (a password, a right; trying again helps
 * afterwards), ERR_PRECONDITION where a leader with a higher term has taken over, ERR_CORRUPT where what the store
 * holds or says makes no sense (trying again will not help), ERR_MEMORY. */
struct store_ops {
    const char *name;    /* as in state.state_location */
    bool outlives;       /* the process: what it holds is durable */
    size_t private_size; /* the framework allocates it zeroed */

    int (*open)(void *priv, const struct store_options *options, struct error *err);
    void (*close)(void *priv); /* also after a failed open */

    /* After ERR_UNAVAILABLE: connect anew. *complete: what this instance has written last is still there. */
    int (*reopen)(void *priv, bool *complete, struct error *err);

    int (*get)(void *priv, enum store_name store, const char *id, const char *key, struct blob **out,
               struct error *err); /* ERR_NOT_FOUND */
    int (*len)(void *priv, enum store_name store, const char *id, size_t *out, struct error *err);
    /* Of keys and values, without reading the values. */
    int (*bytes)(void *priv, enum store_name store, const char *id, size_t *out, struct error *err);
    /* Keys in ascending order; `visit` must not call the store. */
    int (*each)(void *priv, enum store_name store, const char *id, store_visit visit, void *context, struct error *err);

    /* All changes of the batch or none; later ones are seen by nobody before earlier ones. Once a term was taken, none
     * where a higher one was taken since (ERR_PRECONDITION). After ERR_UNAVAILABLE the changes may have been made. */
    int (*putall)(void *priv, const struct state_batch *batch, struct error *err);

    /* Every session that has a training_session, by id. */
    int (*sessions)(void *priv, store_visit_session visit, void *context, struct error *err);

    /* Writes the leader's term: the stored one and one more, but at least `at_least`. */
    int (*take_term)(void *priv, const char *cluster, uint64_t at_least, uint64_t *term, struct error *err);
};

extern const struct store_ops *const store_kinds[]; /* NULL-terminated */
const struct store_ops *store_kind_find(const char *name);

/* A kind at work. */
struct backend {
    const struct store_ops *ops;
    max_align_t priv[];
};

int backend_open(struct backend **out, const struct store_ops *kind, const struct store_options *options,
                 struct error *err);
void backend_close(struct backend *backend); /* NULL is legal */

#endif
