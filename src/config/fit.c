#include "config/fit.h"

int fit_check(const struct model *model, const struct loss_ops *loss, const struct dataset *dataset, struct error *err)
{
    int64_t item[DATA_MAX_DIMS];
    struct item_facts facts = {
        .num_dims = dataset_shape(dataset, item),
        .dims = item,
        .vocabulary = dataset->vocabulary,
        .num_targets = dataset->num_targets,
        .has_values = dataset->values,
        .num_classes = dataset->num_classes,
    };

    return model_check_items(model, &facts, loss, err);
}
