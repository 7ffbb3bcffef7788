#include "leader/network_check.h"

#include <stdlib.h>
#include <string.h>

#include "config/model_folder.h"
#include "nn/loss.h"
#include "nn/model.h"
#include "nn/optimizer.h"

/* ---- the network ---- */

static json_t *model_args(const struct session_config *config)
{
    char *text = session_model_config_json(config);
    json_t *root = text ? json_loads(text, 0, NULL) : NULL, *args = model_args_of(root);

    json_decref(root);
    free(text);
    return args;
}

struct model *session_model_load(const struct session_config *config, const char *folder, struct diags *diags)
{
    struct model *model = NULL;
    json_t *args = model_args(config);

    model_folder_load(folder, config->client_training_config.model_class, args, &model, diags);
    json_decref(args);
    return model;
}

void session_model_free(struct model *model)
{
    model_free(model);
}

/* ---- its training ---- */

static void check_loss(const struct session_config *config, const struct session_check_context *ctx,
                       struct diag_place where, struct diags *diags)
{
    const char *name = config->client_training_config.loss_function;
    struct diag_place place = session_place(ctx, "client_training_config", "loss_function", where);
    const char *names[MAX_WORDS_OF_A_KIND];
    char text[WORDS_TEXT];
    size_t n = 0;

    if (!name || loss_find(name))
        return;
    for (; n < MAX_WORDS_OF_A_KIND && losses[n]; n++)
        names[n] = losses[n]->name;
    diag_error(diags, place, "%s", unknown_word("loss_function", name, names, n, text));
}

/* Read where they stand, so that each finding has the place of its argument. That there must be a name was said when
 * the session was read. */
static void check_optimizer(const struct session_config *config, struct diags *diags)
{
    struct yaml_node node = config->client_training_config.optimizer;
    struct yaml_node named = yaml_kind(node) == YAML_MAPPING ? yaml_get(node, "name") : node;

    if (yaml_text(named))
        optimizer_check(yaml_text(named), yaml_place(named), yaml_get(node, "args"), diags);
}

void network_check_training(const struct session_config *config, const struct session_check_context *ctx,
                            struct diag_place where, struct diags *diags)
{
    check_loss(config, ctx, where, diags);
    check_optimizer(config, diags);
}

const struct layout *network_layout(const struct model *network)
{
    return model_layout(network);
}
