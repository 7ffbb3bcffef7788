/* How the clients' learning rate changes from round to round: `client_training_config.lr_schedule`. The leader computes
 * each round's rate and sends it; clients know nothing of it. Pure; any thread. */
#ifndef FLOSIM_CONFIG_LR_SCHEDULE_H
#define FLOSIM_CONFIG_LR_SCHEDULE_H

#include <stdint.h>

#include "util/params.h"

/* One struct serves all schedules; each reads the members that its table names. */
struct lr_schedule_args {
    int64_t every, rounds;
    double factor, final_share;
};

struct lr_schedule_ops {
    const char *name;
    const struct param_table *params;
    /* What round `round` (from 0) of num_rounds multiplies the learning rate with. */
    double (*factor)(const struct lr_schedule_args *args, int64_t round, int64_t num_rounds);
};

extern const struct lr_schedule_ops lr_schedules[]; /* ends with a row without a name */

struct lr_schedule {
    const struct lr_schedule_ops *ops; /* NULL: constant */
    struct lr_schedule_args args;
};

/* From {name: step, args: {every: 10, factor: 0.5}} or a name alone; an absent node is constant. Findings go to diags.
 */
int lr_schedule_read(struct yaml_node node, struct lr_schedule *out, struct diags *diags);

double lr_schedule_factor(const struct lr_schedule *schedule, int64_t round, int64_t num_rounds);

#endif
