/* What the faults of the network share. */
#ifndef FLOSIM_SIM_FAULT_NETWORK_H
#define FLOSIM_SIM_FAULT_NETWORK_H

#include "sim/fault.h"

/* This effect from now on: no byte passes the link any more that does not meet it. */
int network_strike(struct fault_world *world, const struct victim *victim, enum link_effect effect, double p0,
                   double p1);

/* Slots. */
int network_undo(struct fault_world *world, const struct victim *victim, const void *args, struct error *err);
bool network_is_back(const struct fault_world *world, const struct victim *victim); /* or was never missed */

#endif
