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
    bool outage, replaced, closing;
    uint64_t term, commits, transactions, outages;
    size_t inflight_bytes;
    struct timespec close_by;

    pthread_mutex_t io;      /* who speaks with the backend; never taken while holding `mutex` */
    struct backend *backend; /* NULL: memory alone; set before the writer starts */
    pthread_t writer;
    bool writing;
};

/* writer.c */
int writer_start(struct state *state, struct error *err);
void writer_stop(struct state *state); /* writes what is pending, until close_by */
void tickets_answer(struct state_ticket *tickets, int status, bool durable);

#endif
