/* What the state keeps of a session, key by key (docs/STATE.md has the table), and what can be told of it without
 * making the session. Any thread. */
#ifndef FLOSIM_LEADER_SESSION_RECORD_H
#define FLOSIM_LEADER_SESSION_RECORD_H

#include <jansson.h>
#include <stdint.h>

#include "state/state.h"

/* Keys of training_session_<id>. A session whose status is "running" with a reason has done its last round: only the
 * rest of its end is to come. */
#define RECORD_CONFIG   "config"       /* as posted, JSON */
#define RECORD_SETTINGS "settings"     /* as understood, defaults filled in; JSON */
#define RECORD_MODEL    "model"        /* {"id", "hash", "num_weights"} */
#define RECORD_STATUS   "status"       /* {"status", "reason"} */
#define RECORD_ROUND    "round"        /* {"round", "leader_term"} */
#define RECORD_GLOBAL   "global_model" /* safetensors */
#define RECORD_LEDGER   "ledger"       /* {"sent", "merged", …, "lost_rounds", "elapsed_s"} */
#define RECORD_CLIENTS  "clients"      /* ids of those that could take part at the end of the latest round */
#define RECORD_ROUNDS   "rounds."      /* + the round's number from 1: its metrics */

struct session_facts {
    char status[16], reason[256];
    int64_t round; /* finished */
    uint64_t leader_term;
    char *config_json; /* as posted; owned */
};

/* ERR_NOT_FOUND where the state has no such session; ERR_CORRUPT. On failure there is nothing to release. */
int session_facts_read(struct state *state, const char *id, struct session_facts *out, struct error *err);
void session_facts_fini(struct session_facts *facts);

/* A JSON value of training_session_<id>; new reference. ERR_NOT_FOUND, ERR_CORRUPT; the sentence names store and key.
 */
int session_record_get(struct state *state, const char *id, const char *key, json_t **out, struct error *err);

#endif
