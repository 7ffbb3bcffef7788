/* One row per member of this kind. */
#include <string.h>

#include "leader/strategies.h"

extern const struct flosim_aggregator_ops flosim_aggregation_fedavg;
extern const struct flosim_aggregator_ops flosim_aggregation_fedadagrad;
extern const struct flosim_aggregator_ops flosim_aggregation_fedadam;
extern const struct flosim_aggregator_ops flosim_aggregation_fedasync;
extern const struct flosim_aggregator_ops flosim_aggregation_fedat;
extern const struct flosim_aggregator_ops flosim_aggregation_fedavgm;
extern const struct flosim_aggregator_ops flosim_aggregation_fedbuff;
extern const struct flosim_aggregator_ops flosim_aggregation_fednova;
extern const struct flosim_aggregator_ops flosim_aggregation_fedprox;
extern const struct flosim_aggregator_ops flosim_aggregation_fedyogi;
extern const struct flosim_aggregator_ops flosim_aggregation_qfedavg;
extern const struct flosim_aggregator_ops flosim_aggregation_scaffold;

/* clang-format off */
const struct flosim_aggregator_ops *const aggregations[] = {
    &flosim_aggregation_fedavg,
    &flosim_aggregation_fedadagrad,
    &flosim_aggregation_fedadam,
    &flosim_aggregation_fedasync,
    &flosim_aggregation_fedat,
    &flosim_aggregation_fedavgm,
    &flosim_aggregation_fedbuff,
    &flosim_aggregation_fednova,
    &flosim_aggregation_fedprox,
    &flosim_aggregation_fedyogi,
    &flosim_aggregation_qfedavg,
    &flosim_aggregation_scaffold,
    NULL,
};
/* clang-format on */

const struct flosim_aggregator_ops *aggregation_find(const char *name)
{
    for (size_t i = 0; aggregations[i]; i++)
        if (strcmp(aggregations[i]->name, name) == 0)
            return aggregations[i];
    return NULL;
}
