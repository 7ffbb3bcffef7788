/* Parts of a session as they travel in requests. */
#include <stdlib.h>

#include "config/tables.h"

/* `json` is taken. */
static char *dump(json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    return text;
}

static json_t *args_json(struct yaml_node args)
{
    return yaml_kind(args) == YAML_MAPPING ? config_json(args) : json_object();
}

char *session_optimizer_json(const struct session_config *config)
{
    struct yaml_node node = config->client_training_config.optimizer;
    struct yaml_node name = yaml_kind(node) == YAML_MAPPING ? yaml_get(node, "name") : node;
    const char *text = yaml_text(name);

    return dump(json_pack("{s:s, s:o}", "name", text ? text : "adam", "args", args_json(yaml_get(node, "args"))));
}

char *session_loss_json(const struct session_config *config)
{
    const char *name = config->client_training_config.loss_function;

    return dump(json_pack("{s:s, s:{}}", "name", name ? name : "crossentropy", "args"));
}

char *session_model_config_json(const struct session_config *config)
{
    const struct model_config *model = &config->model_config;

    return dump(json_pack("{s:b, s:o, s:b, s:o, s:b, s:o, s:o}", "use_custom_dataloader", model->use_custom_dataloader,
                          "custom_loader_args", config_json(model->custom_loader_args), "use_custom_trainer",
                          model->use_custom_trainer, "custom_trainer_args", config_json(model->custom_trainer_args),
                          "use_custom_validator", model->use_custom_validator, "custom_validator_args",
                          config_json(model->custom_validator_args), "model_args", config_json(model->model_args)));
}
