/* What the files of the state share. Nobody else includes this. */
#ifndef FLOSIM_STATE_STATE_INTERNAL_H
#define FLOSIM_STATE_STATE_INTERNAL_H

#include <pthread.h>

#include "state/state.h"
#include "util/sync.h"

struct state {
    const struct log *log;
    char *cluster;
    struct probes *probes;
    bool fallback;
    int close_ms;
    struct state_options told; /* only `tell` is used */

    pthread_mutex_t mutex; /* for everything below up to `io` */
    pthread_cond_t wake;
    struct backend *memory;
    struct state_batch *pending;                  /* committed, not yet with the store; NULL: nothing */
    struct state_ticket *tickets, **tickets_tail; /* of pending */
    bool outage, replaced, refused, closing;
    bool incomplete;               /* a reader has connected anew and found that the store had lost data */
    char reason[STATE_REASON_MAX]; /* of the outage, or why nothing is written any more */
    uint64_t term, commits, transactions, outages;
    size_t inflight_bytes;
    struct timespec close_by;
    double outage_since;      /* seconds since 1970 */
    uint64_t acknowledged_ns; /* by the store, or by memory where that is all; 0: nothing was */

    pthread_mutex_t io;      /* who speaks with the backend; never taken while holding `mutex` */
    struct backend *backend; /* NULL: memory alone; set before the writer starts */
    pthread_t writer;
    bool writing;
};

/* state.c: the backend for a read. ERR_UNAVAILABLE at once during an outage: the writer's attempts take seconds. */
int store_lock(struct state *state, struct error *err);
void store_unlock(struct state *state);
/* A read found the connection dead, as it is after hours without a write: once anew. Between the two. */
int store_reconnect(struct state *state, struct error *err);

/* writer.c */
int writer_start(struct state *state, struct error *err);
void writer_stop(struct state *state); /* writes what is pending, until close_by */
void tickets_answer(struct state_ticket *tickets, int status, bool durable);

#endif
