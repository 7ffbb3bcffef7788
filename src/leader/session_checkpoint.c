/* Checkpoints of a running session: references to the state's values are taken on the loop, a thread of its own writes
 * the file. The rounds do not wait for it, unless one is wanted of every round. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "leader/session_internal.h"
#include "state/checkpoint.h"

struct checkpoint_task {
    struct executor_task task;
    struct session *session;
    struct state_snapshot *snapshot;
    int64_t round;
    uint64_t began_ns;
    double bytes;
    struct error error;
};

static int64_t interval_of(const struct session *session)
{
    return session->setup->config.session_config.checkpoint_interval;
}

/* ---- checkpoint thread ---- */

static double size_of_newest(const char *dir, const char *session_id)
{
    char *path = NULL;
    struct stat facts;
    double bytes = -1;

    if (checkpoint_find(dir, session_id, &path, NULL) == OK && path && stat(path, &facts) == 0)
        bytes = (double)facts.st_size;
    free(path);
    return bytes;
}

static void write_checkpoint(struct executor_task *task)
{
    struct checkpoint_task *self = CONTAINER_OF(task, struct checkpoint_task, task);
    const struct session_env *env = &self->session->env;
    struct checkpoint_place place = {.dir = env->config->checkpoint_dir_path,
                                     .cluster = env->config->cluster,
                                     .term = env->leader_term,
                                     .keep = env->config->checkpoint_keep,
                                     .probes = env->host ? env->host->probes : NULL};
    const char *id = session_id(self->session);

    if (checkpoint_write(&place, id, self->snapshot, &self->error) == OK)
        self->bytes = size_of_newest(place.dir, id);
    state_snapshot_free(self->snapshot);
    self->snapshot = NULL;
}

/* ---- loop ---- */

static void count(const struct checkpoint_task *self, double duration_s)
{
    struct checkpoint_tally *tally = self->session->env.checkpoints;

    if (tally && self->error.status != OK)
        tally->failed++;
    else if (tally)
        *tally = (struct checkpoint_tally){tally->written + 1, tally->failed, self->round, duration_s, self->bytes};
}

static void tell(const struct checkpoint_task *self)
{
    struct session *session = self->session;
    double duration_s = session_seconds_since(session, self->began_ns);

    count(self, duration_s);
    if (self->error.status == OK) {
        session_emit(session, "checkpoint",
                     json_pack("{s:I, s:f, s:f}", "round", (json_int_t)self->round, "duration_s", duration_s, "bytes",
                               self->bytes));
        return;
    }
    session_emit(session, "checkpoint_failed",
                 json_pack("{s:I, s:s}", "round", (json_int_t)self->round, "reason", self->error.message));
    log_write(session->env.log, LOG_WARN, "session",
              "no checkpoint: %s; the last good one stays, and the session goes on round=%lld", self->error.message,
              (long long)self->round);
}

/* The folder was taken by a leader with a higher term. */
static void heard_of_another(struct session *session)
{
    const struct session_env *env = &session->env;

    session->checkpoints.due = 0;
    if (env->replaced)
        env->replaced(env->replaced_context, "the checkpoint folder");
    else
        session_abandon(session, "another leader has taken the checkpoint folder");
}

static void start(struct session *session);

static void written(struct executor_task *task)
{
    struct checkpoint_task *self = CONTAINER_OF(task, struct checkpoint_task, task);
    struct session *session = self->session;
    struct session_checkpoints *own = &session->checkpoints;

    own->writing = false;
    own->covered = self->round;
    if (self->task.was_run && self->error.status == ERR_PRECONDITION)
        heard_of_another(session);
    else if (self->task.was_run)
        tell(self);
    state_snapshot_free(self->snapshot);
    free(self);
    if (own->due > own->covered)
        start(session);
    else
        own->due = 0;
    session_rounds_ready(session);
    if (!own->writing && own->then) {
        void (*then)(struct session *) = own->then;

        own->then = NULL;
        then(session);
        return;
    }
    session_task_done(session);
}

/* What cannot even begin is told in the same way. */
static struct checkpoint_task *prepare(struct session *session)
{
    struct checkpoint_task *self = calloc(1, sizeof *self);

    if (!self)
        return NULL;
    *self = (struct checkpoint_task){.task = {.run = write_checkpoint, .done = written},
                                     .session = session,
                                     .round = session->finished,
                                     .began_ns = session_now_ns(session)};
    if (!session->checkpoints.thread)
        executor_new(&session->checkpoints.thread, session->env.loop, "checkpoint", &self->error);
    if (self->error.status == OK)
        state_snapshot(session->env.state, session_id(session), &self->snapshot, &self->error);
    if (self->error.status == OK)
        return self;
    tell(self);
    free(self);
    return NULL;
}

static void start(struct session *session)
{
    struct checkpoint_task *self = prepare(session);

    session->checkpoints.due = 0;
    if (!self) {
        session->checkpoints.covered = session->finished;
        return;
    }
    session->checkpoints.writing = true;
    session->tasks++;
    executor_submit(session->checkpoints.thread, &self->task);
}

bool session_checkpoint_is_awaited(const struct session *session, int64_t round)
{
    return interval_of(session) == 1 && session->checkpoints.covered < round;
}

/* A file that is still being written when the next is due: the next is of the latest round then. */
void session_checkpoint_if_due(struct session *session, int64_t round)
{
    int64_t interval = interval_of(session);

    if (interval <= 0 || round % interval != 0 || session->checkpoints.covered >= round || session->abandoned)
        return;
    session->checkpoints.due = round;
    if (!session->checkpoints.writing)
        start(session);
}

void session_checkpoint_end(struct session *session, void (*then)(struct session *session))
{
    struct session_checkpoints *own = &session->checkpoints;

    if (interval_of(session) <= 0) {
        then(session);
        return;
    }
    start(session); /* nothing is under way any more */
    if (own->writing)
        own->then = then;
    else
        then(session);
}

void session_checkpoints_fini(struct session *session)
{
    executor_free(session->checkpoints.thread);
}
