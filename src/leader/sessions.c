/* Sessions of a leader, one at a time: from the request through making and running to the record that REST shows. */
#include <stdlib.h>
#include <string.h>

#include "leader/leader_internal.h"
#include "leader/submission.h"

static void run(struct executor_task *task)
{
    submission_make(CONTAINER_OF(task, struct submission, task));
}

static void refuse(struct submission *self, int status, const char *message)
{
    if (self->exchange)
        http_respond_message(self->exchange, status, "%s", message);
    if (self->resume)
        log_write(self->leader->log, self->status == ERR_NOT_FOUND ? LOG_INFO : LOG_WARN, "leader",
                  self->status == ERR_NOT_FOUND ? "--resume: %s" : "--resume: the session cannot go on: %s", message);
    else
        log_write(self->leader->log, LOG_WARN, "rest", "session refused: %s", message);
    self->leader->submission = NULL;
    submission_free(self);
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
    if (leader_is_replaced(leader)) {
        http_respond_json(exchange, 503, json_pack("{s:s, s:b}", "message", leader->failure.message, "replaced", true));
        return;
    }
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

static void lingered(struct loop_timer *timer)
{
    leader_left(CONTAINER_OF(timer, struct leader, linger_timer));
}

/* Whoever follows a session asks every half second: REST stays until it was told how the session ended. */
static void leave_after(struct leader *leader, bool is_followed)
{
    enum { LINGER_MS = 1000 };

    loop_timer_init(&leader->linger_timer, lingered);
    if (!is_followed || loop_timer_set(leader->loop, &leader->linger_timer, LINGER_MS * 1000000u, NULL) != OK)
        leader_left(leader);
}

static void over(void *context, struct session *session)
{
    struct leader *leader = context;
    /* Who follows a session that another leader goes on with is to ask that one. */
    bool is_followed = !leader->waiting && !leader->host && !leader_is_replaced(leader);

    leader->session = NULL;
    remember(leader, session);
    answer_waiting(leader, session);
    free_elsewhere(leader, session);
    if (leader->leaving)
        leave_after(leader, is_followed);
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
    else if (self->exchange)
        http_respond_json(self->exchange, 202, json_pack("{s:s}", "session_id", session_id(session)));
    submission_free(self);
    log_write(leader->log, LOG_INFO, "rest", "session accepted session=%s", session_id(session));
    session_start(session);
}

/* A made session begins when the leader is ready; where it would not wait for clients, one must be there. */
static void try_begin(struct submission *self)
{
    struct leader *leader = self->leader;

    if (self->from) { /* it waits for its clients itself */
        begin(self);
        return;
    }
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

static struct submission *new_submission(struct leader *leader)
{
    struct submission *self = calloc(1, sizeof *self);

    if (!self)
        return NULL;
    self->leader = leader;
    self->task.run = run;
    self->task.done = made;
    return self;
}

static void submit(struct submission *self)
{
    self->leader->submission = self;
    executor_submit(self->leader->executor, &self->task);
}

int sessions_resume(struct leader *leader, struct error *err)
{
    struct submission *self = new_submission(leader);

    if (!self)
        return FAIL(err, ERR_MEMORY, "no memory to resume a session");
    self->resume = true;
    roster_call_remembered(leader->roster);
    submit(self);
    return OK;
}

void sessions_submit(struct leader *leader, struct http_exchange *exchange, const struct http_request *request,
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
    self = new_submission(leader);
    if (!self) {
        http_respond_message(exchange, 500, "Out of memory");
        return;
    }
    self->exchange = exchange;
    self->text = request->body;
    self->blocking = blocking;
    submit(self);
}

void sessions_ready(struct leader *leader)
{
    if (leader->submission && leader->submission->made)
        try_begin(leader->submission);
}

void sessions_leave(struct leader *leader)
{
    if (leader->session && leader_is_replaced(leader)) {
        session_abandon(leader->session, leader->failure.message);
        return;
    }
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

void sessions_fini(struct leader *leader)
{
    for (size_t i = 0; i < leader->num_past; i++) {
        json_decref(leader->past[i].json);
        blob_unref(leader->past[i].model);
    }
    leader->num_past = 0;
    if (leader->submission)
        submission_free(leader->submission);
    leader->submission = NULL;
    session_free(leader->session);
    leader->session = NULL;
}

json_t *sessions_find(const struct leader *leader, const char *id, struct blob **model)
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
