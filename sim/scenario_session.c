#include <stdlib.h>
#include <string.h>

#include "data/loader_args.h"
#include "leader/session_check.h"
#include "leader/session_plugins.h"
#include "leader/strategies.h"
#include "sim/scenario_reading.h"
#include "util/fs.h"

/* The simulator submits once everybody is registered, so this is not to be seen. */
enum { MAX_WAIT_S = 60 };

static bool is_given(struct yaml_node node)
{
    return node.doc && !yaml_is_null(node);
}

/* The session file's root; of no kind, with a finding, where it cannot be read. The document lives as long as the
 * scenario: places in later findings point into it. */
static struct yaml_node open_file(const struct scenario_reading *r)
{
    struct scenario *s = r->scenario;
    char *path = scenario_find(s, s->keys.session_file);
    struct yaml_node root = {0};

    if (!path)
        diag_error(r->diags, scenario_place(r, "session_file"), "`session_file`: there is no %s", s->keys.session_file);
    else
        yaml_load_file(path, YAML_EXPAND_ENV | YAML_GO_ON, &s->session_doc, r->diags);
    if (s->session_doc)
        root = yaml_root(s->session_doc);
    free(path);
    for (size_t i = 0; root.doc && r->session_overrides && r->session_overrides[i]; i++)
        yaml_set(root.doc, r->session_overrides[i], r->diags);
    return root;
}

/* The mapping that is the session, wherever it stands. */
static struct yaml_node find_session(const struct scenario_reading *r)
{
    struct scenario *s = r->scenario;
    bool inside = is_given(s->keys.session);

    if (inside && s->keys.session_file)
        diag_error(r->diags, scenario_place(r, "session_file"), "`session` and `session_file` exclude each other");
    else if (inside)
        return s->keys.session;
    else if (s->keys.session_file)
        return open_file(r);
    else
        diag_error(r->diags, yaml_place(r->root), "a scenario needs `session` or `session_file`: what is trained?");
    return (struct yaml_node){0};
}

static struct yaml_node key_of(struct yaml_node session, const char *section, const char *key)
{
    return yaml_get(yaml_get(session, section), key);
}

/* The installed model of that name: `../models/LeNet5` in a copy of an installed scenario means it. */
static char *installed_model(const char *folder)
{
    const char *slash = strrchr(folder, '/'), *name = slash ? slash + 1 : folder;
    char *found = fs_is_component(name) ? fs_join(FLOSIM_DATADIR "/models", name) : NULL;

    if (found && fs_is_dir(found))
        return found;
    free(found);
    return NULL;
}

/* A folder is put into the session as an absolute path, so that the resolved scenario finds it from anywhere. One that
 * is not found is left for session_check to complain of. */
static void find_folder(const struct scenario *s, char **folder)
{
    char *found = *folder ? scenario_find(s, *folder) : NULL;

    if (*folder && !found)
        found = installed_model(*folder);
    char *absolute = found ? realpath(found, NULL) : NULL;

    free(found);
    if (!absolute)
        return;
    free(*folder);
    *folder = absolute;
}

static char *find_plugin(const void *scenario, const char *path)
{
    return scenario_find(scenario, path);
}

/* What the scenario says once need not be said again in its session. */
static void complete(struct scenario *s, struct yaml_node session)
{
    struct session_config *config = &s->session;
    struct yaml_node wait = key_of(session, "session_config", "wait_for_clients");

    find_folder(s, &config->server_training_config.model_dir);
    find_folder(s, &config->benchmark_config.model_dir);
    session_find_plugins(config, find_plugin, s);
    if (!key_of(session, "session_config", "seed").doc)
        config->session_config.seed = s->keys.seed;
    if (!yaml_get(wait, "min_clients").doc)
        config->session_config.wait_for_clients.min_clients = s->keys.clients;
    if (!yaml_get(wait, "max_wait_s").doc)
        config->session_config.wait_for_clients.max_wait_s = MAX_WAIT_S;
}

/* The leader looks models up in one folder (models_dir_path). */
static void check_same_parent(const struct scenario_reading *r, struct yaml_node session)
{
    const struct session_config *config = &r->scenario->session;
    const char *model = config->server_training_config.model_dir, *bench = config->benchmark_config.model_dir;
    const char *model_slash = model ? strrchr(model, '/') : NULL, *bench_slash = bench ? strrchr(bench, '/') : NULL;
    struct yaml_node node = key_of(session, "benchmark_config", "model_dir");

    if (config->benchmark_config.skip_benchmark || !model_slash || !bench_slash)
        return;
    if (model_slash - model != bench_slash - bench || strncmp(model, bench, (size_t)(model_slash - model)))
        diag_error(r->diags, node.doc ? yaml_place(node) : yaml_place(session),
                   "`benchmark_config.model_dir` must lie beside `server_training_config.model_dir` (%s)", model);
}

/* The session's custom_loader_args become the source's, so that everybody's data are cut so, once. */
static void apply_loader(const struct scenario_reading *r)
{
    struct scenario *s = r->scenario;
    const struct model_config *config = &s->session.model_config;
    char ignored[LOADER_ARGS_TEXT];
    struct loader_args loader;

    if (!config->use_custom_dataloader || !s->data.keys || !s->data.source)
        return;
    loader_args_read(config->custom_loader_args, "", &loader, NULL); /* what is wrong with them was said */
    loader_args_apply(&loader, s->data.source->params, (char *)s->data.keys + s->data.table.at[1], ignored);
    if (ignored[0])
        diag_warning(r->diags, yaml_place(config->custom_loader_args),
                     "`custom_loader_args`: %s means nothing for `source: %s` and is ignored", ignored,
                     s->data.source->name);
}

/* Selections that have clients validate learn nothing from clients that hold nothing back. */
static void check_held_back(const struct scenario_reading *r, struct yaml_node session)
{
    const struct scenario *s = r->scenario;
    const char *name = s->session.session_config.client_selection;
    const struct flosim_selector_ops *selector = name ? selection_find(name) : NULL;

    if (selector && (selector->flags & FLOSIM_VALIDATES) && s->data.keys &&
        s->data.keys->local_validation_fraction <= 0)
        diag_warning(r->diags, yaml_place(session),
                     "client_selection `%s` has clients validate the model, but they hold no data back for it: set "
                     "data.local_validation_fraction above 0",
                     name);
}

void scenario_read_session(const struct scenario_reading *r)
{
    struct scenario *s = r->scenario;
    struct yaml_node session = find_session(r);
    struct session_check_context context = {.root = session, .num_clients = s->keys.clients};

    if (!session.doc)
        return;
    params_read(&session_config_table, session, &s->session, r->diags);
    session_config_check(&s->session, session, r->diags);
    complete(s, session);
    check_same_parent(r, session);
    const char *model_dir = s->session.server_training_config.model_dir;
    s->has_model_folder = model_dir && fs_is_dir(model_dir);
    if (s->has_model_folder)
        session_apply_model_folder(&s->session, model_dir, r->diags);
    apply_loader(r);
    session_check(&s->session, yaml_place(session), &context, r->diags);
    check_held_back(r, session);
}
