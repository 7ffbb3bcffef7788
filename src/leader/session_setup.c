#include "leader/session_setup.h"

#include <stdlib.h>
#include <string.h>

#include "util/fs.h"

struct making {
    struct session_setup *setup;
    const struct session_check_context *context;
    struct diag_place where;
    struct diags *diags;
};

static struct diag_place place_of(const struct making *making, const char *section, const char *key)
{
    return session_place(making->context, section, key, making->where);
}

static void report_error(const struct making *making, struct diag_place place, const struct error *err)
{
    diag_error(making->diags, place, "%s", err->message);
}

static void make_texts(struct making *making, const char *session_id, const char *config_json,
                       const struct session_restore *restore)
{
    struct session_setup *setup = making->setup;

    if (restore) {
        setup->restore = *restore;
        setup->restored_from = strdup(restore->from ? restore->from : "the store");
        setup->restore.from = setup->restored_from;
    }
    setup->session_id = strdup(session_id);
    setup->config_json = strdup(config_json ? config_json : "{}");
    setup->model_config_json = session_model_config_json(&setup->config);
    setup->optimizer_json = session_optimizer_json(&setup->config);
    lr_schedule_read(setup->config.client_training_config.lr_schedule, &setup->lr_schedule, making->diags);
    setup->loss_json = session_loss_json(&setup->config);
    if (!setup->session_id || !setup->config_json || !setup->model_config_json || !setup->optimizer_json ||
        !setup->loss_json || (restore && !setup->restored_from))
        diag_error(making->diags, making->where, "no memory for the session's texts");
}

static void read_files(struct making *making, const char *folder, const char *model_id, struct diag_place place,
                       struct model_files *out)
{
    struct error err = ERROR_INIT;

    if (model_files_read(folder, model_id, out, &err) != OK)
        report_error(making, place, &err);
}

/* ---- the model to train ---- */

/* Takes the network and the strategies out of the parts. */
static void take_parts(struct making *making, struct session_parts *parts)
{
    struct session_setup *setup = making->setup;
    struct diag_place place = place_of(making, "server_training_config", "model_dir");

    setup->strategies = parts->strategies;
    parts->strategies = (struct session_strategies){0};
    if (!parts->network) {
        diag_error(making->diags, place, "server_training_config.model_dir is missing");
        return;
    }
    read_files(making, parts->folder, setup->config.client_training_config.model_id, place, &setup->model);
    session_setup_network(setup, parts->network, making->context,
                          place_of(making, "server_training_config", "validation_dataset"), making->diags);
    parts->network = NULL;
}

/* ---- the model to benchmark with: often the same ---- */

static void make_benchmark(struct making *making)
{
    struct session_setup *setup = making->setup;
    const struct session_config *config = &setup->config;
    const char *id = config->benchmark_config.model_id ? config->benchmark_config.model_id : setup->model.id;
    const char *dir = config->benchmark_config.model_dir;
    struct diag_place place = place_of(making, "benchmark_config", "model_dir");
    char *folder;

    if (config->benchmark_config.skip_benchmark)
        return;
    setup->benchmark = true;
    if (strcmp(id, setup->model.id) == 0)
        return;
    folder = session_model_path(making->context, dir ? dir : id, place, making->diags);
    if (folder)
        read_files(making, folder, id, place, &setup->bench_model);
    free(folder);
}

static void make_report(struct making *making, const char *run_dir)
{
    const struct leader_host *host = making->context ? making->context->host : NULL;
    const struct clock *clock = making->context && making->context->clock ? making->context->clock : &clock_system;
    struct error err = ERROR_INIT;

    making->setup->report.events.fd = -1;
    bool goes_on = making->setup->restore.restore || making->setup->restore.revive;

    if (run_dir && report_open(&making->setup->report, run_dir, clock, host ? host->origin_ns : 0, goes_on,
                               &making->setup->config, &err) != OK)
        report_error(making, making->where, &err);
}

int session_setup_make(const struct session_config *config, const char *session_id, const char *config_json,
                       const struct session_restore *restore, struct diag_place where,
                       const struct session_check_context *context, const char *run_dir, struct session_setup **out,
                       struct diags *diags)
{
    struct making making = {calloc(1, sizeof(struct session_setup)), context, where, diags};
    struct session_parts parts;
    size_t errors = diags_errors(diags);

    *out = NULL;
    if (!making.setup || params_copy(&session_config_table, config, &making.setup->config) != OK) {
        diag_error(diags, where, "no memory for a session");
        free(making.setup);
        return ERR_MEMORY;
    }
    making.setup->report.events.fd = -1;
    layout_init(&making.setup->layout);
    if (session_parts_find(&making.setup->config, where, context, &parts, diags) == OK) {
        take_parts(&making, &parts);
        make_texts(&making, session_id, config_json, restore);
        make_benchmark(&making);
        session_parts_fini(&parts);
    }
    if (diags_errors(diags) == errors)
        make_report(&making, run_dir);
    if (diags_errors(diags) > errors) {
        session_setup_free(making.setup);
        return ERR_INVALID;
    }
    *out = making.setup;
    return OK;
}

void session_setup_free(struct session_setup *setup)
{
    if (!setup)
        return;
    free(setup->session_id);
    free(setup->restored_from);
    free(setup->config_json);
    params_free(&session_config_table, &setup->config);
    session_strategies_fini(&setup->strategies);
    layout_fini(&setup->layout);
    free(setup->initial);
    model_files_fini(&setup->model);
    model_files_fini(&setup->bench_model);
    free(setup->model_config_json);
    free(setup->optimizer_json);
    free(setup->loss_json);
    if (setup->validator)
        setup->validator->free(setup->validator);
    report_close(&setup->report);
    free(setup);
}
