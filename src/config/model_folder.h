/* A model folder: model.yaml (the network) and config.yaml (Flotilla's model_details, default_training_config). A folder
 * without model.yaml uses the built-in network of its model_class, or is refused with the list of those. */
#ifndef FLOSIM_CONFIG_MODEL_FOLDER_H
#define FLOSIM_CONFIG_MODEL_FOLDER_H

#include <jansson.h>

#include "config/session_config.h"
#include "nn/model.h"

struct model_folder_config { /* config.yaml */
    struct {
        char *model_id, *model_class;
        struct string_list suitable_datasets, model_tags;
    } model_details;
    struct yaml_node default_training_config;
};

extern const struct param_table model_folder_table;

/* Load the network of a folder. model_class NULL: the config's. Used by the leader and, from its cache, by the worker. */
int model_folder_load(const char *folder, const char *model_class, const json_t *model_args, struct model **out,
                      struct diags *diags);

#endif
