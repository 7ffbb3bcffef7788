#include <string.h>

#include "config/fit.h"
#include "leader/session_check.h"
#include "nn/model.h"
#include "sim/scenario.h"

static int complain(const struct scenario *scenario, struct diags *diags, const struct error *err)
{
    diag_error(diags, scenario->data.place, "`data`: %s", err->message);
    return err->status;
}

static int deal(const struct scenario *scenario, struct scenario_data *out, struct diags *diags)
{
    const struct data_plan *plan = &scenario->data;
    struct error err = ERROR_INIT;

    if (partition_make(&out->pair.train, plan->scheme, plan->scheme_args, (size_t)scenario->keys.clients,
                       (size_t)plan->keys->samples_per_client, (uint64_t)scenario->keys.seed, &out->partition, &err))
        return complain(scenario, diags, &err);
    return OK;
}

static int cut_validation(const struct scenario *scenario, struct scenario_data *out, struct diags *diags)
{
    size_t wanted = (size_t)scenario->data.keys->validation_samples, there = out->pair.validation.num_items;
    struct error err = ERROR_INIT;

    out->validation = (struct data_view){.dataset = &out->pair.validation, .num_items = wanted ? wanted : there};
    if (wanted <= there)
        return OK;
    error_set(&err, ERR_INVALID, __FILE__, __LINE__, "validation_samples: %zu, but the source has only %zu", wanted,
              there);
    return complain(scenario, diags, &err);
}

static int check_model(const struct scenario *scenario, const struct scenario_data *data, struct diags *diags)
{
    struct model *model =
        session_model_load(&scenario->session, scenario->session.server_training_config.model_dir, diags);
    const char *loss = scenario->session.client_training_config.loss_function;
    struct error err = ERROR_INIT;
    int status = ERR_INVALID;

    if (model)
        status = fit_check(model, loss_find(loss ? loss : "crossentropy"), &data->pair.train, &err);
    if (model && status)
        complain(scenario, diags, &err);
    model_free(model);
    return status;
}

/* Faults that the data does not allow. */
static int check_faults(const struct scenario *scenario, const struct scenario_data *data, struct diags *diags)
{
    int status = OK;

    for (size_t i = 0; i < scenario->num_faults; i++) {
        const struct fault_plan *plan = &scenario->faults[i];
        const char *why =
            plan->ops && plan->ops->data_obstacle ? plan->ops->data_obstacle(&data->pair.train, plan->args) : NULL;

        if (!why)
            continue;
        diag_error(diags, plan->place, "`do`: %s %s", plan->ops->name, why);
        status = ERR_INVALID;
    }
    return status;
}

int scenario_load_data(const struct scenario *scenario, struct scenario_data *out, struct diags *diags)
{
    const struct data_plan *plan = &scenario->data;

    memset(out, 0, sizeof *out);
    if (!plan->usable)
        return ERR_INVALID; /* that was said already */
    if (plan->source->load(plan->source_args, (uint64_t)scenario->keys.seed, &out->pair, diags))
        return ERR_INVALID;
    int dealt = scenario->keys.clients > 0 ? deal(scenario, out, diags) : ERR_INVALID;
    int validation = cut_validation(scenario, out, diags);
    int shapes = scenario->has_model_folder ? check_model(scenario, out, diags) : ERR_INVALID;
    int faults = check_faults(scenario, out, diags);
    int status = dealt ? dealt : validation ? validation : shapes ? shapes : faults;
    if (status)
        scenario_data_fini(out);
    return status;
}

void scenario_data_fini(struct scenario_data *data)
{
    partition_fini(&data->partition);
    data_pair_fini(&data->pair);
    memset(data, 0, sizeof *data);
}
