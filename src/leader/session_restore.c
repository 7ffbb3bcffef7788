/* A session is made: new, or from what the state has of it. On the compute thread, before the session begins; the
 * session is filled, and `first` holds what the state will be told when it does. Nothing is changed in the state until
 * then, so that a session that cannot be taken up can be tried again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/encoding.h"
#include "leader/session_internal.h"
#include "leader/session_record.h"

/* ---- what is kept, checked ---- */

static int get(struct session *session, const char *key, json_t **out, struct error *err)
{
    return session_record_get(session->env.state, session_id(session), key, out, err);
}

static int damaged(const struct session *session, const char *key, struct error *err)
{
    return FAIL(err, ERR_CORRUPT, "the state of session %s: `%s` is damaged", session_id(session), key);
}

static int read_round(struct session *session, struct error *err)
{
    json_t *json;
    int status = get(session, RECORD_ROUND, &json, err);

    if (status != OK)
        return status;
    session->version = json_integer_value(json_object_get(json, "round"));
    if (!json_is_integer(json_object_get(json, "round")) || session->version < 0 || session->version > INT32_MAX)
        status = damaged(session, RECORD_ROUND, err);
    session->finished = session->compute.version = session->version;
    json_decref(json);
    return status;
}

static int read_model(struct session *session, struct error *err)
{
    struct blob *image;
    int status = state_get(session->env.state, STORE_TRAINING_SESSION, session_id(session), RECORD_GLOBAL, &image, err);

    if (status == OK)
        status = weights_decode(&session->setup->layout, blob_span(image), session->compute.global, err);
    if (status != OK) {
        blob_unref(image);
        return error_context(err, status,
                             "the state of session %s: its `" RECORD_GLOBAL "` does not fit the model %s: ",
                             session_id(session), session->setup->model.id);
    }
    blob_unref(session->image);
    session->image = image;
    return OK;
}

static int64_t count_of(const json_t *json, const char *key, bool *broken)
{
    const json_t *value = json_object_get(json, key);

    *broken |= !json_is_integer(value) || json_integer_value(value) < 0;
    return json_integer_value(value);
}

/* What was under way when it was written has no end any more: of a round that waits for everybody it was surplus, which
 * counts as dropped; else it is forgotten, and asked for again. */
static void settle_ledger(struct session *session)
{
    struct session_ledger *ledger = &session->ledger;
    int64_t open = ledger->sent - ledger->merged - ledger->refused - ledger->failed - ledger->dropped;

    if (session->setup->strategies.aggregator->flags & FLOSIM_WAITS_FOR_ALL)
        ledger->dropped += open;
    else
        ledger->sent -= open;
}

static int read_ledger(struct session *session, struct error *err)
{
    struct session_ledger *ledger = &session->ledger;
    bool broken = false;
    json_t *json;
    int status = get(session, RECORD_LEDGER, &json, err);

    if (status != OK)
        return status;
    *ledger = (struct session_ledger){
        .sent = count_of(json, "sent", &broken),
        .merged = count_of(json, "merged", &broken),
        .refused = count_of(json, "refused", &broken),
        .failed = count_of(json, "failed", &broken),
        .dropped = count_of(json, "dropped", &broken),
        .lost_rounds = count_of(json, "lost_rounds", &broken),
    };
    session_refusals_read(json_object_get(json, "refused_for"), ledger->refused_for, &broken);
    session->kept.elapsed_s = json_number_value(json_object_get(json, "elapsed_s"));
    broken |= !(session->kept.elapsed_s >= 0);
    json_decref(json);
    if (broken)
        return damaged(session, RECORD_LEDGER, err);
    settle_ledger(session);
    return OK;
}

/* ---- the metrics of its rounds, and rounds.csv ---- */

static int write_lines(struct session *session, json_t *const *rounds, struct error *err)
{
    char *lines = session_round_lines(rounds, (size_t)session->version);
    int status = lines ? report_rounds(&session->setup->report, lines, err)
                       : FAIL(err, ERR_MEMORY, "no memory for the lines of %lld rounds", (long long)session->version);

    free(lines);
    return status;
}

static int read_rounds(struct session *session, struct error *err)
{
    size_t n = (size_t)session->version, shown = n > ROUNDS_SHOWN ? ROUNDS_SHOWN : n;
    json_t **rounds = calloc(n + 1, sizeof(json_t *));
    int status = rounds ? OK : FAIL(err, ERR_MEMORY, "no memory for the metrics of %zu rounds", n);

    for (size_t i = 0; i < n && status == OK; i++) {
        char key[40];

        snprintf(key, sizeof key, RECORD_ROUNDS "%zu", i + 1);
        status = get(session, key, &rounds[i], err);
        if (status == OK && json_integer_value(json_object_get(rounds[i], "round")) != (json_int_t)i + 1)
            status = damaged(session, key, err);
    }
    if (status == OK)
        status = write_lines(session, rounds, err);
    for (size_t i = n - shown; i < n && status == OK; i++)
        json_array_append(session->rounds, rounds[i]);
    for (size_t i = 0; rounds && i < n; i++)
        json_decref(rounds[i]);
    free(rounds);
    return status;
}

/* ---- may it go on? ---- */

static int64_t rounds_of(const json_t *settings)
{
    return json_integer_value(
        json_object_get(json_object_get(settings, "server_training_config"), "num_training_rounds"));
}

static int check_status(struct session *session, const json_t *status, const json_t *settings, struct error *err)
{
    const char *word = json_string_value(json_object_get(status, "status"));
    const char *reason = json_string_value(json_object_get(status, "reason"));
    bool raised = session_num_rounds(session) > rounds_of(settings), ends;

    if (!word || !reason)
        return damaged(session, RECORD_STATUS, err);
    ends = strcmp(word, session_status_text(SESSION_FINISHED)) == 0 ||
           strcmp(word, session_status_text(SESSION_RUNNING)) == 0;
    if (ends && !raised) /* nothing is left to do but to say so */
        snprintf(session->last_reason, sizeof session->last_reason, "%s", reason);
    if (strcmp(word, session_status_text(SESSION_FINISHED)) == 0 && !raised)
        log_write(session->env.log, LOG_WARN, "session",
                  "already finished (%s): to go on ask for more than %lld num_training_rounds session=%s", reason,
                  (long long)rounds_of(settings), session_id(session));
    if (!*session->last_reason && session->version >= session_num_rounds(session))
        return FAIL(err, ERR_PRECONDITION, "session %s has done %lld rounds, and num_training_rounds is %lld",
                    session_id(session), (long long)session->version, (long long)session_num_rounds(session));
    return OK;
}

static int check_may_go_on(struct session *session, struct error *err)
{
    json_t *status_json = NULL, *settings = NULL;
    int status = get(session, RECORD_STATUS, &status_json, err);

    if (status == OK)
        status = get(session, RECORD_SETTINGS, &settings, err);
    if (status == OK)
        status = check_status(session, status_json, settings, err);
    json_decref(status_json);
    json_decref(settings);
    return status;
}

/* ---- restore only: it is the same session ---- */

static int check_same(struct session *session, struct error *err)
{
    const struct model_files *model = &session->setup->model;
    json_t *kept_model = NULL, *settings = NULL;
    int status = get(session, RECORD_MODEL, &kept_model, err);
    const char *hash = json_string_value(json_object_get(kept_model, "hash"));
    const char *id = json_string_value(json_object_get(kept_model, "id"));

    if (status == OK && (!hash || !id))
        status = damaged(session, RECORD_MODEL, err);
    if (status == OK && (strcmp(hash, model->hash) != 0 || strcmp(id, model->id) != 0))
        status =
            FAIL(err, ERR_PRECONDITION,
                 "the model is %.60s (hash %.80s) in the session that is kept and %.60s (hash %.80s) in the request",
                 id, hash, model->id, model->hash);
    if (status == OK)
        status = get(session, RECORD_SETTINGS, &settings, err);
    if (status == OK)
        status = session_settings_compare(settings, &session->setup->config, err);
    json_decref(kept_model);
    json_decref(settings);
    return status;
}

static int read_clients(struct session *session, struct error *err)
{
    size_t i;
    json_t *id;
    int status = session->version == 0 ? OK : get(session, RECORD_CLIENTS, &session->kept.clients, err);

    if (status == OK && session->kept.clients && !json_is_array(session->kept.clients))
        return damaged(session, RECORD_CLIENTS, err);
    json_array_foreach(session->kept.clients, i, id) if (!json_is_string(id)) status =
        damaged(session, RECORD_CLIENTS, err);
    return status;
}

struct tally_walk {
    struct session *session;
    struct session_kept *kept;
    size_t capacity;
    bool waits_for_all;
    struct error *err;
};

static void settle_tally(struct client_tally *tally, bool waits_for_all)
{
    int64_t open = tally->selected - tally->merged - tally->refused - tally->failed - tally->dropped;

    tally->merged -= tally->unused; /* the aggregator held them, and is told to forget them */
    tally->dropped += tally->unused;
    tally->unused = 0;
    if (open > 0 && waits_for_all)
        tally->dropped += open;
    else if (open > 0)
        tally->selected -= open;
}

static int add_tally(struct tally_walk *walk, const char *key, const json_t *json)
{
    struct session_kept *kept = walk->kept;
    size_t capacity = walk->capacity ? 2 * walk->capacity : 64;
    int status;

    if (kept->num_tallies == walk->capacity) {
        struct kept_tally *more = realloc(kept->tallies, capacity * sizeof *more);

        if (!more)
            return FAIL(walk->err, ERR_MEMORY, "no memory for the tallies of clients");
        kept->tallies = more;
        walk->capacity = capacity;
    }
    status = session_tally_read(key, json, &kept->tallies[kept->num_tallies], walk->err);
    if (status == OK)
        settle_tally(&kept->tallies[kept->num_tallies++].tally, walk->waits_for_all);
    return status;
}

static int visit_value(void *context, const char *key, struct blob *value)
{
    struct tally_walk *walk = context;
    json_t *json;
    int status;

    if (strncmp(key, "update.", 7) == 0)
        return session_take_kept(walk->session, key, value, walk->err);
    if (strncmp(key, "client.", 7) != 0)
        return OK;
    json = json_loadb(blob_bytes(value), blob_size(value), JSON_REJECT_DUPLICATES, NULL);
    status = add_tally(walk, key, json);
    json_decref(json);
    return status;
}

static int order_of_ids(const void *a, const void *b)
{
    return strcmp(((const struct kept_tally *)a)->id, ((const struct kept_tally *)b)->id);
}

static int read_tallies(struct session *session, struct error *err)
{
    struct session_kept *kept = &session->kept;
    struct tally_walk walk = {.session = session,
                              .kept = kept,
                              .waits_for_all = session->setup->strategies.aggregator->flags & FLOSIM_WAITS_FOR_ALL,
                              .err = err};
    int status = state_each(session->env.state, STORE_TRAINING_STATE, session_id(session), visit_value, &walk, err);

    if (kept->num_tallies)
        qsort(kept->tallies, kept->num_tallies, sizeof *kept->tallies, order_of_ids);
    return status;
}

/* What the aggregator held of rounds under way: they are done anew, so it had counted as merged for nothing. */
static void give_up_held(struct session *session)
{
    struct aggregator *aggregator = &session->compute.aggregator;
    int64_t held = (int64_t)aggregator->ops->held(aggregator->state);

    for (uint32_t c = 0; c < FLOSIM_MAX_COHORTS && held > 0 && aggregator->ops->discard; c++)
        aggregator->ops->discard(aggregator->state, c);
    session->ledger.merged -= held;
    session->ledger.dropped += held;
}

static int restore(struct session *session, struct error *err)
{
    int status = check_same(session, err);

    if (status == OK)
        status = read_clients(session, err);
    if (status == OK)
        status = read_tallies(session, err);
    if (status == OK)
        status = session_strategies_restore(&session->compute, err);
    if (status == OK)
        give_up_held(session);
    return status;
}

/* ---- what the state will be told ---- */

static int make_first(struct session *session, bool clears_session, bool saves_strategies, struct error *err)
{
    const char *id = session_id(session);
    struct session_compute *compute = &session->compute;
    int status = OK;

    state_batch_free(compute->pending);
    compute->pending = NULL;
    if (saves_strategies)
        status = session_strategies_save(compute, err);
    state_batch_free(session->first);
    session->first = state_batch_new();
    if (!session->first)
        return FAIL(err, ERR_MEMORY, "no memory for a session's state");
    for (enum store_name store = STORE_TRAINING_SESSION; store <= STORE_AGGREGATOR_STATE && status == OK; store++)
        if (saves_strategies && (store != STORE_TRAINING_SESSION || clears_session))
            status = state_batch_clear(session->first, store, id, err);
    if (status == OK && compute->pending)
        status = state_batch_merge(session->first, compute->pending, err);
    state_batch_free(compute->pending);
    compute->pending = NULL;
    return status == OK ? session_record_begin(session, session->first, err) : status;
}

void session_kept_fini(struct session_kept *kept)
{
    free(kept->tallies);
    kept->tallies = NULL;
    kept->num_tallies = 0;
    for (size_t i = 0; i < kept->num_updates; i++)
        blob_unref(kept->updates[i].body);
    free(kept->updates);
    kept->updates = NULL;
    kept->num_updates = 0;
    json_decref(kept->clients);
    kept->clients = NULL;
}

int session_fall_back_to_revive(struct session *session, struct error *err)
{
    int status = session_strategies_anew(&session->compute, err);

    session_kept_fini(&session->kept);
    session->kept.mode = "revive";
    return status == OK ? make_first(session, false, true, err) : status;
}

static int take_up_common(struct session *session, struct error *err)
{
    int status = read_round(session, err);

    if (status == OK)
        status = check_may_go_on(session, err);
    if (status == OK)
        status = read_model(session, err);
    if (status == OK)
        status = read_ledger(session, err);
    return status == OK ? read_rounds(session, err) : status;
}

static int take_up_known(struct session *session, struct error *err)
{
    const struct session_restore *wish = &session->setup->restore;
    struct error why = ERROR_INIT;

    if (take_up_common(session, err) != OK)
        return error_context(err, ERR_CORRUPT, "cannot go on from %s: ", wish->from);
    if (wish->restore && restore(session, &why) == OK) {
        session->kept.mode = "restore";
        return make_first(session, false, false, err);
    }
    if (!wish->revive)
        return FAIL(err, why.status, "cannot be restored from %s: %s", wish->from, why.message);
    if (wish->restore)
        log_write(session->env.log, LOG_WARN, "session", "cannot be restored, so it is revived: %s session=%s",
                  why.message, session_id(session));
    return session_fall_back_to_revive(session, err);
}

int session_take_up(struct session *session, struct error *err)
{
    const struct session_restore *wish = &session->setup->restore;

    if (!wish->restore && !wish->revive)
        return make_first(session, true, true, err);
    return take_up_known(session, err);
}
