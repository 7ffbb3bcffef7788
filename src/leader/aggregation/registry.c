/* One row per member of this kind. */
#include <string.h>

#include "leader/strategies.h"

extern const struct flosim_aggregator_ops flosim_aggregation_fedavg;
extern const struct flosim_aggregator_ops flosim_aggregation_bulyan;
extern const struct flosim_aggregator_ops flosim_aggregation_fedadagrad;
extern const struct flosim_aggregator_ops flosim_aggregation_fedadam;
extern const struct flosim_aggregator_ops flosim_aggregation_fedasync;
extern const struct flosim_aggregator_ops flosim_aggregation_fedat;
extern const struct flosim_aggregator_ops flosim_aggregation_fedavgm;
extern const struct flosim_aggregator_ops flosim_aggregation_fedbuff;
extern const struct flosim_aggregator_ops flosim_aggregation_fednova;
extern const struct flosim_aggregator_ops flosim_aggregation_fedprox;
extern const struct flosim_aggregator_ops flosim_aggregation_fedyogi;
extern const struct flosim_aggregator_ops flosim_aggregation_krum;
extern const struct flosim_aggregator_ops flosim_aggregation_median;
extern const struct flosim_aggregator_ops flosim_aggregation_multikrum;
extern const struct flosim_aggregator_ops flosim_aggregation_norm_clipping;
extern const struct flosim_aggregator_ops flosim_aggregation_qfedavg;
extern const struct flosim_aggregator_ops flosim_aggregation_scaffold;
extern const struct flosim_aggregator_ops flosim_aggregation_trimmed_mean;

/* clang-format off */
const struct flosim_aggregator_ops *const aggregations[] = {
    &flosim_aggregation_fedavg,
    &flosim_aggregation_bulyan,
    &flosim_aggregation_fedadagrad,
    &flosim_aggregation_fedadam,
    &flosim_aggregation_fedasync,
    &flosim_aggregation_fedat,
    &flosim_aggregation_fedavgm,
    &flosim_aggregation_fedbuff,
    &flosim_aggregation_fednova,
    &flosim_aggregation_fedprox,
    &flosim_aggregation_fedyogi,
    &flosim_aggregation_krum,
    &flosim_aggregation_median,
    &flosim_aggregation_multikrum,
    &flosim_aggregation_norm_clipping,
    &flosim_aggregation_qfedavg,
    &flosim_aggregation_scaffold,
    &flosim_aggregation_trimmed_mean,
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
