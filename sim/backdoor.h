/* A trigger in images: a bright patch in the lower right corner, after which a poisoned model sees the target class
 * (Gu et al. 2017, BadNets; Bagdasaryan et al. 2020). */
#ifndef FLOSIM_SIM_BACKDOOR_H
#define FLOSIM_SIM_BACKDOOR_H

#include <stdbool.h>

#include "data/dataset.h"
#include "sim/fault.h"

struct backdoor { /* arguments of the fault */
    int64_t target, size;
    double share;
};

/* What the values of the order mean. */
enum backdoor_value { BACKDOOR_TARGET, BACKDOOR_SHARE, BACKDOOR_SIZE };

extern const struct fault_ops fault_backdoor;

/* Values of one item as a model gets it. */
size_t backdoor_item_size(const struct dataset *data);

/* The patch of size x size pixels into an item [C, H, W] as data_gather gave it; the border of padding stays clear. */
void backdoor_stamp(const struct dataset *data, int size, float *x);

#endif
