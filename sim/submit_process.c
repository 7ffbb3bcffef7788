/* The process that submits the session, over the same road as `flosim submit`: REST, and it waits for the answer. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static char *make_body(const struct simulation *simulation, struct error *err)
{
    char id[UUID_TEXT];
    struct rng rng;
    json_t *session = session_json(&simulation->scenario.session, err);

    if (!session)
        return NULL;
    rng_init(&rng, (uint64_t)simulation->scenario.keys.seed, "session-id", "", 0);
    uuid_from_rng(id, &rng);
    json_t *body = json_pack("{s:s, s:o, s:b, s:b, s:n}", "session_id", id, "federated_learning_config", session,
                             "restore", 0, "revive", 0, "file");
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
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

static int submit(const struct simulation *simulation, struct error *err)
{
    char url[64];
    struct http_reply reply = {0};
    char *body = make_body(simulation, err);

    if (!body)
        return ERR_MEMORY;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/execute_command",
             (int)atomic_load(&shared_leader(simulation->shared)->rest_port));
    int status =
        http_fetch("POST", url, "application/json", span_of(body, strlen(body)), NULL, 0, NULL, NULL, &reply, err);
    if (status == OK)
        status = judge(&reply, err);
    http_reply_fini(&reply);
    free(body);
    return status;
}

int submit_process_run(void *context)
{
    const struct simulation *simulation = context;
    struct error err = ERROR_INIT;
    int status = submit(simulation, &err);

    if (status)
        fprintf(stderr, "%s\n", err.message);
    return status_exit_code(status);
}
