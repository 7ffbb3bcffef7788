/* What the tables of this room share. */
#ifndef FLOSIM_CONFIG_TABLES_H
#define FLOSIM_CONFIG_TABLES_H

#include <jansson.h>

#include "config/leader_config.h"
#include "config/session_config.h"

/* A table of `rows` for structs of the type or expression `of`. */
#define TABLE(table_name, table_help, table_rows, of)                                                                  \
    {                                                                                                                  \
        .name = (table_name), .help = (table_help), .rows = (table_rows),                                              \
        .num_rows = sizeof(table_rows) / sizeof *(table_rows), .size = sizeof(of)                                      \
    }

/* Rows of a struct model_config at the beginning of its table's struct. */
// clang-format off
#define MODEL_CONFIG_ROWS                                                                                              \
    {.name = "use_custom_dataloader", .type = PARAM_BOOL, .offset = offsetof(struct model_config, use_custom_dataloader), .fallback = "false",\
     .help = "Give custom_loader_args to the built-in loader."},                                                       \
    {.name = "custom_loader_args", .type = PARAM_NODE, .offset = offsetof(struct model_config, custom_loader_args),    \
     .help = "What the built-in loader makes of the data, over what the data's folder says: lookback, pred_forward, seq_len, normalize_data, batch_size."},                                                                              \
    {.name = "use_custom_trainer", .type = PARAM_BOOL, .offset = offsetof(struct model_config, use_custom_trainer), .fallback = "false",\
     .help = "Give custom_trainer_args to the built-in trainer."},                                                     \
    {.name = "custom_trainer_args", .type = PARAM_NODE, .offset = offsetof(struct model_config, custom_trainer_args),  \
     .help = "Arguments of the trainer."},                                                                             \
    {.name = "use_custom_validator", .type = PARAM_BOOL, .offset = offsetof(struct model_config, use_custom_validator), .fallback = "false",\
     .help = "Give custom_validator_args to the built-in validator."},                                                 \
    {.name = "custom_validator_args", .type = PARAM_NODE, .offset = offsetof(struct model_config, custom_validator_args),\
     .help = "Arguments of the validator."},                                                                           \
    {.name = "model_args", .type = PARAM_NODE, .offset = offsetof(struct model_config, model_args),                    \
     .help = "Put in for $(name) in model.yaml, such as {num_classes: 10}."}
// clang-format on

extern const char *const security_choices[];

/* The place of root.section.key for a message, or of what is nearest to it; `key` may be NULL. */
struct diag_place config_place(struct yaml_node root, const char *section, const char *key);

void tls_config_check(const struct tls_config *tls, struct diag_place place, struct diags *diags);

/* The arguments of model_config: mappings, and none that are without effect. */
void model_config_check(const struct model_config *config, const char *section, struct diags *diags);

/* Read default_training_config, with the keys that only model folders have; on failure *out holds what
 * could be read. */
int model_folder_default_read(struct yaml_node node, struct model_config *out, struct diags *diags);

/* A node as a new JSON value (null where there is none); NULL when out of memory. */
json_t *config_json(struct yaml_node node);

/* What no row can say: relations between keys. `values` is the struct of the kind's table. */
void leader_config_check(const void *values, struct yaml_node root, struct diags *diags);
void worker_config_check(const void *values, struct yaml_node root, struct diags *diags);

#endif
