/* What the two faults of the leader share. */
#ifndef FLOSIM_SIM_FAULT_LEADER_H
#define FLOSIM_SIM_FAULT_LEADER_H

#include "sim/fault_plan.h"

struct leader_args {
    int mode, from; /* indices of their choices */
    double after_s; /* leader-restart alone */
};

enum { LEADER_ROWS_OF_BOTH = 2 };
extern const struct param leader_rows[LEADER_ROWS_OF_BOTH + 1];

int leader_fault_undo(struct fault_world *world, const struct victim *victim, const void *args, struct error *err);

/* Nothing to go on from. */
const char *leader_fault_obstacle(const struct fault_limits *limits, const void *args);

#endif
