/* One entry of a scenario's `faults:`: when, what, whom, for how long. Read and checked before anything starts. */
#ifndef FLOSIM_SIM_FAULT_PLAN_H
#define FLOSIM_SIM_FAULT_PLAN_H

#include "sim/fault.h"
#include "sim/fleet.h"
#include "sim/joined_table.h"
#include "util/diag.h"

enum whom_kind { WHOM_ALL, WHOM_COUNT, WHOM_SHARE, WHOM_LIST };

struct whom {
    enum whom_kind kind;
    size_t count;   /* WHOM_COUNT */
    double share;   /* WHOM_SHARE: 0..1 */
    uint32_t *list; /* WHOM_LIST: client numbers, each once; owned */
    size_t num_list;
    int group; /* only clients of this group of the fleet; -1: of any */
};

enum fault_phase { /* of a round, in this order */
                   PHASE_SELECTION,
                   PHASE_DISTRIBUTION,
                   PHASE_TRAINING,
                   PHASE_AGGREGATION,
                   PHASE_VALIDATION,
                   PHASE_END,
};

/* The leader's probe point of a phase. */
const char *fault_phase_point(enum fault_phase phase);
const char *fault_phase_name(enum fault_phase phase);

struct fault_plan {
    const struct fault_ops *ops;
    struct diag_place place; /* of its `do` */
    bool by_round;
    int64_t round;             /* by_round: from 0, as on the wire … */
    enum fault_phase phase;    /* … and where in it */
    double at_s;               /* else: since the session began */
    double for_s;              /* 0: for good, or undone at once */
    struct whom whom;          /* of a fault of clients */
    struct joined_table table; /* of the common keys and the kind's own */
    void *keys;                /* its struct */
    const void *args;          /* the kind's own part of it */
};

/* What the plan must fit to. */
struct fault_limits {
    size_t num_clients;
    int64_t num_rounds;
    const struct fleet *fleet;
    bool embedded_broker, embedded_redis; /* the run has servers of its own */
    bool has_redis, has_checkpoints;      /* the leader's state outlives it */
};

/* Read one mapping. On errors (all in diags) *out is still good for fault_plan_fini. */
int fault_plan_read(struct yaml_node node, const struct fault_limits *limits, struct fault_plan *out,
                    struct diags *diags);
void fault_plan_fini(struct fault_plan *plan);

/* The victims among `candidates` [n], ascending client numbers: fills out [num_clients] ascending, returns how many. A
 * list takes those named, whether candidates or not. Depends on nothing but (seed, "fault", index of the plan). */
size_t fault_plan_choose(const struct fault_plan *plan, size_t index, uint64_t seed, const struct fleet *fleet,
                         const uint32_t *candidates, size_t n, uint32_t *out);

/* The keys that every fault has: for help and the reference page. */
extern const struct param_table fault_common_table;

#endif
