#include "leader/session_record.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json_read.h"
#include "leader/session_internal.h"

/* ---- writing ---- */

static int put_text(struct state_batch *batch, const char *id, const char *key, const char *text, struct error *err)
{
    return state_batch_put_text(batch, STORE_TRAINING_SESSION, id, key, text, err);
}

/* Takes the JSON; NULL is out of memory. 17 digits give every double back. */
static int put_json(struct state_batch *batch, const char *id, const char *key, json_t *json, struct error *err)
{
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    int status =
        text ? put_text(batch, id, key, text, err) : FAIL(err, ERR_MEMORY, "no memory for a session's `%s`", key);

    free(text);
    json_decref(json);
    return status;
}

int session_record_status(const struct session *session, struct state_batch *batch, enum session_status status,
                          const char *reason, struct error *err)
{
    return put_json(batch, session_id(session), RECORD_STATUS,
                    json_pack("{s:s, s:s}", "status", session_status_text(status), "reason", reason), err);
}

int session_record_version(const struct session *session, struct state_batch *batch, int64_t version,
                           struct blob *model, struct error *err)
{
    int status = state_batch_put(batch, STORE_TRAINING_SESSION, session_id(session), RECORD_GLOBAL, model, err);

    batch->round = version;
    if (status != OK)
        return status;
    return put_json(
        batch, session_id(session), RECORD_ROUND,
        json_pack("{s:I, s:I}", "round", (json_int_t)version, "leader_term", (json_int_t)session->env.leader_term),
        err);
}

int session_record_ledger(const struct session *session, struct state_batch *batch, struct error *err)
{
    const struct session_ledger *ledger = &session->ledger;

    return put_json(batch, session_id(session), RECORD_LEDGER,
                    json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:o}", "sent", (json_int_t)ledger->sent, "merged",
                              (json_int_t)ledger->merged, "refused", (json_int_t)ledger->refused, "failed",
                              (json_int_t)ledger->failed, "dropped", (json_int_t)ledger->dropped, "lost_rounds",
                              (json_int_t)ledger->lost_rounds, "elapsed_s", session_elapsed_s(session), "refused_for",
                              session_refusals_json(ledger->refused_for)),
                    err);
}

static int put_clients(struct session *session, struct state_batch *batch, struct error *err)
{
    json_t *ids = json_array();
    char *text;
    int status = OK;

    for (size_t i = 0; ids && i < roster_size(session->env.roster); i++) {
        const struct roster_client *client = roster_at(session->env.roster, i);

        if (!roster_obstacle(client, session_dataset(session)))
            json_array_append_new(ids, json_string(client->id));
    }
    text = ids ? json_dumps(ids, JSON_COMPACT) : NULL;
    json_decref(ids);
    if (!text)
        return FAIL(err, ERR_MEMORY, "no memory for the ids of the clients");
    if (!session->clients_text || strcmp(text, session->clients_text) != 0)
        status = put_text(batch, session_id(session), RECORD_CLIENTS, text, err);
    free(session->clients_text);
    session->clients_text = text;
    return status;
}

static int put_tallies(struct session *session, struct state_batch *batch, struct error *err)
{
    int status = OK;

    for (size_t i = 0; i < roster_size(session->env.roster) && status == OK; i++) {
        size_t number = roster_at(session->env.roster, i)->number;

        if (number < session->num_tallies && session->tallies[number].changed)
            status = session_tally_keep(session, &session->tallies[number], batch, err);
    }
    return status;
}

int session_record_round(struct session *session, struct state_batch *batch, int64_t round, json_t *metrics,
                         struct error *err)
{
    char key[40];
    int status;

    snprintf(key, sizeof key, RECORD_ROUNDS "%lld", (long long)round);
    status = put_json(batch, session_id(session), key, json_incref(metrics), err);
    if (status == OK)
        status = session_record_ledger(session, batch, err);
    if (status == OK)
        status = put_clients(session, batch, err);
    if (status == OK)
        status = session_forget_kept(session, batch, err);
    return status == OK ? put_tallies(session, batch, err) : status;
}

char *session_settings_json(const struct session_config *config)
{
    struct diags *diags = diags_new();
    struct yaml_doc *doc = NULL;
    char *text = NULL, *json = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (out)
        params_write(&session_config_table, config, 0, out);
    if (out && fclose(out) == 0 && diags && yaml_load_text(text, size, "settings", 0, &doc, diags) == OK)
        json = yaml_to_json(yaml_root(doc));
    yaml_unref(doc);
    diags_free(diags);
    free(text);
    return json;
}

/* What does not change from round to round. */
static int put_setup(struct session *session, struct state_batch *batch, struct error *err)
{
    const struct session_setup *setup = session->setup;
    const char *id = session_id(session);
    char *settings = session_settings_json(&setup->config);
    int status = settings ? put_text(batch, id, RECORD_SETTINGS, settings, err)
                          : FAIL(err, ERR_MEMORY, "no memory for a session's settings");

    free(settings);
    if (status == OK)
        status = put_text(batch, id, RECORD_CONFIG, setup->config_json, err);
    if (status == OK)
        status = put_json(batch, id, RECORD_MODEL,
                          json_pack("{s:s, s:s, s:I}", "id", setup->model.id, "hash", setup->model.hash, "num_weights",
                                    (json_int_t)setup->layout.num_floats),
                          err);
    return status;
}

int session_record_begin(struct session *session, struct state_batch *batch, struct error *err)
{
    int status = put_setup(session, batch, err);

    if (status == OK)
        status = session_record_version(session, batch, session->version, session->image, err);
    if (status == OK)
        status = session_record_status(session, batch, SESSION_RUNNING, session->last_reason, err);
    return status == OK ? session_record_ledger(session, batch, err) : status;
}

/* ---- reading ---- */

int session_record_get(struct state *state, const char *id, const char *key, json_t **out, struct error *err)
{
    struct blob *value;
    struct error why = ERROR_INIT;
    json_error_t where;
    int status = state_get(state, STORE_TRAINING_SESSION, id, key, &value, &why);

    *out = NULL;
    if (status == ERR_NOT_FOUND)
        return FAIL(err, status, "the state of session %s has no `%s`", id, key);
    if (status != OK)
        return FAIL(err, status, "the state of session %s: %s", id, why.message);
    *out = json_loadb(blob_bytes(value), blob_size(value), JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);
    blob_unref(value);
    if (!*out)
        return FAIL(err, ERR_CORRUPT, "the state of session %s: `%s` is damaged: %s", id, key, where.text);
    return OK;
}

static void copy_text(char *out, size_t size, const json_t *value)
{
    const char *text = json_string_value(value);

    snprintf(out, size, "%s", text ? text : "");
}

static int read_facts(struct state *state, const char *id, struct session_facts *out, struct error *err)
{
    json_t *status_json = NULL, *round = NULL, *config = NULL;
    int status = session_record_get(state, id, RECORD_STATUS, &status_json, err);

    if (status == OK)
        status = session_record_get(state, id, RECORD_ROUND, &round, err);
    if (status == OK)
        status = session_record_get(state, id, RECORD_CONFIG, &config, err);
    if (status == OK) {
        copy_text(out->status, sizeof out->status, json_object_get(status_json, "status"));
        copy_text(out->reason, sizeof out->reason, json_object_get(status_json, "reason"));
        out->round = json_integer_value(json_object_get(round, "round"));
        out->leader_term = (uint64_t)json_integer_value(json_object_get(round, "leader_term"));
        out->config_json = json_dumps(config, JSON_COMPACT | JSON_REAL_PRECISION(17));
        if (!out->config_json)
            status = FAIL(err, ERR_MEMORY, "no memory for a session's config");
    }
    json_decref(status_json);
    json_decref(round);
    json_decref(config);
    return status;
}

int session_facts_read(struct state *state, const char *id, struct session_facts *out, struct error *err)
{
    size_t n = 0;
    int status = state_len(state, STORE_TRAINING_SESSION, id, &n, err);

    *out = (struct session_facts){0};
    if (status == OK && n == 0)
        return FAIL(err, ERR_NOT_FOUND, "the state has no session %s", id);
    return status == OK ? read_facts(state, id, out, err) : status;
}

void session_facts_fini(struct session_facts *facts)
{
    free(facts->config_json);
    *facts = (struct session_facts){0};
}
