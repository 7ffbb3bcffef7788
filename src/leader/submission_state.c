/* Where the state of a session that goes on comes from: the leader's state (its store, or this leader's memory), or a
 * checkpoint. On the compute thread. */
#include <stdlib.h>
#include <string.h>

#include "leader/session_record.h"
#include "leader/submission.h"
#include "state/checkpoint.h"
#include "util/fs.h"

/* The caller's fault, in REST's eyes: what he asks for is not there. */
static int as_request_error(int status, struct error *err)
{
    return status == ERR_NOT_FOUND || status == ERR_CORRUPT || status == ERR_UNIMPLEMENTED ? err->status = ERR_INVALID
                                                                                           : status;
}

/* What the state had under this id goes. */
static int clear_session(struct state_batch *batch, const char *id, struct error *err)
{
    static const enum store_name stores[] = {STORE_TRAINING_SESSION, STORE_TRAINING_STATE, STORE_CLIENT_SELECTION_STATE,
                                             STORE_AGGREGATOR_STATE};
    int status = OK;

    for (size_t i = 0; i < sizeof stores / sizeof *stores && status == OK; i++)
        status = state_batch_clear(batch, stores[i], id, err);
    return status;
}

/* A session that turns out not to fit is refused, and must not have cost the state that was there: for the time of the
 * checks only memory shows what is in the file, and only for this id, which nobody else uses meanwhile. */
static int stage(struct submission *self, struct error *err)
{
    struct state *state = self->leader->state;
    int status = state_snapshot(state, self->session_id, &self->before, err);

    if (status == OK || status == ERR_NOT_FOUND)
        status = state_preview(state, self->staged, err);
    return status;
}

static int load_file(struct submission *self, const char *path)
{
    struct state_batch *read = NULL;
    struct error *err = &self->error;
    int status;

    self->staged = state_batch_new();
    status = self->staged ? OK : FAIL(err, ERR_MEMORY, "no memory for the checkpoint %s", path);
    if (status == OK)
        status = checkpoint_read(path, self->session_id, NULL, &read, err);
    if (status == OK)
        status = clear_session(self->staged, self->session_id, err);
    if (status == OK)
        status = state_batch_merge(self->staged, read, err);
    state_batch_free(read);
    if (status == OK)
        status = stage(self, err);
    if (status == OK) {
        self->error = (struct error)ERROR_INIT;
        return OK;
    }
    state_batch_free(self->staged);
    self->staged = NULL;
    return as_request_error(status, err);
}

static int put_back(struct submission *self, struct error *err)
{
    const struct state_snapshot *before = self->before;
    struct state_batch *batch = state_batch_new();
    int status = batch ? clear_session(batch, self->session_id, err) : FAIL(err, ERR_MEMORY, "no memory");

    for (size_t i = 0; status == OK && before && i < before->n; i++)
        status = state_batch_put(batch, before->entries[i].store, self->session_id, before->entries[i].key,
                                 before->entries[i].value, err);
    if (status == OK)
        status = state_preview(self->leader->state, batch, err);
    state_batch_free(batch);
    return status;
}

void submission_settle(struct submission *self)
{
    struct error why = ERROR_INIT;

    if (!self->staged)
        return;
    if (self->status == OK) {
        state_commit(self->leader->state, self->staged, NULL); /* takes it */
        self->staged = NULL;
    } else if (put_back(self, &why) != OK)
        log_write(self->leader->log, LOG_WARN, "rest",
                  "the state of session %s is that of a checkpoint that was refused: %s", self->session_id,
                  why.message);
}

int submission_load_file(struct submission *self, const char *name)
{
    const char *dir = self->leader->config->checkpoint_dir_path;
    int status;

    if (name && !fs_is_component(name))
        return FAIL(&self->error, ERR_INVALID,
                    "file: %.200s is a path: a checkpoint is named by its bare name in the leader's "
                    "checkpoint_dir_path (%s)",
                    name, dir);
    free(self->from);
    self->from = NULL;
    if (name)
        self->from = fs_join(dir, name);
    else if (checkpoint_find(dir, self->session_id, &self->from, &self->error) != OK)
        return as_request_error(self->error.status, &self->error);
    status = self->from ? OK : FAIL(&self->error, ERR_MEMORY, "no memory for a path");
    return status == OK ? load_file(self, self->from) : status;
}

/* The store first; where it has nothing, a checkpoint, and that is told. */
int submission_load(struct submission *self)
{
    struct leader *leader = self->leader;
    const char *where = state_is_durable(leader->state) ? "redis" : "memory";
    struct error why = ERROR_INIT;
    char *path = NULL;
    int status = state_load(leader->state, self->session_id, &why);

    if (status == OK) {
        free(self->from);
        self->from = strdup(where);
        return self->from ? OK : FAIL(&self->error, ERR_MEMORY, "no memory for a text");
    }
    if (status != ERR_NOT_FOUND) {
        self->error = why;
        return as_request_error(status, &self->error);
    }
    if (checkpoint_find(leader->config->checkpoint_dir_path, self->session_id, &path, NULL) != OK)
        return FAIL(&self->error, ERR_INVALID, "there is no session %s in %s, and no checkpoint of it in %s",
                    self->session_id, where, leader->config->checkpoint_dir_path);
    log_write(leader->log, LOG_WARN, "rest", "there is no session %s in %s: taking the checkpoint %s", self->session_id,
              where, path);
    free(self->from);
    self->from = path;
    return load_file(self, path);
}

/* ---- flosim leader --resume ---- */

struct candidate {
    char *id;
    uint64_t term;
    size_t running; /* sessions that were not at their end */
};

static int note_running(void *context, const struct state_session *session)
{
    struct candidate *best = context;

    if (strcmp(session->status, "running") != 0)
        return OK;
    best->running++;
    if (best->id && session->leader_term < best->term)
        return OK;
    free(best->id);
    best->id = strdup(session->id);
    best->term = session->leader_term;
    return best->id ? OK : ERR_MEMORY;
}

/* The checkpoint that the leader with the highest term wrote. */
struct newest {
    char *id, *path;
    struct checkpoint_facts facts;
    const struct log *log;
};

static int note_checkpoint(void *context, const char *session_id, const char *path)
{
    struct newest *newest = context;
    struct checkpoint_facts facts;
    struct state_batch *batch = NULL;
    struct error why = ERROR_INIT;

    if (checkpoint_read(path, session_id, &facts, &batch, &why) != OK) {
        log_write(newest->log, LOG_WARN, "leader", "not considered for --resume: %s", why.message);
        return OK;
    }
    state_batch_free(batch);
    if (newest->id && facts.leader_term < newest->facts.leader_term)
        return OK;
    free(newest->id);
    free(newest->path);
    newest->id = strdup(session_id);
    newest->path = strdup(path);
    newest->facts = facts;
    return newest->id && newest->path ? OK : ERR_MEMORY;
}

static int find_in_folder(struct submission *self)
{
    struct newest newest = {.log = self->leader->log};
    int status = checkpoint_list(self->leader->config->checkpoint_dir_path, note_checkpoint, &newest, &self->error);

    if (status == OK && !newest.id)
        status = FAIL(&self->error, ERR_NOT_FOUND, "nothing to resume");
    if (status == OK) {
        self->session_id = newest.id;
        self->from = newest.path;
        newest.id = newest.path = NULL;
        status = load_file(self, self->from);
    }
    free(newest.id);
    free(newest.path);
    return status;
}

static int find_in_state(struct submission *self)
{
    struct candidate best = {0};
    int status = state_sessions(self->leader->state, note_running, &best, &self->error);

    if (status == OK && best.running > 1)
        log_write(self->leader->log, LOG_WARN, "leader",
                  "%zu sessions were not at their end; the latest is resumed: session=%s", best.running, best.id);
    self->session_id = best.id;
    if (status != OK || !best.id)
        return status;
    return submission_load(self);
}

int submission_find_unfinished(struct submission *self)
{
    struct session_facts facts;
    int status = find_in_state(self);

    if (status == OK && !self->session_id)
        status = find_in_folder(self);
    if (status == OK)
        status = session_facts_read(self->leader->state, self->session_id, &facts, &self->error);
    if (status != OK)
        return status;
    if (strcmp(facts.status, "running") != 0)
        status = FAIL(&self->error, ERR_NOT_FOUND, "the latest session, %s, is %s: nothing to resume", self->session_id,
                      facts.status);
    else
        status = submission_take_config(self, facts.config_json);
    session_facts_fini(&facts);
    return status;
}

int submission_take_config(struct submission *self, const char *config_json)
{
    self->kept_config = strdup(config_json);
    return self->kept_config ? OK : FAIL(&self->error, ERR_MEMORY, "no memory for a session's configuration");
}
