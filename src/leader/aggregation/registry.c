/* One row per member of this kind. */
#include <string.h>

#include "leader/strategies.h"

extern const struct flosim_aggregator_ops flosim_aggregation_fedavg;
extern const struct flosim_aggregator_ops flosim_aggregation_fedasync;
extern const struct flosim_aggregator_ops flosim_aggregation_fednova;
extern const struct flosim_aggregator_ops flosim_aggregation_fedprox;
extern const struct flosim_aggregator_ops flosim_aggregation_scaffold;

const struct flosim_aggregator_ops *const aggregations[] = {
    &flosim_aggregation_fedavg,  &flosim_aggregation_fedasync, &flosim_aggregation_fednova,
    &flosim_aggregation_fedprox, &flosim_aggregation_scaffold, NULL,
};

const struct flosim_aggregator_ops *aggregation_find(const char *name)
{
    for (size_t i = 0; aggregations[i]; i++)
        if (strcmp(aggregations[i]->name, name) == 0)
            return aggregations[i];
    return NULL;
}
