/* Where `flosim sessions` finds sessions: a leader's store and checkpoints, a running leader, or a checkpoint folder.
 */
#ifndef FLOSIM_CLI_SESSIONS_H
#define FLOSIM_CLI_SESSIONS_H

#include <stdbool.h>

#include <jansson.h>

#include "cli/submit_leader.h"
#include "config/leader_config.h"
#include "state/state.h"

struct session_source {
    bool remote; /* a running leader, at `address` */
    struct leader_address address;
    char *token; /* owned */
    struct leader_config config;
    bool configured;     /* config is to be freed */
    struct state *state; /* NULL: memory alone, which nobody but the leader sees */
    const char *dir;     /* of checkpoints; borrowed; NULL: a leader knows */
};

/* One of these; errors of a configuration file go to standard error, *err is empty then. */
int session_source_of_config(struct session_source *out, const char *path, const char *const *overrides,
                             struct error *err);
int session_source_of_leader(struct session_source *out, const char *address, const char *token_path,
                             struct error *err);
void session_source_fini(struct session_source *source);

/* New arrays: sessions as leader/stored_sessions.h tells them, and sentences about what could not be read. */
int session_source_list(struct session_source *source, json_t **sessions, json_t **problems, struct error *err);

/* Drops it; *out is new: {"session_id", "in": [...], "files": n, "durable": true or false}. Without `force` a session
 * that is unfinished is ERR_INVALID, one that is nowhere ERR_NOT_FOUND. One that runs at the leader is stopped first.
 */
int session_source_drop(struct session_source *source, const char *id, bool force, json_t **out, struct error *err);

#endif
