/* A model folder: model.yaml (the network) and config.yaml (Flotilla's model_details, default_training_config). A
 * folder without model.yaml uses the built-in network of its model_class, or is refused with the list of those. */
#ifndef FLOSIM_CONFIG_MODEL_FOLDER_H
#define FLOSIM_CONFIG_MODEL_FOLDER_H

#include <jansson.h>

#include "config/session_config.h"
#include "nn/model.h"

struct model_folder_config { /* config.yaml */
    struct {
        char *model_id, *model_class;
        struct string_list suitable_datasets, model_tags;
        char *ignored[8]; /* keys that only Flotilla's Python classes need */
    } model_details;
    struct yaml_node default_training_config;
};

extern const struct param_table model_folder_table;

/* Read FOLDER/config.yaml. Finish with params_free(&model_folder_table, out), also after a failure. */
int model_folder_config_load(const char *folder, struct model_folder_config *out, struct diags *diags);

/* What no row can say; `default_training_config` is read with the session's table. */
void model_folder_config_check(const struct model_folder_config *config, struct diags *diags);

/* The network that is built in under a class' or model's name (Flotilla's LeNet5_class is LeNet5 here too): the text of
 * its model.yaml, or NULL. */
const char *builtin_network(const char *name);

struct builtin_model {
    const char *id, *text;
};
extern const struct builtin_model builtin_models[]; /* made from models/ at build time; ends with a NULL id */

/* The model_args of a model_config as it travels (JSON, may be NULL), and of its custom_loader_args, where they are
 * used, the length of the windows: lookback and seq_len, unless model_args say it themselves. New, or NULL: none. */
json_t *model_args_of(const json_t *model_config);

/* Load the network of a folder. model_class NULL: the config's. Used by the leader and, from its cache, by the worker.
 */
int model_folder_load(const char *folder, const char *model_class, const json_t *model_args, struct model **out,
                      struct diags *diags);

#endif
