/* Updates of the round under way that outlive the leader, for selections that keep what came (FLOSIM_KEEPS_UPDATES) on
 * a state that outlives it: `update.<client>` (JSON) and `update.<client>.weights` of training_state, written as they
 * are merged and deleted in the transaction that ends their round. A leader that takes the session up makes the same
 * selection again; whose update was kept is then not asked but answered for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leader/session_internal.h"

static int put_head(const struct session_job *job, const char *key, struct span metrics, struct error *err)
{
    json_t *figures = json_loadb(metrics.data, metrics.size, 0, NULL);
    json_t *head = json_pack("{s:s, s:I, s:I, s:o}", "client", job->client->id, "round", (json_int_t)job->base_version,
                             "bytes_up", (json_int_t)job->bytes_up, "metrics", figures);
    char *text = head ? json_dumps(head, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    int status = text ? state_batch_put_text(job->kept, STORE_TRAINING_STATE, session_id(job->session), key, text, err)
                      : FAIL(err, ERR_MEMORY, "no memory to keep an update");

    free(text);
    json_decref(head);
    return status;
}

static int put_update(struct session_job *job, const struct train_response *response, struct error *err)
{
    char key[TALLY_KEY], weights_key[TALLY_KEY + 16];
    int status;

    session_client_key("update.", job->client->id, key);
    snprintf(weights_key, sizeof weights_key, "%s.weights", key);
    status = state_batch_put_bytes(job->kept, STORE_TRAINING_STATE, session_id(job->session), weights_key,
                                   response->weights, err);
    return status == OK ? put_head(job, key, response->metrics, err) : status;
}

/* Compute thread, after the update was merged and before its bytes are given back. */
void session_keep_update(struct session_job *job)
{
    struct train_response response;
    struct error err = ERROR_INIT;

    if (!job->session->keeps_updates || edge_decode_train_response(job->body, &response, &err) != OK)
        return;
    job->kept = state_batch_new();
    if (!job->kept || put_update(job, &response, &err) != OK) { /* then it will be asked for again */
        state_batch_free(job->kept);
        job->kept = NULL;
    }
    edge_arena_free(response.arena);
}

/* ---- loop ---- */

void session_commit_kept(struct session_job *job)
{
    struct client_tally *tally = session_tally(job->session, job->client);

    if (!job->kept)
        return;
    tally->kept = true;
    state_commit(job->session->env.state, job->kept, NULL);
    job->kept = NULL;
}

static int forget_one(const struct session *session, const char *id, struct state_batch *batch, struct error *err)
{
    char key[TALLY_KEY], weights_key[TALLY_KEY + 16];
    int status;

    session_client_key("update.", id, key);
    snprintf(weights_key, sizeof weights_key, "%s.weights", key);
    status = state_batch_delete(batch, STORE_TRAINING_STATE, session_id(session), key, err);
    if (status != OK)
        return status;
    return state_batch_delete(batch, STORE_TRAINING_STATE, session_id(session), weights_key, err);
}

int session_forget_kept(struct session *session, struct state_batch *batch, struct error *err)
{
    struct session_kept *kept = &session->kept;
    int status = OK;

    for (size_t i = 0; i < kept->num_updates && status == OK; i++) {
        status = forget_one(session, kept->updates[i].id, batch, err);
        blob_unref(kept->updates[i].body);
    }
    free(kept->updates);
    kept->updates = NULL;
    kept->num_updates = 0;
    for (size_t i = 0; session->keeps_updates && i < session->num_tallies && status == OK; i++) {
        struct client_tally *tally = &session->tallies[i];

        if (tally->kept)
            status = forget_one(session, tally->client->id, batch, err);
        tally->kept = false;
    }
    return status;
}

void session_drop_kept(struct session *session)
{
    struct state_batch *batch = session->keeps_updates || session->kept.num_updates ? state_batch_new() : NULL;

    if (batch && session_forget_kept(session, batch, NULL) == OK)
        state_commit(session->env.state, batch, NULL);
    else
        state_batch_free(batch);
}

static void answer_for(struct loop_event *event)
{
    struct session_job *job = CONTAINER_OF(event, struct session_job, failed);
    struct blob *body = job->kept_body;
    struct link_reply reply = {.storage = body, .body = blob_span(body), .bytes_received = blob_span(body).size};

    job->kept_body = NULL;
    session_link_answered(job, &reply);
    blob_unref(body);
}

bool session_answer_from_kept(struct session_job *job)
{
    struct session *session = job->session;
    struct session_kept *kept = &session->kept;

    for (size_t i = 0; i < kept->num_updates && job->kind == JOB_TRAIN; i++) {
        struct kept_update *update = &kept->updates[i];

        if (!update->body || update->round != session->version || strcmp(update->id, job->client->id) != 0)
            continue;
        job->base_version = session->version;
        job->learning_rate = (float)session_round_rate(session, session->version);
        job->state = JOB_WORKING;
        job->answer_due = true;
        job->kept_body = update->body;
        update->body = NULL; /* never twice */
        job->failed.handle = answer_for;
        loop_post(session->env.loop, &job->failed);
        return true;
    }
    return false;
}

/* ---- taken up: compute thread ---- */

static struct blob *make_body(const struct session *session, const struct kept_update *update, const char *metrics,
                              struct blob *weights)
{
    struct train_response response = {.model_id = session->setup->model.id,
                                      .client_id = update->id,
                                      .round_idx = (int32_t)update->round,
                                      .metrics = span_of(metrics, strlen(metrics))};
    struct blob *head = NULL, *body = NULL;

    if (edge_encode_train_response(&response, blob_size(weights), &head, NULL) == OK)
        body = blob_new(blob_size(head) + blob_size(weights));
    if (body) {
        memcpy(blob_bytes(body), blob_bytes(head), blob_size(head));
        memcpy((char *)blob_bytes(body) + blob_size(head), blob_bytes(weights), blob_size(weights));
    }
    blob_unref(head);
    return body;
}

static int read_update(struct session *session, const char *key, const json_t *head, struct kept_update *out,
                       struct error *err)
{
    const char *id = json_string_value(json_object_get(head, "client"));
    const json_t *round = json_object_get(head, "round");
    char *metrics = json_dumps(json_object_get(head, "metrics"), JSON_COMPACT | JSON_REAL_PRECISION(17));
    char weights_key[TALLY_KEY + 16];
    struct blob *weights = NULL;
    int status = OK;

    *out = (struct kept_update){.round = json_integer_value(round)};
    snprintf(weights_key, sizeof weights_key, "%s.weights", key);
    if (!id || strlen(id) >= sizeof out->id || !json_is_integer(round) || !metrics)
        status = FAIL(err, ERR_CORRUPT, "`%s` is not the update of a client", key);
    if (status == OK) {
        snprintf(out->id, sizeof out->id, "%s", id);
        status = state_get(session->env.state, STORE_TRAINING_STATE, session_id(session), weights_key, &weights, err);
    }
    if (status == OK && !(out->body = make_body(session, out, metrics, weights)))
        status = FAIL(err, ERR_MEMORY, "no memory for a kept update");
    blob_unref(weights);
    free(metrics);
    return status;
}

int session_take_kept(struct session *session, const char *key, struct blob *value, struct error *err)
{
    struct session_kept *kept = &session->kept;
    struct kept_update *more = realloc(kept->updates, (kept->num_updates + 1) * sizeof *more);
    size_t length = strlen(key);
    json_t *head;
    int status;

    if (!more)
        return FAIL(err, ERR_MEMORY, "no memory for a kept update");
    kept->updates = more;
    if (length > 8 && strcmp(key + length - 8, ".weights") == 0)
        return OK; /* comes with its head */
    head = json_loadb(blob_bytes(value), blob_size(value), JSON_REJECT_DUPLICATES, NULL);
    status = read_update(session, key, head, &kept->updates[kept->num_updates], err);
    json_decref(head);
    kept->num_updates += status == OK;
    return status;
}
