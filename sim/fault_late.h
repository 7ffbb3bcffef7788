/* Clients that are not there when the run begins, for a fault is to start them (`do: join`). */
#ifndef FLOSIM_SIM_FAULT_LATE_H
#define FLOSIM_SIM_FAULT_LATE_H

#include "sim/fault_plan.h"

/* Sets is_late [num_clients] for them, as the faults will choose them; returns how many. ERR_MEMORY: a negative number.
 */
long fault_late_clients(const struct fault_plan *plans, size_t num_plans, uint64_t seed, const struct fleet *fleet,
                        size_t num_clients, bool *is_late);

#endif
