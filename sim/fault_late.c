#include "sim/fault_late.h"

#include <stdlib.h>
#include <string.h>

static void mark(const struct fault_plan *plan, const struct whom_draw *draw, const struct fleet *fleet,
                 size_t num_clients, uint32_t *scratch, bool *is_late)
{
    uint32_t *all = scratch, *chosen = scratch + num_clients;

    for (size_t i = 0; i < num_clients; i++)
        all[i] = (uint32_t)i;
    size_t n = fault_whom_choose(&plan->whom, draw, fleet, all, num_clients, chosen);
    for (size_t i = 0; i < n; i++)
        if (chosen[i] < num_clients)
            is_late[chosen[i]] = true;
}

long fault_late_clients(const struct fault_plan *plans, size_t num_plans, uint64_t seed, const struct fleet *fleet,
                        size_t num_clients, bool *is_late)
{
    uint32_t *scratch = calloc(2 * num_clients + 1, sizeof *scratch);
    long n = 0;

    memset(is_late, 0, num_clients * sizeof *is_late);
    if (!scratch)
        return -1;
    for (size_t i = 0; i < num_plans; i++) {
        struct whom_draw draw = {seed, i, 0};

        if (plans[i].ops && plans[i].ops->joins)
            mark(&plans[i], &draw, fleet, num_clients, scratch, is_late);
    }
    for (size_t i = 0; i < num_clients; i++)
        n += is_late[i];
    free(scratch);
    return n;
}
