/* The leader's state: memory first, and where the kind is durable a thread behind it that writes the same changes to
 * the store, one transaction for each batch. What is committed is seen at once by everybody in this process; whoever
 * waits for it to be durable hands in a ticket. Any thread may call (one mutex inside); the callbacks come on the
 * writer's thread.
 *
 * While the store cannot be reached the leader goes on: tickets are answered at once with durable = false, and what the
 * store lacks is kept, only the newest value of each key, so that the backlog is never larger than the state. It is
 * written as one transaction when the store is back; a store that came back empty or older gets everything again that
 * memory holds. A store that refuses what is written to it for a reason that will not pass is written to no more; the
 * leader goes on in memory. */
#ifndef FLOSIM_STATE_STATE_H
#define FLOSIM_STATE_STATE_H

#include "state/batch.h"
#include "util/log.h"
#include "util/loop.h"

struct state;

enum { STATE_REASON_MAX = 640 };

struct state_options {
    const struct store_ops *kind; /* store_kind_find(name) */
    struct store_options store;
    bool fallback;         /* to memory alone where the store cannot be reached or written at the start; a warning
                              tells. Not where a person has to mend something: a wrong password, another program there */
    const char *cluster;   /* whose client_info and term it is; copied */
    const struct log *log; /* may be NULL; borrowed */
    int close_ms;          /* how long state_close tries to write what is pending; 0: 5,000 */
    struct {               /* each may be NULL; on the writer's thread */
        void (*outage)(void *context, const char *reason); /* also where writing has ended for good */
        void (*recovered)(void *context, double outage_s, size_t bytes_written, bool everything);
        void (*replaced)(void *context,
                         const char *reason); /* a leader with a higher term: nothing is written any more */
        void *context;
    } tell;
};

/* Opens the store, and loads client_info_<cluster>. ERR_SETUP says what is wrong with the store and what to do. */
int state_open(struct state **out, const struct state_options *options, struct error *err);
void state_close(struct state *state); /* writes what is pending for at most close_ms; NULL is legal */

/* Before anything is committed: the stored term and one more, but at least `at_least`. Blocks. With a durable store it
 * shows too that the store takes writes. */
int state_take_term(struct state *state, uint64_t at_least, uint64_t *term, struct error *err);
uint64_t state_term(const struct state *state);   /* 0: none was taken */
bool state_is_durable(const struct state *state); /* what is acknowledged outlives this process, outages aside */

/* Reads what is committed. `each`: keys in ascending order, of one instant; `visit` may call the state. */
int state_get(struct state *state, enum store_name store, const char *id, const char *key, struct blob **out,
              struct error *err); /* returns a new reference; ERR_NOT_FOUND */
int state_each(struct state *state, enum store_name store, const char *id, store_visit visit, void *context,
               struct error *err);
int state_len(struct state *state, enum store_name store, const char *id, size_t *out, struct error *err);

/* Answered on `loop` once the batch is durable, or will not be for now. */
struct state_ticket {
    struct loop_event event; /* handle set by the caller */
    struct loop *loop;
    int status;                /* OK; ERR_PRECONDITION: this leader was replaced; ERR_MEMORY: nothing was changed */
    bool durable;              /* the store has it */
    struct state_ticket *next; /* the state's own */
};

/* Takes the batch. `ticket` may be NULL (nobody waits); it belongs to the state until its event is handled. Tickets are
 * answered in the order of the commits. An empty batch is answered when all before it are. */
void state_commit(struct state *state, struct state_batch *batch, struct state_ticket *ticket);

/* Only what this process reads changes, and not the store: for what is to be checked first. The same batch committed
 * makes it last; a batch of what was there takes it back. OK or ERR_MEMORY. */
int state_preview(struct state *state, const struct state_batch *batch, struct error *err);

/* Brings a session's four stores from the durable store to memory. OK at once where memory has the session;
 * ERR_NOT_FOUND: there is no such session. Blocks, behind a transaction that is under way, too; during an outage
 * ERR_UNAVAILABLE at once. A connection that has died unnoticed is made once anew. */
int state_load(struct state *state, const char *session_id, struct error *err);

/* Like state_get; where memory has nothing of this id, the durable store is asked. Blocks. */
int state_read(struct state *state, enum store_name store, const char *id, const char *key, struct blob **out,
               struct error *err);

/* Forgets a session, in memory and in the store (with the next transaction; `ticket` as of state_commit). On an error
 * nothing is dropped, and the ticket is not used. */
int state_drop(struct state *state, const char *session_id, struct state_ticket *ticket, struct error *err);

struct state_session {
    const char *id;
    const char *status;   /* of `status`: running, finished, failed, stopped; "" where it has none */
    int64_t round;        /* finished rounds */
    uint64_t leader_term; /* who wrote them */
    size_t bytes;         /* of keys and values */
    double time;          /* of the last write, seconds since 1970; 0: unknown */
    bool in_memory, in_store;
};

/* Every session in memory and in the store, by id; `visit` may call the state. A store that does not answer is an error
 * (ERR_UNAVAILABLE) after those in memory were visited. Blocks as state_load does. */
int state_sessions(struct state *state, int (*visit)(void *context, const struct state_session *session), void *context,
                   struct error *err);

/* A session as it is at one instant: references only, so taking it costs nothing. */
struct state_entry {
    enum store_name store;
    char *key;
    struct blob *value;
};

struct state_snapshot {
    struct state_entry *entries; /* by store and key, ascending */
    size_t n;
};

int state_snapshot(struct state *state, const char *session_id, struct state_snapshot **out, struct error *err);
void state_snapshot_free(struct state_snapshot *snapshot); /* NULL is legal; any thread */

struct state_health {
    bool durable, outage, replaced;
    bool refused;                  /* the store refuses what is written to it: nothing is written any more */
    char reason[STATE_REASON_MAX]; /* of the outage or the refusal; "" */
    double outage_since;           /* seconds since 1970; 0: there is none */
    double commit_age_s;           /* since the last acknowledged commit; negative: there was none */
    size_t backlog_bytes;          /* what the store lacks */
    uint64_t commits, transactions, outages;
};

void state_health(struct state *state, struct state_health *out);

/* ---- a handle on one store, through which changes are collected for a commit ---- */

struct store;

/* Changes go to *pending, which is made where it is NULL and belongs to the caller (who commits it and sets it to
 * NULL); reads look there first, then at what is committed. One thread at a time for all handles of one *pending. */
int store_open(struct state *state, enum store_name name, const char *id, struct state_batch **pending,
               struct store **out, struct error *err);
void store_close(struct store *store);                                                     /* NULL is legal */
int store_get(struct store *store, const char *key, struct blob **out, struct error *err); /* returns new reference */
int store_put(struct store *store, const char *key, struct span value, struct error *err); /* copies */
int store_put_blob(struct store *store, const char *key, struct blob *value, struct error *err);
int store_delete_by_key(struct store *store, const char *key, struct error *err);
int store_clear(struct store *store, struct error *err);
int store_len(struct store *store, size_t *out, struct error *err);
int store_each(struct store *store, store_visit visit, void *context, struct error *err);

#endif
