/* What a session takes from its network: the layout of its weights, their initial values, and the validation of the
 * global model on the leader's data. */
#include <stdlib.h>

#include "data/folder.h"
#include "leader/session_setup.h"
#include "nn/loss.h"
#include "nn/model.h"
#include "util/fs.h"
#include "util/large.h"

static void make_weights(struct session_setup *setup, const struct model *model, struct diag_place place,
                         struct diags *diags)
{
    struct error err = ERROR_INIT;

    if (layout_copy(model_layout(model), &setup->layout, &err) != OK) {
        diag_error(diags, place, "%s", err.message);
        return;
    }
    setup->initial = large_zeroed(setup->layout.num_floats * sizeof *setup->initial);
    if (!setup->initial)
        diag_error(diags, place, "no memory for %zu weights", setup->layout.num_floats);
    else
        model_init_params(model, (uint64_t)setup->config.session_config.seed, setup->initial);
}

struct folder_data {
    struct data_folder folder;
    struct data_view view;
};

static void release_folder(void *owned)
{
    struct folder_data *data = owned;

    data_folder_fini(&data->folder);
    free(data);
}

/* Cut as the clients' data are. */
static int load_folder_data(const char *dir, const char *name, const struct loader_args *loader,
                            struct validator_data *out, struct diag_place place, struct diags *diags)
{

    struct folder_data *data = calloc(1, sizeof *data);
    char *path = fs_join(dir, name);
    int status = ERR_MEMORY;

    if (data && path)
        status = data_folder_load(path, false, loader, &data->folder, diags);
    else
        diag_error(diags, place, "no memory for the validation data");
    free(path);
    if (status != OK) {
        free(data);
        return status;
    }
    data->view = (struct data_view){&data->folder.dataset, NULL, data->folder.dataset.num_items};
    *out = (struct validator_data){&data->view, release_folder, data};
    return OK;
}

/* The host's data, the folder's, or none: then the leader does not validate. */
static bool find_data(const struct session_setup *setup, const struct session_check_context *context,
                      const struct loader_args *loader, struct validator_data *out, struct diag_place place,
                      struct diags *diags)
{
    const char *name = session_validation_dataset(&setup->config);

    *out = (struct validator_data){0};
    if (!context || !name)
        return false;
    if (context->host && context->host->validation_data)
        out->view = context->host->validation_data(context->host->context, name);
    if (out->view)
        return true;
    return context->validation_data_dir_path &&
           load_folder_data(context->validation_data_dir_path, name, loader, out, place, diags) == OK;
}

void session_setup_network(struct session_setup *setup, struct model *model,
                           const struct session_check_context *context, struct diag_place place, struct diags *diags)
{
    const char *loss = setup->config.client_training_config.loss_function;
    int64_t batch = setup->config.server_training_config.global_model_validation_batch_size;
    int threads = context && context->host ? context->host->threads : 1;
    const struct model_config *config = &setup->config.model_config;
    struct loader_args loader = {0};
    struct validator_data data;
    struct error err = ERROR_INIT;

    if (config->use_custom_dataloader) /* what is wrong with them was said when the session was checked */
        loader_args_read(config->custom_loader_args, "", &loader, NULL);
    setup->cut_anew = loader_args_cut(&loader);
    make_weights(setup, model, place, diags);
    if (!find_data(setup, context, &loader, &data, place, diags)) {
        model_free(model);
        return;
    }
    if (validator_model_new(model, loss_find(loss ? loss : "crossentropy"), &data, (int)(batch > 0 ? batch : 64),
                            threads, &setup->validator, &err) != OK)
        diag_error(diags, place, "%s", err.message);
}
