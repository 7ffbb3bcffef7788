/* A small team of threads that shares out the parts of one computation. The parts are cut by shape, each gives the same
 * result on whatever thread it runs, and none writes what another one reads: so results do not depend on the number of
 * threads. One thread owns a team and calls team_run; the others sleep in between. */
#ifndef FLOSIM_NN_TEAM_H
#define FLOSIM_NN_TEAM_H

#include <stddef.h>

#include "util/error.h"

struct team;

enum { TEAM_MAX_THREADS = 256 };

/* One part; must not call team_run. */
typedef void team_work(const void *context, size_t part);

/* `threads` counts the caller, at least 1. Start it after fork, in the process that uses it. Returns new. */
int team_new(int threads, struct team **out, struct error *err);
void team_free(struct team *team);

/* Run parts 0 … n-1 and return when all are done. A team of NULL, a single part, or less than some tens of
 * microseconds of work (`flops`, of all parts) runs on the calling thread: waking others would cost more. */
void team_run(struct team *team, size_t n, double flops, team_work *work, const void *context);

#endif
