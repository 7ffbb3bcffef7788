/* Sessions that are stored somewhere, running or not: what can be told of them without making them, and dropping them.
 * Blocks: not on a loop. */
#ifndef FLOSIM_LEADER_STORED_SESSIONS_H
#define FLOSIM_LEADER_STORED_SESSIONS_H

#include <jansson.h>

#include "state/state.h"

/* *out is a new array, the latest written first, of
 *   {"session_id", "label", "status", "reason", "round" (finished ones), "num_rounds", "accuracy" (the last measured;
 * or null), "leader_term", "bytes", "time" (of the last write, seconds since 1970; or null), "in": ["memory", "redis",
 *    "checkpoint"]}
 * of those in the state (NULL: none) and in the folder (NULL: none); of a session that is in both the state's figures
 * are told. What cannot be read goes as sentences into the array `problems`: a store that does not answer, a damaged
 * file. Only a want of memory is an error. */
int stored_sessions_list(struct state *state, const char *checkpoint_dir, json_t *problems, json_t **out,
                         struct error *err);

/* The one of that id; borrowed of the list; NULL: there is none. */
const json_t *stored_sessions_find(const json_t *list, const char *id);

/* It is at work, or was left unfinished by a leader that died. */
bool stored_session_is_unfinished(const json_t *session);

/* Drops the session from the state (NULL: none; the ticket says when, state.h) and its files from the folder (NULL:
 * none). */
int stored_sessions_drop(struct state *state, const char *checkpoint_dir, const char *id, struct state_ticket *ticket,
                         size_t *files, struct error *err);

#endif
