/* GET /v1/sessions and DELETE /v1/sessions/{id}/state: what is stored is read on a thread of its own, for a store that
 * does not answer must hold up neither the loop nor a round's arithmetic. */
#include <stdlib.h>
#include <string.h>

#include "leader/leader_internal.h"
#include "leader/stored_sessions.h"

struct inquiry {
    struct executor_task task;
    struct state_ticket ticket; /* of a drop */
    struct leader *leader;
    struct http_exchange *exchange;
    char *id;   /* to be dropped; NULL: only the list is wanted */
    bool force; /* also one that was left unfinished */
    bool known, refused, dropped;
    int awaited; /* events to come: the task's, and of a drop the ticket's; in either order */
    size_t files;
    json_t *list, *problems;
    struct error error;
};

static void inquiry_free(struct inquiry *self)
{
    json_decref(self->list);
    json_decref(self->problems);
    free(self->id);
    free(self);
}

/* ---- storage thread ---- */

static void drop(struct inquiry *self)
{
    const json_t *session = stored_sessions_find(self->list, self->id);

    self->known = session != NULL;
    self->refused = session && stored_session_is_unfinished(session) && !self->force;
    if (self->known && !self->refused)
        self->dropped = stored_sessions_drop(self->leader->state, self->leader->config->checkpoint_dir_path, self->id,
                                             &self->ticket, &self->files, &self->error) == OK;
}

static void ask(struct executor_task *task)
{
    struct inquiry *self = CONTAINER_OF(task, struct inquiry, task);
    struct leader *leader = self->leader;

    if (stored_sessions_list(leader->state, leader->config->checkpoint_dir_path, self->problems, &self->list,
                             &self->error) == OK &&
        self->id)
        drop(self);
}

/* ---- loop ---- */

/* The past records are whole; a list shows each without its rounds and configuration, and with what is stored of it. */
static void add_loaded(json_t *out, json_t *stored, const json_t *loaded)
{
    const char *id = json_string_value(json_object_get(loaded, "session_id"));
    json_t *json = json_object(), *value;
    const char *key;
    size_t i;

    json_array_foreach(stored, i, value)
    {
        if (strcmp(json_string_value(json_object_get(value, "session_id")), id) != 0)
            continue;
        json_object_update(json, value);
        json_array_remove(stored, i);
        break;
    }
    json_object_foreach((json_t *)(uintptr_t)loaded, key, value)
    {
        if (strcmp(key, "rounds") != 0 && strcmp(key, "config") != 0)
            json_object_set(json, key, value);
    }
    json_array_append_new(out, json);
}

static void answer_list(struct inquiry *self)
{
    struct leader *leader = self->leader;
    json_t *out = json_array(), *answer;

    if (leader->session) {
        json_t *running = session_json(leader->session, false);

        add_loaded(out, self->list, running);
        json_decref(running);
    }
    for (size_t i = 0; i < leader->num_past; i++)
        add_loaded(out, self->list, leader->past[i].json);
    json_array_extend(out, self->list);
    answer = json_pack("{s:o}", "sessions", out);
    if (json_array_size(self->problems))
        json_object_set(answer, "problems", self->problems);
    http_respond_json(self->exchange, 200, answer);
}

static void forget_past(struct leader *leader, const char *id)
{
    for (size_t i = 0; i < leader->num_past; i++) {
        if (strcmp(json_string_value(json_object_get(leader->past[i].json, "session_id")), id) != 0)
            continue;
        json_decref(leader->past[i].json);
        blob_unref(leader->past[i].model);
        leader->num_past--;
        memmove(leader->past + i, leader->past + i + 1, (leader->num_past - i) * sizeof *leader->past);
        return;
    }
}

static void answer_drop(struct inquiry *self)
{
    bool later = state_is_durable(self->leader->state) && !self->ticket.durable;
    json_t *answer = json_pack("{s:s, s:s, s:O, s:I, s:b}", "session_id", self->id, "message",
                               later ? "Dropped; the store is away, and loses it when it is back" : "Dropped", "in",
                               json_object_get(stored_sessions_find(self->list, self->id), "in"), "files",
                               (json_int_t)self->files, "durable", !later);

    forget_past(self->leader, self->id);
    http_respond_json(self->exchange, 200, answer);
}

static void refuse_drop(struct inquiry *self)
{
    if (self->refused)
        http_respond_message(self->exchange, 409,
                             "Session %s is running, or was left unfinished: it is dropped with {\"force\": true} only",
                             self->id);
    else if (self->known)
        http_respond_message(self->exchange, 500, "%s", self->error.message);
    else
        http_respond_message(self->exchange, 404, "There is no session %s%s%s", self->id,
                             json_array_size(self->problems) ? ", but not everything could be asked: " : "",
                             json_array_size(self->problems) ? json_string_value(json_array_get(self->problems, 0))
                                                             : "");
}

static void answer(struct inquiry *self)
{
    if (!self->leader->http)
        return; /* the leader has left, and whoever asked was told */
    if (!self->task.was_run)
        http_respond_message(self->exchange, 503, "The leader is leaving");
    else if (!self->list)
        http_respond_message(self->exchange, 500, "%s", self->error.message);
    else if (self->dropped)
        answer_drop(self);
    else if (self->id)
        refuse_drop(self);
    else
        answer_list(self);
}

static void came(struct inquiry *self)
{
    if (--self->awaited > 0)
        return;
    answer(self);
    inquiry_free(self);
}

static void asked(struct executor_task *task)
{
    struct inquiry *self = CONTAINER_OF(task, struct inquiry, task);

    if (self->id && !self->dropped)
        self->awaited--; /* there is no ticket */
    came(self);
}

/* The store has it, or will not have it for now. */
static void drop_is_durable(struct loop_event *event)
{
    came(CONTAINER_OF(event, struct inquiry, ticket.event));
}

static void inquire(struct leader *leader, struct http_exchange *exchange, const char *id, bool force)
{
    struct inquiry *self = calloc(1, sizeof *self);

    if (self) {
        *self = (struct inquiry){.task = {.run = ask, .done = asked},
                                 .ticket = {.event = {.handle = drop_is_durable}, .loop = leader->loop},
                                 .leader = leader,
                                 .exchange = exchange,
                                 .id = id ? strdup(id) : NULL,
                                 .force = force,
                                 .awaited = id ? 2 : 1,
                                 .problems = json_array()};
        if (!leader->storage)
            executor_new(&leader->storage, leader->loop, "storage", NULL);
    }
    if (!self || !leader->storage || (id && !self->id)) {
        http_respond_message(exchange, 500, "Out of memory");
        if (self)
            inquiry_free(self);
        return;
    }
    executor_submit(leader->storage, &self->task);
}

void sessions_list(struct leader *leader, struct http_exchange *exchange)
{
    inquire(leader, exchange, NULL, false);
}

/* *force: what the body, if there is one, says. */
static bool read_force(struct span body, bool *force)
{
    json_t *json = body.size ? json_loadb(body.data, body.size, JSON_REJECT_DUPLICATES, NULL) : json_object();
    const json_t *value = json_object_get(json, "force");
    bool fine = json_is_object(json) && json_object_size(json) == (value != NULL) && (!value || json_is_boolean(value));

    *force = json_is_true(value);
    json_decref(json);
    return fine;
}

void sessions_drop(struct leader *leader, struct http_exchange *exchange, const char *id, struct span body)
{
    bool force;

    if (!read_force(body, &force))
        http_respond_message(exchange, 400, "The body may be {\"force\": true}");
    else if (leader->session && strcmp(session_id(leader->session), id) == 0)
        http_respond_message(exchange, 409, "Session %s is running: stop it first (DELETE /v1/sessions/%s)", id, id);
    else if (leader->submission)
        http_respond_message(exchange, 409, "A session is about to start: try again");
    else
        inquire(leader, exchange, id, force);
}
