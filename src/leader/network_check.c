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
    struct yaml_node node = config->model_config.model_args;
    char *text = yaml_kind(node) == YAML_MAPPING ? yaml_to_json(node) : NULL;
    json_t *args = text ? json_loads(text, 0, NULL) : NULL;

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

static void check_optimizer(const struct session_config *config, const struct session_check_context *ctx,
                            struct diag_place where, struct diags *diags)
{
    char *json = session_optimizer_json(config);
    struct optimizer *optimizer = NULL;
    struct error err = ERROR_INIT;

    if (!json)
        diag_error(diags, where, "no memory for the optimizer's arguments");
    else if (optimizer_new(span_of(json, strlen(json)), config->client_training_config.learning_rate, 1, &optimizer,
                           &err) != OK)
        diag_error(diags, session_place(ctx, "client_training_config", "optimizer", where), "%s", err.message);
    optimizer_free(optimizer);
    free(json);
}

void network_check_training(const struct session_config *config, const struct session_check_context *ctx,
                            struct diag_place where, struct diags *diags)
{
    check_loss(config, ctx, where, diags);
    if (config->client_training_config.learning_rate > 0)
        check_optimizer(config, ctx, where, diags);
}
