/* To whom a fault happens, and the choice of its victims. */
#ifndef FLOSIM_SIM_FAULT_WHOM_H
#define FLOSIM_SIM_FAULT_WHOM_H

#include "sim/fault.h"
#include "sim/fleet.h"
#include "util/diag.h"

struct fault_limits;

enum whom_kind { WHOM_ALL, WHOM_SELECTED, WHOM_COUNT, WHOM_SHARE, WHOM_LIST };

struct whom {
    enum fault_target target;
    enum whom_kind kind; /* of clients; WHOM_SELECTED: all that train in the round */
    size_t count;        /* WHOM_COUNT */
    double share;        /* WHOM_SHARE: 0..1 */
    uint32_t *list;      /* WHOM_LIST: client numbers, each once; owned */
    size_t num_list;
    int group; /* only clients of this group of the fleet; -1: of any */
};

struct whom_keys {
    struct yaml_node clients;
    char *group;
    int target; /* enum fault_target */
};

extern const struct param_table fault_whom_table; /* of struct whom_keys */

/* From the keys of the mapping `node`. `ops` NULL: the kind is unknown, which was said. On errors (all in diags) *out
 * is still good for fault_whom_fini. */
void fault_whom_read(struct yaml_node node, const struct whom_keys *keys, const struct fault_ops *ops,
                     const struct fault_limits *limits, struct whom *out, struct diags *diags);
void fault_whom_fini(struct whom *whom);

/* What a choice depends on, beside the candidates. */
struct whom_draw {
    uint64_t seed;
    size_t plan;         /* its index */
    uint32_t occurrence; /* of the plan, from 0 */
};

/* The victims among `candidates` [n], ascending client numbers: fills out [num_clients] ascending, returns how many. A
 * list takes those named, whether candidates or not. */
size_t fault_whom_choose(const struct whom *whom, const struct whom_draw *draw, const struct fleet *fleet,
                         const uint32_t *candidates, size_t n, uint32_t *out);

#endif
