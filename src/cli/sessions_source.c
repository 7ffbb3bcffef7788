#include "cli/sessions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/check.h"
#include "leader/leader.h"
#include "leader/stored_sessions.h"

enum { ANSWER_S = 30 };

/* ---- opening ---- */

static int load_config(struct session_source *out, const char *path, const char *const *overrides)
{
    struct diags *diags = diags_new();
    int status = diags ? config_load(&leader_config_table, path, (const char **)(uintptr_t)overrides, YAML_EXPAND_ENV,
                                     &out->config, diags)
                       : ERR_MEMORY;

    out->configured = true;
    if (diags)
        diags_print(diags, stderr);
    diags_free(diags);
    return status;
}

int session_source_of_config(struct session_source *out, const char *path, const char *const *overrides,
                             struct error *err)
{
    struct state_options options;
    char *password = NULL;
    int status;

    *out = (struct session_source){0};
    status = load_config(out, path, overrides);
    if (status)
        return status;
    out->dir = out->config.checkpoint_dir_path;
    status = leader_state_options(&out->config, &options, &password, err);
    options.fallback = false;
    if (!status && options.kind->outlives)
        status = state_open(&out->state, &options, err);
    free(password);
    return status;
}

int session_source_of_leader(struct session_source *out, const char *address, const char *token_path, struct error *err)
{
    int status;

    *out = (struct session_source){.remote = true};
    status = leader_address_parse(address, &out->address, err);
    if (!status)
        status = leader_token_read(token_path, &out->token, err);
    out->address.token = out->token;
    return status;
}

void session_source_fini(struct session_source *source)
{
    state_close(source->state);
    if (source->configured)
        params_free(&leader_config_table, &source->config);
    free(source->token);
    *source = (struct session_source){0};
}

/* ---- a running leader ---- */

static int refused(const struct leader_answer *answer, struct error *err)
{
    int status = answer->http_status == 404 ? ERR_NOT_FOUND : leader_answer_status(answer);

    return FAIL(err, status, "%s",
                *leader_answer_message(answer) ? leader_answer_message(answer) : "no leader answers");
}

/* *out: what the leader answered; new. */
static int ask_leader(const struct session_source *source, const char *method, const char *path, const char *body,
                      json_t **out, struct error *err)
{
    struct leader_answer answer;
    int status = leader_request(&source->address, method, path, body, ANSWER_S, &answer, err);

    *out = NULL;
    if (status)
        return status;
    if (leader_answer_status(&answer))
        status = refused(&answer, err);
    else if (!json_is_object(answer.json))
        status = FAIL(err, ERR_UNAVAILABLE, "what answers at %s is no leader", source->address.base);
    else
        *out = json_incref(answer.json);
    leader_answer_fini(&answer);
    return status;
}

static int list_of_leader(const struct session_source *source, json_t **sessions, json_t **problems, struct error *err)
{
    json_t *answer;
    int status = ask_leader(source, "GET", "/v1/sessions", NULL, &answer, err);

    if (status)
        return status;
    *sessions = json_incref(json_object_get(answer, "sessions"));
    *problems = json_incref(json_object_get(answer, "problems"));
    json_decref(answer);
    if (!*problems)
        *problems = json_array();
    return json_is_array(*sessions)
               ? OK
               : FAIL(err, ERR_UNAVAILABLE, "what answers at %s is no leader of this version", source->address.base);
}

static bool is_over(const json_t *session)
{
    const char *status = json_string_value(json_object_get(session, "status"));

    return status && strcmp(status, "running") != 0 && strcmp(status, "waiting") != 0;
}

/* Stops the session where it runs at this leader, and waits for its end. */
static int stop_at_leader(const struct session_source *source, const char *id, struct error *err)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    char path[SESSION_PATH_MAX];
    struct error why = ERROR_INIT;
    json_t *answer;
    int status;

    leader_session_path(id, path);
    status = ask_leader(source, "DELETE", path, NULL, &answer, &why);
    json_decref(answer);
    if (status == ERR_NOT_FOUND || status == ERR_INVALID)
        return OK; /* it does not run there */
    while (!status) {
        bool over;

        status = ask_leader(source, "GET", path, NULL, &answer, &why);
        over = status || is_over(answer);
        json_decref(answer);
        if (over)
            break;
        nanosleep(&pause, NULL);
        if (interrupted())
            status = FAIL(&why, ERR_CANCELLED, "interrupted; session %s was told to stop", id);
    }
    if (status && err)
        *err = why;
    return status;
}

static int drop_at_leader(const struct session_source *source, const char *id, bool force, json_t **out,
                          struct error *err)
{
    char path[SESSION_PATH_MAX + 8];
    int status = force ? stop_at_leader(source, id, err) : OK;

    if (status)
        return status;
    leader_session_path(id, path);
    strcat(path, "/state");
    return ask_leader(source, "DELETE", path, force ? "{\"force\": true}" : NULL, out, err);
}

/* ---- store and files ---- */

static int list_here(struct session_source *source, json_t **sessions, json_t **problems, struct error *err)
{
    *problems = json_array();
    return *problems ? stored_sessions_list(source->state, source->dir, *problems, sessions, err)
                     : FAIL(err, ERR_MEMORY, "out of memory");
}

struct waiting {
    struct state_ticket ticket;
    struct loop *loop;
};

static void answered(struct loop_event *event)
{
    loop_stop(CONTAINER_OF(event, struct waiting, ticket.event)->loop);
}

/* Returns when the store has lost it. */
static int drop_and_wait(struct session_source *source, const char *id, size_t *files, struct error *err)
{
    struct waiting waiting = {.ticket = {.event = {.handle = answered}}};
    int status = source->state ? loop_new(&waiting.loop, &clock_system, err) : OK;

    waiting.ticket.loop = waiting.loop;
    if (!status)
        status = stored_sessions_drop(source->state, source->dir, id, &waiting.ticket, files, err);
    if (!status && waiting.loop) {
        struct state_health health;

        loop_run(waiting.loop);
        state_health(source->state, &health);
        if (!waiting.ticket.durable)
            status = FAIL(err, ERR_UNAVAILABLE, "session %s is still in the store, which cannot be written: %s", id,
                          health.reason);
    }
    if (waiting.loop)
        loop_free(waiting.loop);
    return status;
}

static int check_drop(const json_t *sessions, const json_t *problems, const char *id, bool force, struct error *err)
{
    const json_t *session = stored_sessions_find(sessions, id);

    if (!session)
        return FAIL(err, ERR_NOT_FOUND, "there is no session %s%s%s", id,
                    json_array_size(problems) ? "; but not everything could be read: " : "",
                    json_array_size(problems) ? json_string_value(json_array_get(problems, 0)) : "");
    if (stored_session_is_unfinished(session) && !force)
        return FAIL(err, ERR_INVALID,
                    "session %s is running, or was left unfinished by a leader that died: --force drops it all the "
                    "same (a leader at work writes it again: stop it there first)",
                    id);
    return OK;
}

static int drop_here(struct session_source *source, const char *id, bool force, json_t **out, struct error *err)
{
    json_t *sessions = NULL, *problems = NULL;
    size_t files = 0;
    int status = list_here(source, &sessions, &problems, err);

    if (!status)
        status = check_drop(sessions, problems, id, force, err);
    if (!status)
        status = drop_and_wait(source, id, &files, err);
    if (!status)
        *out = json_pack("{s:s, s:O, s:I, s:b}", "session_id", id, "in",
                         json_object_get(stored_sessions_find(sessions, id), "in"), "files", (json_int_t)files,
                         "durable", 1);
    json_decref(sessions);
    json_decref(problems);
    return status;
}

int session_source_list(struct session_source *source, json_t **sessions, json_t **problems, struct error *err)
{
    *sessions = *problems = NULL;
    return source->remote ? list_of_leader(source, sessions, problems, err)
                          : list_here(source, sessions, problems, err);
}

int session_source_drop(struct session_source *source, const char *id, bool force, json_t **out, struct error *err)
{
    *out = NULL;
    return source->remote ? drop_at_leader(source, id, force, out, err) : drop_here(source, id, force, out, err);
}
