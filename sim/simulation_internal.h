/* The steps of a run, in the order in which simulation.c takes them. */
#ifndef FLOSIM_SIM_SIMULATION_INTERNAL_H
#define FLOSIM_SIM_SIMULATION_INTERNAL_H

#include "sim/simulation.h"
#include "util/clock.h"

#define SECOND ((uint64_t)1000000000)

enum { LOG_TAIL_LINES = 12 }; /* of a process that failed, shown to the user */

static inline uint64_t simulation_now_ns(void)
{
    return clock_now_ns(&clock_system);
}

/* Before the first process: limits, folder, files, shared memory, names. */
int simulation_prepare(struct simulation *simulation, const struct supervisor_hooks *hooks, struct error *err);

int simulation_start_servers(struct simulation *simulation, struct error *err); /* broker, state store */
int simulation_start_leader(struct simulation *simulation, struct error *err);  /* until its port is open */
int simulation_start_clients(struct simulation *simulation, struct error *err); /* until all are registered */

/* Start a leader in the place of one that has ended, without waiting (fault_world). */
int simulation_start_leader_again(void *context, const struct leader_resume *how, struct error *err);

/* Start one client, the first time or again (fault_world). */
int simulation_start_client(void *context, size_t client, struct error *err);

/* What some clients cost while they are idle. */
void simulation_sample_memory(struct simulation *simulation);

/* Percent; NAN: no fault `backdoor`, or no model. After the last process has ended. */
double simulation_backdoor_success(const struct simulation *simulation);

/* Submit the session, make faults happen, wait for its end. */
int simulation_run_session(struct simulation *simulation, struct error *err);

#endif
