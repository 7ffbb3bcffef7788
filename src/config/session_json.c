/* Parts of a session as they travel in requests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/tables.h"

/* Text is put together by hand, for jansson would write 0.1 as 0.10000000000000001. */

struct member {
    const char *key;
    char *value; /* JSON, owned; NULL: there was no memory for it */
};

/* One object of all members, which are freed; NULL when out of memory. */
static char *object_of(struct member *members, size_t n)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    bool whole = out != NULL;

    for (size_t i = 0; i < n; i++) {
        if (out && members[i].value)
            fprintf(out, "%s\"%s\":%s", i ? "," : "{", members[i].key, members[i].value);
        whole = whole && members[i].value;
        free(members[i].value);
    }
    if (out && (fputc('}', out) < 0 || fclose(out)))
        whole = false;
    if (!whole) {
        free(text);
        text = NULL;
    }
    return text;
}

static char *quoted(const char *text)
{
    json_t *json = json_string(text);
    char *quoted = json ? json_dumps(json, JSON_ENCODE_ANY) : NULL;

    json_decref(json);
    return quoted;
}

static char *arguments(struct yaml_node args)
{
    return yaml_kind(args) == YAML_MAPPING ? yaml_to_json(args) : strdup("{}");
}

char *session_optimizer_json(const struct session_config *config)
{
    struct yaml_node node = config->client_training_config.optimizer;
    const char *name = yaml_text(yaml_kind(node) == YAML_MAPPING ? yaml_get(node, "name") : node);

    struct yaml_node norm = yaml_get(node, "clip_norm"), value = yaml_get(node, "clip_value");
    struct member members[4] = {{"name", quoted(name ? name : "adam")}, {"args", arguments(yaml_get(node, "args"))}};
    size_t n = 2;

    if (!norm.doc && config->model_config.use_custom_trainer)
        norm = yaml_get(config->model_config.custom_trainer_args, "clip"); /* as Flotilla's trainers have it */
    if (norm.doc && !yaml_is_null(norm))
        members[n++] = (struct member){"clip_norm", strdup(yaml_text(norm))};
    if (value.doc && !yaml_is_null(value))
        members[n++] = (struct member){"clip_value", strdup(yaml_text(value))};
    return object_of(members, n);
}

char *session_loss_json(const struct session_config *config)
{
    const char *name = config->client_training_config.loss_function;

    struct member members[] = {{"name", quoted(name ? name : "crossentropy")}, {"args", strdup("{}")}};

    return object_of(members, 2);
}

static char *truth(bool value)
{
    return strdup(value ? "true" : "false");
}

char *session_model_config_json(const struct session_config *config)
{
    const struct model_config *model = &config->model_config;
    struct member members[] = {
        {"use_custom_dataloader", truth(model->use_custom_dataloader)},
        {"custom_loader_args", yaml_to_json(model->custom_loader_args)},
        {"use_custom_trainer", truth(model->use_custom_trainer)},
        {"custom_trainer_args", yaml_to_json(model->custom_trainer_args)},
        {"use_custom_validator", truth(model->use_custom_validator)},
        {"custom_validator_args", yaml_to_json(model->custom_validator_args)},
        {"model_args", yaml_to_json(model->model_args)},
    };

    return object_of(members, sizeof members / sizeof *members);
}
