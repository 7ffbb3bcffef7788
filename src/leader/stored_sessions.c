#include "leader/stored_sessions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "leader/session_record.h"
#include "state/checkpoint.h"
#include "util/fs.h"

enum { LOOK_BACK = 100 }; /* rounds, for one that was validated */

/* ---- one session ---- */

static json_t *read_json(struct state *state, const char *id, const char *key)
{
    struct blob *value = NULL;
    json_t *json = NULL;

    if (state_read(state, STORE_TRAINING_SESSION, id, key, &value, NULL) == OK)
        json = json_loadb(blob_bytes(value), blob_size(value), JSON_DECODE_ANY, NULL);
    blob_unref(value);
    return json;
}

static json_t *last_accuracy(struct state *state, const char *id, int64_t round)
{
    for (int64_t n = round; n > 0 && n > round - LOOK_BACK; n--) {
        char key[40];
        json_t *metrics, *accuracy;

        snprintf(key, sizeof key, RECORD_ROUNDS "%lld", (long long)n);
        metrics = read_json(state, id, key);
        accuracy = json_incref(json_object_get(metrics, "accuracy"));
        json_decref(metrics);
        if (json_is_number(accuracy))
            return accuracy;
        json_decref(accuracy);
    }
    return json_null();
}

static json_t *copy_of(const json_t *object, const char *key, json_t *otherwise)
{
    json_t *value = json_object_get(object, key);

    if (value && !json_is_null(value)) {
        json_decref(otherwise);
        return json_incref(value);
    }
    return otherwise;
}

static json_t *places_of(const struct state_session *session, const char *place)
{
    json_t *places = json_array();

    if (place)
        json_array_append_new(places, json_string(place));
    if (!place && session->in_memory)
        json_array_append_new(places, json_string("memory"));
    if (!place && session->in_store)
        json_array_append_new(places, json_string("redis"));
    return places;
}

/* `place` NULL: where the state says. */
static json_t *describe(struct state *state, const struct state_session *session, const char *place)
{
    json_t *status = read_json(state, session->id, RECORD_STATUS);
    json_t *settings = read_json(state, session->id, RECORD_SETTINGS);
    const json_t *training = json_object_get(settings, "server_training_config");
    json_t *json =
        json_pack("{s:s, s:o, s:s, s:o, s:I, s:o, s:o, s:I, s:I, s:o, s:o}", "session_id", session->id, "label",
                  copy_of(json_object_get(settings, "session_config"), "session_id", json_string("")), "status",
                  session->status, "reason", copy_of(status, "reason", json_string("")), "round",
                  (json_int_t)session->round, "num_rounds", copy_of(training, "num_training_rounds", json_null()),
                  "accuracy", last_accuracy(state, session->id, session->round), "leader_term",
                  (json_int_t)session->leader_term, "bytes", (json_int_t)session->bytes, "time",
                  session->time > 0 ? json_real(session->time) : json_null(), "in", places_of(session, place));

    json_decref(status);
    json_decref(settings);
    return json;
}

/* ---- the list ---- */

struct listing {
    struct state *state;
    json_t *list, *problems;
    const char *place;
    int64_t bytes; /* of the file that is being read */
    double time;
};

const json_t *stored_sessions_find(const json_t *list, const char *id)
{
    size_t i;
    json_t *session;

    json_array_foreach(
        (json_t *)(uintptr_t)list, i,
        session) if (!strcmp(json_string_value(json_object_get(session, "session_id")), id)) return session;
    return NULL;
}

static int note(void *context, const struct state_session *session)
{
    struct listing *listing = context;
    struct state_session known = *session;

    if (listing->place) {
        known.bytes = (size_t)listing->bytes;
        known.time = listing->time;
    }
    return json_array_append_new(listing->list, describe(listing->state, &known, listing->place)) ? ERR_MEMORY : OK;
}

/* What cannot be read is told; only a want of memory ends the list. */
static int told(struct listing *listing, int status, const struct error *why)
{
    if (status == OK || status == ERR_MEMORY)
        return status;
    json_array_append_new(listing->problems, json_string(why->message));
    return OK;
}

/* A state in memory that holds nothing but this file. */
static int read_file(struct listing *listing, const char *session_id, const char *path, struct error *err)
{
    const struct state_options options = {.kind = store_kind_find("inmemory"), .cluster = "0"};
    struct state_batch *batch;
    int status = checkpoint_read(path, session_id, NULL, &batch, err);

    if (status != OK)
        return status;
    status = state_open(&listing->state, &options, err);
    if (status != OK) {
        state_batch_free(batch);
        return status;
    }
    state_commit(listing->state, batch, NULL);
    status = state_sessions(listing->state, note, listing, err);
    state_close(listing->state);
    listing->state = NULL;
    return status;
}

static int note_file(void *context, const char *session_id, const char *path)
{
    struct listing *listing = context;
    const json_t *known = stored_sessions_find(listing->list, session_id);
    struct error why = ERROR_INIT;
    struct stat facts;

    if (known) {
        json_array_append_new(json_object_get(known, "in"), json_string("checkpoint"));
        return OK;
    }
    if (stat(path, &facts) != 0)
        return OK; /* it has just gone */
    listing->bytes = facts.st_size;
    listing->time = (double)facts.st_mtim.tv_sec + 1e-9 * (double)facts.st_mtim.tv_nsec;
    return told(listing, read_file(listing, session_id, path, &why), &why);
}

static int latest_first(const void *a, const void *b)
{
    double x = json_number_value(json_object_get(*(json_t *const *)a, "time"));
    double y = json_number_value(json_object_get(*(json_t *const *)b, "time"));

    return (x < y) - (x > y);
}

static void sort(json_t **list)
{
    size_t n = json_array_size(*list);
    json_t **items = malloc((n ? n : 1) * sizeof *items), *sorted = json_array();

    if (items && sorted) {
        for (size_t i = 0; i < n; i++)
            items[i] = json_array_get(*list, i);
        qsort(items, n, sizeof *items, latest_first);
        for (size_t i = 0; i < n; i++)
            json_array_append(sorted, items[i]);
        json_decref(*list);
        *list = sorted;
        sorted = NULL;
    }
    json_decref(sorted);
    free(items); /* unsorted is better than nothing */
}

int stored_sessions_list(struct state *state, const char *checkpoint_dir, json_t *problems, json_t **out,
                         struct error *err)
{
    struct listing listing = {.state = state, .list = json_array(), .problems = problems};
    struct error why = ERROR_INIT;
    int status = listing.list ? OK : ERR_MEMORY;

    *out = NULL;
    if (status == OK && state)
        status = told(&listing, state_sessions(state, note, &listing, &why), &why);
    listing.place = "checkpoint";
    if (status == OK && checkpoint_dir)
        status = told(&listing, checkpoint_list(checkpoint_dir, note_file, &listing, &why), &why);
    if (status != OK) {
        json_decref(listing.list);
        return FAIL(err, status, "no memory for the list of sessions");
    }
    sort(&listing.list);
    *out = listing.list;
    return OK;
}

bool stored_session_is_unfinished(const json_t *session)
{
    const char *status = json_string_value(json_object_get(session, "status"));

    return status && strcmp(status, "running") == 0;
}

int stored_sessions_drop(struct state *state, const char *checkpoint_dir, const char *id, struct state_ticket *ticket,
                         size_t *files, struct error *err)
{
    int status = OK;

    *files = 0;
    if (!fs_is_component(id))
        return FAIL(err, ERR_INVALID, "no session has the name %.100s", id);
    if (checkpoint_dir)
        status = checkpoint_drop(checkpoint_dir, id, files, err);
    return status == OK && state ? state_drop(state, id, ticket, err) : status;
}
