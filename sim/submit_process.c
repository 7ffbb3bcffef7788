/* The process that submits the session, over the same road as `flosim submit`: REST, and it waits for the answer. When
 * the leader dies it turns to the next one. */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "net/http_client.h"
#include "sim/simulation.h"
#include "util/uuid.h"

/* The session with every key, as JSON. */
static json_t *session_json(const struct session_config *config, struct error *err)
{
    char *text = NULL, *json = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct diags *diags = diags_new();
    struct yaml_doc *doc = NULL;
    json_t *session = NULL;

    if (out) {
        params_write(&session_config_table, config, 0, out);
        fclose(out);
    }
    if (text && diags && yaml_load_text(text, size, "session", 0, &doc, diags) == OK)
        json = yaml_to_json(yaml_root(doc));
    if (json)
        session = json_loads(json, 0, NULL);
    if (!session && (!diags || !diags_status(diags, err)))
        FAIL(err, ERR_MEMORY, "out of memory");
    free(json);
    yaml_unref(doc);
    diags_free(diags);
    free(text);
    return session;
}

static void make_id(const struct simulation *simulation, char id[UUID_TEXT])
{
    struct rng rng;

    rng_init(&rng, (uint64_t)simulation->scenario.keys.seed, "session-id", "", 0);
    uuid_from_rng(id, &rng);
}

/* `how` NULL: a new session; else one that a leader is to go on with. */
static char *make_body(const struct simulation *simulation, const struct leader_resume *how, struct error *err)
{
    char id[UUID_TEXT], *file = NULL;
    json_t *session = session_json(&simulation->scenario.session, err);

    if (!session)
        return NULL;
    make_id(simulation, id);
    if (how && how->from_file && asprintf(&file, "checkpoint_%s.tar", id) < 0)
        file = NULL;
    json_t *body = json_pack("{s:s, s:o, s:b, s:b, s:s?}", "session_id", id, "federated_learning_config", session,
                             "restore", how && !how->revive, "revive", how && how->revive, "file", file);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    free(file);
    if (!text)
        FAIL(err, ERR_MEMORY, "out of memory");
    return text;
}

/* What the leader answered, and a status for it. */
static int judge(const struct http_reply *reply, struct error *err)
{
    json_t *answer = json_loads(blob_bytes(reply->body), 0, NULL);
    const char *message = json_string_value(json_object_get(answer, "message"));
    int status = reply->status == 200   ? OK
                 : reply->status == 503 ? ERR_CANCELLED
                 : reply->status < 500  ? ERR_INVALID
                                        : ERR_UNAVAILABLE;

    if (status)
        FAIL(err, status, "the leader answered %ld: %s", reply->status, message ? message : "(no message)");
    json_decref(answer);
    return status;
}

/* ERR_DEADLINE: there was no answer, for the leader is gone. */
static int fetch(int port, const char *method, const char *path, const char *body, struct http_reply *out,
                 struct error *err)
{
    char url[128];

    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", port, path);
    int status = http_fetch(method, url, body ? "application/json" : NULL, span_of(body, body ? strlen(body) : 0), NULL,
                            0, NULL, NULL, out, err);
    return status == ERR_UNAVAILABLE || status == ERR_IO ? ERR_DEADLINE : status;
}

/* Post the session and wait until it is over. */
static int post(const struct simulation *simulation, int port, const struct leader_resume *how, struct error *err)
{
    struct http_reply reply = {0};
    char *body = make_body(simulation, how, err);
    int status = body ? fetch(port, "POST", "/execute_command", body, &reply, err) : ERR_MEMORY;

    if (status == OK)
        status = judge(&reply, err);
    http_reply_fini(&reply);
    free(body);
    return status;
}

/* --- after a leader's end --- */

static void nap(void)
{
    static const struct timespec interval = {0, 20000000};

    nanosleep(&interval, NULL);
}

/* Wait for a leader after the `gone`-th and return its number, or that one's where it seems to be there still. When no
 * other is to come, the supervisor ends us. */
static uint32_t await_leader(const struct simulation *simulation, uint32_t gone)
{
    enum { PATIENCE = 500 };
    const struct leader_block *leader = shared_leader(simulation->shared);
    uint32_t life;

    for (int naps = 0;; naps++) {
        life = atomic_load(&leader->life);
        if (atomic_load(&leader->rest_port) != 0 && (life != gone || naps > PATIENCE))
            return life;
        nap();
    }
}

static int leader_port(const struct simulation *simulation)
{
    return (int)atomic_load(&shared_leader(simulation->shared)->rest_port);
}

/* Where a leader knows the session, "status" and "reason" of GET /v1/sessions/ID; ERR_NOT_FOUND where it does not. */
static int look(const struct simulation *simulation, int port, json_t **session, struct error *err)
{
    char id[UUID_TEXT], path[64 + UUID_TEXT];
    struct http_reply reply = {0};

    *session = NULL;
    make_id(simulation, id);
    snprintf(path, sizeof path, "/v1/sessions/%s", id);
    int status = fetch(port, "GET", path, NULL, &reply, err);
    if (status == OK && reply.status == 404)
        status = ERR_NOT_FOUND;
    else if (status == OK)
        status = judge(&reply, err);
    if (status == OK)
        *session = json_loadb(blob_bytes(reply.body), blob_size(reply.body), 0, NULL);
    http_reply_fini(&reply);
    return status == OK && !*session ? FAIL(err, ERR_INVALID, "the leader shows no session") : status;
}

/* A session that goes on by itself: look until it is over. */
static int follow(const struct simulation *simulation, int port, struct error *err)
{
    json_t *session;
    int status;

    while ((status = look(simulation, port, &session, err)) == OK) {
        const char *now = json_string_value(json_object_get(session, "status"));
        const char *reason = json_string_value(json_object_get(session, "reason"));
        bool failed = now && (!strcmp(now, "failed") || !strcmp(now, "stopped"));
        bool finished = now && !strcmp(now, "finished");

        if (failed)
            status = FAIL(err, ERR_UNAVAILABLE, "the session %s: %s", now, reason ? reason : "");
        json_decref(session);
        if (failed || finished)
            return status;
        nap();
    }
    return status;
}

/* May the leader have died before anything of the session was kept? With Redis a round is over when it is kept there;
 * the first checkpoint is begun after so many rounds. */
static bool nothing_was_kept(const struct simulation *simulation)
{
    const struct leader_block *leader = shared_leader(simulation->shared);
    const struct scenario *scenario = &simulation->scenario;
    int64_t due = scenario->keys.state.state_location == 1 ? 0 : scenario->session.session_config.checkpoint_interval;

    return (int64_t)atomic_load(&leader->rounds_finished) <= due;
}

/* A new leader may have taken up the session by itself; else it is told to, as a person would tell it; and where there
 * was nothing yet to go on with, it gets the session as the first one did. */
static int submit_again(const struct simulation *simulation, int port, struct error *err)
{
    const struct leader_block *leader = shared_leader(simulation->shared);
    const struct leader_resume how = {.revive = atomic_load(&leader->resume_revives),
                                      .from_file = atomic_load(&leader->resume_from_file)};
    int status = follow(simulation, port, err);

    if (status == ERR_NOT_FOUND)
        status = post(simulation, port, &how, err);
    return status == ERR_INVALID && nothing_was_kept(simulation) ? post(simulation, port, NULL, err) : status;
}

static int submit(const struct simulation *simulation, struct error *err)
{
    uint32_t life = await_leader(simulation, 0);
    int status = post(simulation, leader_port(simulation), NULL, err);

    while (status == ERR_DEADLINE) {
        life = await_leader(simulation, life);
        status = submit_again(simulation, leader_port(simulation), err);
    }
    return status;
}

/* It has nothing to put in order when it is told to leave. */
static void take_sigterm(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

int submit_process_run(void *context)
{
    const struct simulation *simulation = context;
    struct error err = ERROR_INIT;

    take_sigterm();
    int status = submit(simulation, &err);

    if (status)
        fprintf(stderr, "%s\n", err.message);
    return status_exit_code(status);
}
