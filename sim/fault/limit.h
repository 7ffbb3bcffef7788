/* Limits that the system sets on a client's process, from outside (prlimit): they need no root, and what fails, fails
 * in real system calls. A process that does not survive it is started again when the fault is taken back. */
#ifndef FLOSIM_SIM_FAULT_LIMIT_H
#define FLOSIM_SIM_FAULT_LIMIT_H

#include <sys/resource.h>

#include "sim/fault.h"

/* Lower the soft limit of the victim's process; it may die of it. A process that has ended is no error. */
int fault_limit_set(struct fault_world *world, const struct victim *victim, __rlimit_resource_t resource, rlim_t limit,
                    struct error *err);

/* Raise it again as far as it may go, or start the process anew. */
int fault_limit_lift(struct fault_world *world, const struct victim *victim, __rlimit_resource_t resource,
                     struct error *err);

/* Is the victim in the leader's roster? */
bool fault_limit_is_over(const struct fault_world *world, const struct victim *victim);

#endif
