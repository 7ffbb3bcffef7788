#include "leader/submission.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "leader/session_record.h"
#include "util/fs.h"
#include "util/uuid.h"

/* The posted body. */
struct body {
    char *session_id;
    struct yaml_node config; /* no doc: absent */
    bool restore, revive;
    struct yaml_node file;
};

static const struct param body_rows[] = {
    {.name = "session_id",
     .type = PARAM_STRING,
     .offset = offsetof(struct body, session_id),
     .help = "Names the session's state and folder; made up where absent."},
    {.name = "federated_learning_config",
     .type = PARAM_NODE,
     .offset = offsetof(struct body, config),
     .help = "The session: the content of a training_config.yaml. A session that goes on may leave it out."},
    {.name = "restore", .type = PARAM_BOOL, .offset = offsetof(struct body, restore), .help = "Go on where it was."},
    {.name = "revive", .type = PARAM_BOOL, .offset = offsetof(struct body, revive), .help = "Keep the model only."},
    {.name = "file", .type = PARAM_NODE, .offset = offsetof(struct body, file), .help = "From the checkpoint file."},
};

static const struct param_table body_table = {.name = "request",
                                              .rows = body_rows,
                                              .num_rows = sizeof body_rows / sizeof *body_rows,
                                              .size = sizeof(struct body)};

static struct diag_place body_place(void)
{
    return (struct diag_place){"body", 1, 1};
}

/* `{session_id, federated_learning_config, …}`, or the session alone (YAML users). */
static int read_body(struct yaml_node root, struct body *body, struct diags *diags)
{
    memset(body, 0, sizeof *body);
    if (yaml_kind(root) != YAML_MAPPING) {
        diag_error(diags, body_place(), "the body must be a JSON or YAML mapping");
        return ERR_INVALID;
    }
    if (!yaml_get(root, "federated_learning_config").doc && yaml_get(root, "client_training_config").doc) {
        params_defaults(&body_table, body);
        body->config = root;
        yaml_ref(root.doc);
        return OK;
    }
    return params_read(&body_table, root, body, diags);
}

static bool is_set(struct yaml_node node)
{
    const char *text = yaml_text(node);

    return node.doc && !yaml_is_null(node) && !(text && (strcasecmp(text, "false") == 0 || !*text));
}

static int take_id(struct submission *self, struct body *body, struct diags *diags)
{
    char text[UUID_TEXT];

    if (!body->session_id) {
        if (uuid_random(text, &self->error) != OK)
            return self->error.status;
        self->session_id = strdup(text);
        return self->session_id ? OK : FAIL(&self->error, ERR_MEMORY, "no memory for a session id");
    }
    if (!fs_is_component(body->session_id) || strlen(body->session_id) > 128) {
        diag_error(diags, body_place(), "session_id must be one path component of at most 128 bytes");
        return ERR_INVALID;
    }
    self->session_id = strdup(body->session_id);
    return self->session_id ? OK : FAIL(&self->error, ERR_MEMORY, "no memory for a session id");
}

static char *run_folder(const struct submission *self)
{
    const struct leader *leader = self->leader;

    if (leader->host && leader->host->run_dir)
        return strdup(leader->host->run_dir);
    return fs_join(leader->config->temp_dir_path, self->session_id);
}

static int make_session(struct submission *self, struct session_setup *setup)
{
    struct leader *leader = self->leader;
    struct session_env env = {
        .config = leader->config,
        .host = leader->host,
        .log = leader->log,
        .loop = leader->loop,
        .executor = leader->executor,
        .roster = leader->roster,
        .state = leader->state,
        .checkpoints = &leader->checkpoints,
        .keeps_updates = state_is_durable(leader->state),
        .leader_term = leader->term,
        .replaced = leader_hears_of_another,
        .replaced_context = leader,
    };

    return session_new(&self->session, &env, setup, NULL, NULL, &self->error);
}

static int make_from(struct submission *self, const struct session_config *config, struct yaml_node root,
                     const struct session_restore *restore, struct diags *diags)
{
    const struct leader *leader = self->leader;
    const char *validation_data = leader->config->validation_data_dir_path;
    struct session_check_context context = {
        .root = root,
        .posted = true,
        .models_dir_path = leader->config->models_dir_path,
        .plugin_dir = leader->config->plugin_dir,
        .validation_data_dir_path = validation_data && *validation_data ? validation_data : NULL,
        .host = leader->host,
        .clock = loop_clock(leader->loop),
    };
    char *folder = run_folder(self);
    char *json = yaml_to_json(root);
    struct session_setup *setup = NULL;
    int status =
        session_setup_make(config, self->session_id, json, restore, yaml_place(root), &context, folder, &setup, diags);

    free(folder);
    free(json);
    if (status != OK)
        return status;
    self->max_wait_s = config->session_config.wait_for_clients.max_wait_s;
    status = make_session(self, setup);
    if (status != OK)
        session_setup_free(setup);
    return status;
}

static int read_session(struct submission *self, struct yaml_node root, const struct session_restore *restore,
                        struct diags *diags)
{
    struct session_config config;
    size_t errors = diags_errors(diags);
    int status = params_read(&session_config_table, root, &config, diags);

    if (status == OK)
        session_config_check(&config, root, diags);
    if (diags_errors(diags) > errors)
        status = ERR_INVALID;
    if (status == OK)
        status = make_from(self, &config, root, restore, diags);
    params_free(&session_config_table, &config);
    return status;
}

/* ---- a session that goes on ---- */

static int load_state(struct submission *self, const struct body *body, struct diags *diags)
{
    const char *name = yaml_text(body->file);

    if (!body->session_id) {
        diag_error(diags, body_place(), "restore, revive and file need session_id: whose state is meant?");
        return ERR_INVALID;
    }
    if (!is_set(body->file))
        return submission_load(self);
    return submission_load_file(self, name && strcasecmp(name, "true") == 0 ? NULL : name);
}

/* The session of the request, or where it has none, as it was posted first. */
static int read_wanted(struct submission *self, const struct body *body, struct diags *diags)
{
    const struct session_restore restore = {body->restore, body->revive, self->from};
    struct session_facts facts;
    struct yaml_doc *doc = NULL;
    int status = OK;

    if (body->config.doc)
        return read_session(self, body->config, self->from ? &restore : NULL, diags);
    if (!self->from) {
        diag_error(diags, body_place(), "federated_learning_config is missing");
        return ERR_INVALID;
    }
    if (!self->kept_config) {
        status = session_facts_read(self->leader->state, self->session_id, &facts, &self->error);
        if (status != OK)
            return status;
        status = submission_take_config(self, facts.config_json);
        session_facts_fini(&facts);
    }
    if (status == OK)
        status = yaml_load_text(self->kept_config, strlen(self->kept_config), "session", 0, &doc, diags);
    if (status == OK)
        status = read_session(self, yaml_root(doc), &restore, diags);
    yaml_unref(doc);
    return status;
}

static int make_asked(struct submission *self, struct body *body, struct diags *diags)
{
    bool goes_on = body->restore || body->revive;
    int status;

    if (is_set(body->file) && !goes_on) {
        diag_error(diags, body_place(), "file goes with restore or revive");
        return ERR_INVALID;
    }
    status = take_id(self, body, diags);
    if (status == OK && goes_on)
        status = load_state(self, body, diags);
    return status == OK ? read_wanted(self, body, diags) : status;
}

static int make_resumed(struct submission *self, struct diags *diags)
{
    const struct body body = {.restore = true, .revive = true};
    int status = submission_find_unfinished(self);

    return status == OK ? read_wanted(self, &body, diags) : status;
}

static int make(struct submission *self, struct diags *diags)
{
    struct yaml_doc *doc = NULL;
    struct body body = {0};
    int status;

    if (self->resume)
        return make_resumed(self, diags);
    status = yaml_load_text(self->text.data ? self->text.data : "", self->text.size, "body", 0, &doc, diags);
    if (status == OK)
        status = read_body(yaml_root(doc), &body, diags);
    if (status == OK)
        status = make_asked(self, &body, diags);
    params_free(&body_table, &body);
    yaml_unref(doc);
    return status;
}

/* "body:3:5: what" -> "3:5: what": the caller knows what it sent. */
static void strip_name(char *text)
{
    char *to = text;

    for (char *from = text; *from;) {
        if ((from == text || from[-1] == '\n') && strncmp(from, "body:", 5) == 0) {
            from += 5;
            continue;
        }
        *to++ = *from++;
    }
    *to = '\0';
}

void submission_make(struct submission *self)
{
    struct diags *diags = diags_new();

    if (!diags) {
        self->status = FAIL(&self->error, ERR_MEMORY, "no memory to check the session");
        return;
    }
    self->status = make(self, diags);
    submission_settle(self);
    if (diags_errors(diags) + diags_warnings(diags) > 0)
        self->warnings = diags_text(diags);
    if (self->warnings)
        strip_name(self->warnings);
    diags_free(diags);
}

void submission_free(struct submission *self)
{
    session_free(self->session);
    free(self->session_id);
    free(self->from);
    free(self->kept_config);
    state_batch_free(self->staged);
    state_snapshot_free(self->before);
    free(self->warnings);
    free(self);
}
