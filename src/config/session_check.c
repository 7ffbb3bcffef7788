/* What the rows of session.yaml cannot say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/lr_schedule.h"
#include "config/model_folder.h"
#include "config/tables.h"
#include "data/loader_args.h"
#include "nn/optimizer.h"
#include "util/fs.h"

/* A name, or {name: …, args: {…}}. Which names there are is checked with the strategies. */
static void check_optimizer(struct yaml_node node, struct diags *diags)
{
    if (yaml_kind(node) == YAML_MAPPING)
        optimizer_check_request(node, diags);
    else if (node.doc && !yaml_text(node))
        diag_error(diags, yaml_place(node),
                   "`client_training_config.optimizer` must be a name, or {name: ..., args: {...}}");
}

/* The leader sends each round's rate with the request; an optimizer's own `lr` would override it. */
static void check_schedule(const struct session_config *config, struct diags *diags)
{
    struct yaml_node node = config->client_training_config.lr_schedule;
    struct yaml_node lr = yaml_get(yaml_get(config->client_training_config.optimizer, "args"), "lr");
    struct lr_schedule schedule;

    if (lr_schedule_read(node, &schedule, diags) == OK && schedule.ops && lr.doc)
        diag_error(
            diags, yaml_place(lr),
            "`lr` fixes the rate that `lr_schedule` is to change; set client_training_config.learning_rate instead");
}

/* --- mappings ------------------------------------------------------------------------------------------------------
 */

static bool is_mapping_or_absent(struct yaml_node node, const char *section, const char *key, struct diags *diags)
{
    if (!node.doc || yaml_is_null(node) || yaml_kind(node) == YAML_MAPPING)
        return true;
    diag_error(diags, yaml_place(node), "`%s.%s` must be a mapping of arguments, such as {name: value}", section, key);
    return false;
}

/* flosim has one trainer and validator; what Flotilla's Python files would do with an argument, they don't,
 * except for `honoured`. */
static void check_custom(bool used, struct yaml_node args, const char *section, const char *key, const char *honoured,
                         struct diags *diags)
{
    if (!is_mapping_or_absent(args, section, key, diags) || !used)
        return;
    for (size_t i = 0; i < yaml_size(args); i++)
        if (!honoured || strcmp(yaml_text(yaml_key(args, i)), honoured) != 0)
            diag_warning(diags, yaml_place(yaml_key(args, i)), "`%s.%s.%.80s` has no effect in flosim", section, key,
                         yaml_text(yaml_key(args, i)));
}

static void check_clip(const struct model_config *config, const char *section, struct diags *diags)
{
    struct yaml_node clip = yaml_get(config->custom_trainer_args, "clip");
    double value;

    if (config->use_custom_trainer && clip.doc &&
        (param_parse_scalar(PARAM_DOUBLE, yaml_text(clip) ? yaml_text(clip) : "", &value, NULL) != OK || value <= 0))
        diag_error(diags, yaml_place(clip), "`%s.custom_trainer_args.clip` must be a number above 0", section);
}

/* Whether an argument means something for the data is told where the data are read. */
static void check_loader(const struct model_config *config, const char *section, struct diags *diags)
{
    struct loader_args args;
    char where[80];

    snprintf(where, sizeof where, "%s.custom_loader_args.", section);
    if (is_mapping_or_absent(config->custom_loader_args, section, "custom_loader_args", diags) &&
        config->use_custom_dataloader)
        loader_args_read(config->custom_loader_args, where, &args, diags);
}

void model_config_check(const struct model_config *config, const char *section, struct diags *diags)
{
    check_loader(config, section, diags);
    check_custom(config->use_custom_trainer, config->custom_trainer_args, section, "custom_trainer_args", "clip",
                 diags);
    check_clip(config, section, diags);
    check_custom(config->use_custom_validator, config->custom_validator_args, section, "custom_validator_args", NULL,
                 diags);
    is_mapping_or_absent(config->model_args, section, "model_args", diags);
}

/* --- the whole -----------------------------------------------------------------------------------------------------
 */

/* Names that become folders on other machines. */
static void check_component(const char *name, struct yaml_node root, const char *section, const char *key,
                            struct diags *diags)
{
    if (name && !fs_is_component(name))
        diag_error(diags, config_place(root, section, key),
                   "`%s.%s` must be one plain name, without `/`, found `%.80s`", section, key, name);
}

static void check_names(const struct session_config *config, struct yaml_node root, struct diags *diags)
{
    check_component(config->client_training_config.model_id, root, "client_training_config", "model_id", diags);
    check_component(config->client_training_config.dataset, root, "client_training_config", "dataset", diags);
    check_component(config->server_training_config.validation_dataset, root, "server_training_config",
                    "validation_dataset", diags);
    check_component(config->benchmark_config.model_id, root, "benchmark_config", "model_id", diags);
    check_component(config->benchmark_config.dataset, root, "benchmark_config", "dataset", diags);
}

static void check_stragglers(const struct session_config *config, struct yaml_node root, struct diags *diags)
{
    if (config->client_training_config.straggler_fraction > 0 && config->client_training_config.epochs == 1)
        diag_warning(diags, config_place(root, "client_training_config", "straggler_fraction"),
                     "`client_training_config.straggler_fraction` has no effect with `epochs: 1`: stragglers do 1 to "
                     "epochs-1 of the epochs");
}

void session_config_check(const struct session_config *config, struct yaml_node root, struct diags *diags)
{
    check_names(config, root, diags);
    check_optimizer(config->client_training_config.optimizer, diags);
    check_schedule(config, diags);
    check_stragglers(config, root, diags);
    model_config_check(&config->model_config, "model_config", diags);
}

static bool is_absent(struct yaml_node node)
{
    return !node.doc || yaml_is_null(node) || (yaml_kind(node) != YAML_SCALAR && !yaml_size(node));
}

static bool is_empty(const struct model_config *config)
{
    return !config->use_custom_dataloader && !config->use_custom_trainer && !config->use_custom_validator &&
           is_absent(config->custom_loader_args) && is_absent(config->custom_trainer_args) &&
           is_absent(config->custom_validator_args) && is_absent(config->model_args);
}

static bool has_config(const char *folder)
{
    char *path = fs_join(folder, "config.yaml");
    bool has = path && fs_exists(path);

    free(path);
    return has;
}

int session_apply_model_folder(struct session_config *config, const char *folder, struct diags *diags)
{
    struct model_folder_config own;
    struct model_config defaults;

    if (!is_empty(&config->model_config) || !has_config(folder))
        return OK;
    int status = model_folder_config_load(folder, &own, diags);
    int read = model_folder_default_read(own.default_training_config, &defaults, diags);
    params_free(&model_config_table, &config->model_config);
    config->model_config = defaults; /* as far as it could be read: for whoever looks for more to tell */
    params_free(&model_folder_table, &own);
    return status ? status : read;
}
