/* Devices of the fleet that come and go by themselves, without a fault. One that is off has no process: it leaves as
 * one that is shut down (SIGTERM: it says that it is offline, answers what it works on with a failure, ends) and is
 * started anew when it is on again. By rounds, the leader waits before it selects until everybody has come or gone; by
 * the clock nobody waits. The supervisor's thread only. */
#ifndef FLOSIM_SIM_AVAILABILITY_H
#define FLOSIM_SIM_AVAILABILITY_H

#include "sim/fleet.h"
#include "sim/shared.h"
#include "sim/supervisor.h"
#include "util/event_log.h"

struct availability;

/* Everything is borrowed. */
struct availability_setting {
    const struct fleet *fleet;
    uint64_t seed;
    struct supervisor *supervisor;
    struct shared *shared;
    struct process *clients; /* [fleet->num_clients] */
    struct event_log *events;
    int (*start_client)(void *context, size_t client, struct error *err);
    void (*warn)(void *context, const char *line);
    void *context;
    double patience_s; /* so long the leader waits for them */
};

/* *out is NULL where everybody is always there. */
int availability_new(struct availability **out, const struct availability_setting *setting, struct error *err);
void availability_free(struct availability *availability); /* NULL is legal, here and below */

void availability_begin(struct availability *availability); /* the session is about to be submitted */
void availability_step(struct availability *availability);  /* after any event */
void availability_end(struct availability *availability);   /* the session is over: nobody comes or goes any more */

/* Was this client's process ended because it is off? */
bool availability_is_off(const struct availability *availability, size_t client);

#endif
