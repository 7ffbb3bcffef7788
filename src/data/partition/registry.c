/* The partition schemes, one row each. */
#include <string.h>

#include "data/partition.h"

extern const struct partition_ops partition_iid, partition_dirichlet, partition_shards, partition_limit_label,
    partition_limit_label_unique, partition_equal_samples, partition_equal_label, partition_probability,
    partition_quantity, partition_natural;

// clang-format off
const struct partition_ops *const partition_schemes[] = {
    &partition_iid,
    &partition_dirichlet,
    &partition_shards,
    &partition_limit_label,
    &partition_limit_label_unique,
    &partition_equal_samples,
    &partition_equal_label,
    &partition_probability,
    &partition_quantity,
    &partition_natural,
    NULL,
};
// clang-format on

const struct partition_ops *partition_find(const char *name)
{
    for (size_t i = 0; partition_schemes[i]; i++) {
        const struct partition_ops *ops = partition_schemes[i];
        if (strcmp(ops->name, name) == 0 || (ops->alias && strcmp(ops->alias, name) == 0))
            return ops;
    }
    return NULL;
}
