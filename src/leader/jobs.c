/* Sessions of a leader: from the posted body through making and running to the record that REST shows. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "leader/leader_internal.h"
#include "util/fs.h"
#include "util/uuid.h"

/* The posted body. */
struct body {
    char *session_id;
    struct yaml_node config;
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
     .flags = PARAM_REQUIRED,
     .help = "The session: the content of a training_config.yaml."},
    {.name = "restore", .type = PARAM_BOOL, .offset = offsetof(struct body, restore), .help = "Go on where it was."},
    {.name = "revive", .type = PARAM_BOOL, .offset = offsetof(struct body, revive), .help = "Keep the model only."},
    {.name = "file", .type = PARAM_NODE, .offset = offsetof(struct body, file), .help = "From the checkpoint file."},
};

static const struct param_table body_table = {.name = "request",
                                              .rows = body_rows,
                                              .num_rows = sizeof body_rows / sizeof *body_rows,
                                              .size = sizeof(struct body)};

/* A request on its way through the compute thread. The body's bytes belong to the exchange, which stays open. */
struct submission {
    struct executor_task task;
    struct leader *leader;
    struct http_exchange *exchange; /* NULL: answered already */
    struct span text;
    bool blocking, made;

    struct session *session;
    char *session_id;
    double max_wait_s;
    char *warnings; /* what was wrong, one a line; or NULL */
    int status;
    struct error error;
};

static void free_submission(struct submission *self)
{
    session_free(self->session);
    free(self->session_id);
    free(self->warnings);
    free(self);
}

/* ---- compute thread: parse, check, make ---- */

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
        .state = store_kind_find("inmemory"),
        .leader_term = leader->term,
    };

    return session_new(&self->session, &env, setup, NULL, NULL, &self->error);
}

static int make_from(struct submission *self, const struct session_config *config, struct yaml_node root,
                     struct diags *diags)
{
    const struct leader *leader = self->leader;
    struct session_check_context context = {
        .root = root,
        .posted = true,
        .models_dir_path = leader->config->models_dir_path,
        .validation_data_dir_path = leader->config->validation_data_dir_path,
        .host = leader->host,
        .clock = loop_clock(leader->loop),
    };
    char *folder = run_folder(self);
    char *json = yaml_to_json(root);
    struct session_setup *setup = NULL;
    int status = session_setup_make(config, self->session_id, json, yaml_place(root), &context, folder, &setup, diags);

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

static int read_session(struct submission *self, struct yaml_node root, struct diags *diags)
{
    struct session_config config;
    size_t errors = diags_errors(diags);
    int status = params_read(&session_config_table, root, &config, diags);

    if (status == OK)
        session_config_check(&config, root, diags);
    if (diags_errors(diags) > errors)
        status = ERR_INVALID;
    if (status == OK)
        status = make_from(self, &config, root, diags);
    params_free(&session_config_table, &config);
    return status;
}

static int make(struct submission *self, struct diags *diags)
{
    struct yaml_doc *doc = NULL;
    struct body body = {0};
    int status = yaml_load_text(self->text.data ? self->text.data : "", self->text.size, "body", 0, &doc, diags);

    if (status == OK)
        status = read_body(yaml_root(doc), &body, diags);
    if (status == OK && (body.restore || body.revive || is_set(body.file)))
        status = FAIL(&self->error, ERR_UNIMPLEMENTED,
                      "restore, revive and file are not supported by this version: submit the session without them");
    if (status == OK)
        status = take_id(self, &body, diags);
    if (status == OK)
        status = read_session(self, body.config, diags);
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

static void run(struct executor_task *task)
{
    struct submission *self = CONTAINER_OF(task, struct submission, task);
    struct diags *diags = diags_new();

    if (!diags) {
        self->status = FAIL(&self->error, ERR_MEMORY, "no memory to check the session");
        return;
    }
    self->status = make(self, diags);
    if (diags_errors(diags) + diags_warnings(diags) > 0)
        self->warnings = diags_text(diags);
    if (self->warnings)
        strip_name(self->warnings);
    diags_free(diags);
}

/* ---- back on the loop ---- */

static void respond_json(struct http_exchange *exchange, int status, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    struct blob *blob = text ? blob_adopt(text, strlen(text), free, text) : NULL;

    json_decref(json);
    if (!blob)
        free(text);
    http_respond(exchange, blob ? status : 500, "application/json", blob);
}

static void refuse(struct submission *self, int status, const char *message)
{
    if (self->exchange)
        http_respond_message(self->exchange, status, "%s", message);
    log_write(self->leader->log, LOG_WARN, "rest", "session refused: %s", message);
    self->leader->submission = NULL;
    free_submission(self);
}

static void forget_oldest(struct leader *leader)
{
    struct past_session *oldest = &leader->past[KEPT_SESSIONS - 1];

    if (leader->num_past < KEPT_SESSIONS)
        return;
    json_decref(oldest->json);
    blob_unref(oldest->model);
    leader->num_past--;
}

static void remember(struct leader *leader, const struct session *session)
{
    struct past_session record = {session_json(session, true), blob_ref(session_model(session))};

    if (!record.json) {
        blob_unref(record.model);
        return;
    }
    forget_oldest(leader);
    memmove(leader->past + 1, leader->past, leader->num_past * sizeof *leader->past);
    leader->past[0] = record;
    leader->num_past++;
    if (leader->num_past > KEPT_MODELS) {
        blob_unref(leader->past[KEPT_MODELS].model);
        leader->past[KEPT_MODELS].model = NULL;
    }
}

static void answer_waiting(struct leader *leader, const struct session *session)
{
    struct http_exchange *exchange = leader->waiting;

    leader->waiting = NULL;
    if (!exchange)
        return;
    switch (session_state(session)) {
    case SESSION_FINISHED:
        http_respond_message(exchange, 200, "Session %s finished", session_id(session));
        break;
    case SESSION_STOPPED:
        http_respond_message(exchange, 503, "Session %s stopped: %s", session_id(session), session_reason(session));
        break;
    default:
        http_respond_message(exchange, 500, "Session %s failed: %s", session_id(session), session_reason(session));
        break;
    }
}

/* A session's weights may be gigabytes: giving them back would hold up the loop. */
struct freeing {
    struct executor_task task;
    struct session *session;
};

static void free_session(struct executor_task *task)
{
    struct freeing *self = CONTAINER_OF(task, struct freeing, task);

    session_free(self->session);
    self->session = NULL;
}

static void freed(struct executor_task *task)
{
    struct freeing *self = CONTAINER_OF(task, struct freeing, task);

    session_free(self->session); /* where the task was not run any more */
    free(self);
}

static void free_elsewhere(struct leader *leader, struct session *session)
{
    struct freeing *self = malloc(sizeof *self);

    if (!self) {
        session_free(session);
        return;
    }
    *self = (struct freeing){.task = {.run = free_session, .done = freed}, .session = session};
    executor_submit(leader->executor, &self->task);
}

static void over(void *context, struct session *session)
{
    struct leader *leader = context;

    leader->session = NULL;
    remember(leader, session);
    answer_waiting(leader, session);
    free_elsewhere(leader, session);
    if (leader->leaving)
        leader_left(leader);
}

static void begin(struct submission *self)
{
    struct leader *leader = self->leader;
    struct session *session = self->session;

    self->session = NULL;
    leader->submission = NULL;
    leader->session = session;
    session_set_over(session, over, leader);
    if (self->blocking)
        leader->waiting = self->exchange;
    else
        respond_json(self->exchange, 202, json_pack("{s:s}", "session_id", session_id(session)));
    free_submission(self);
    log_write(leader->log, LOG_INFO, "rest", "session accepted session=%s", session_id(session));
    session_start(session);
}

/* A made session begins when the leader is ready; where it would not wait for clients, one must be there. */
static void try_begin(struct submission *self)
{
    struct leader *leader = self->leader;

    if (!leader->ready)
        return;
    if (roster_num_active(leader->roster) == 0 && self->max_wait_s <= 0)
        refuse(self, 400, "No active clients");
    else
        begin(self);
}

static void made(struct executor_task *task)
{
    struct submission *self = CONTAINER_OF(task, struct submission, task);
    struct leader *leader = self->leader;

    self->made = true;
    if (leader->leaving) {
        refuse(self, 503, "The leader is leaving");
        leader_left(leader);
        return;
    }
    if (self->status == OK) {
        if (self->warnings)
            log_write(leader->log, LOG_WARN, "rest", "%s", self->warnings);
        try_begin(self);
        return;
    }
    refuse(self, self->error.status ? status_http_code(self->status) : 400,
           self->error.status ? self->error.message
           : self->warnings   ? self->warnings
                              : "Invalid request");
}

/* ---- interface ---- */

void jobs_submit(struct leader *leader, struct http_exchange *exchange, const struct http_request *request,
                 bool blocking)
{
    struct submission *self;

    if (leader->leaving) {
        http_respond_message(exchange, 503, "The leader is leaving");
        return;
    }
    if (leader->submission || leader->session) {
        http_respond_message(exchange, blocking ? 400 : 409, "A session is already running");
        return;
    }
    self = calloc(1, sizeof *self);
    if (!self) {
        http_respond_message(exchange, 500, "Out of memory");
        return;
    }
    self->leader = leader;
    self->exchange = exchange;
    self->text = request->body;
    self->blocking = blocking;
    self->task.run = run;
    self->task.done = made;
    leader->submission = self;
    executor_submit(leader->executor, &self->task);
}

void jobs_ready(struct leader *leader)
{
    if (leader->submission && leader->submission->made)
        try_begin(leader->submission);
}

void jobs_leave(struct leader *leader)
{
    if (leader->session) {
        session_stop_now(leader->session, "the leader was told to leave");
        return;
    }
    if (leader->submission && !leader->submission->made)
        return; /* `made` goes on */
    if (leader->submission)
        refuse(leader->submission, 503, "The leader is leaving");
    leader_left(leader);
}

void jobs_fini(struct leader *leader)
{
    for (size_t i = 0; i < leader->num_past; i++) {
        json_decref(leader->past[i].json);
        blob_unref(leader->past[i].model);
    }
    leader->num_past = 0;
}

json_t *jobs_find(const struct leader *leader, const char *id, struct blob **model)
{
    if (leader->session && strcmp(session_id(leader->session), id) == 0) {
        *model = session_model(leader->session);
        return session_json(leader->session, true);
    }
    for (size_t i = 0; i < leader->num_past; i++) {
        const char *past = json_string_value(json_object_get(leader->past[i].json, "session_id"));

        if (past && strcmp(past, id) == 0) {
            *model = leader->past[i].model;
            return json_incref(leader->past[i].json);
        }
    }
    *model = NULL;
    return NULL;
}
