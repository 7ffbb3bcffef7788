/* The plans of a scenario's `faults:`: when, what, to whom, for how long. Read and checked before anything starts. */
#ifndef FLOSIM_SIM_FAULT_PLAN_H
#define FLOSIM_SIM_FAULT_PLAN_H

#include "sim/fault.h"
#include "sim/fault_when.h"
#include "sim/fault_whom.h"
#include "sim/fleet.h"
#include "sim/joined_table.h"
#include "util/diag.h"

struct fault_plan {
    const struct fault_ops *ops; /* NULL only where it could not be read */
    struct diag_place place;     /* of its `do` */
    struct fault_when when;
    struct whom whom;
    double for_s;              /* 0: for good, or undone at once … */
    int64_t for_rounds;        /* … or so many rounds, with the one in which it strikes */
    long next;                 /* index of the plan that follows it (WHEN_AFTER); -1: none */
    struct joined_table table; /* of the common keys and the kind's own */
    void *keys;                /* its struct */
    const void *args;          /* the kind's own part of it */
};

/* What the plans must fit to. */
struct fault_limits {
    size_t num_clients;
    int64_t num_rounds;
    const struct fleet *fleet;
    bool embedded_broker, embedded_redis; /* the run has servers of its own */
    bool has_redis, has_checkpoints;      /* the leader's state outlives it */
};

/* Read the list. A plan per entry, in order, and behind them those that follow others (`then`). On errors (all in
 * diags) *out [*n] is still good for fault_plans_free. */
int fault_plans_read(struct yaml_node list, const struct fault_limits *limits, struct fault_plan **out, size_t *n,
                     struct diags *diags);
void fault_plans_free(struct fault_plan *plans, size_t n);

/* Is it taken back some time? */
bool fault_plan_ends(const struct fault_plan *plan);

/* The keys that every fault has, beside fault_when_table and fault_whom_table: for help and the reference page. */
extern const struct param_table fault_common_table;

/* Entries of the list, each with what it means; ends with a NULL text. */
struct fault_example {
    const char *text, *help;
};
extern const struct fault_example fault_examples[];

#endif
