/* The roster in the state, so that it outlives the leader: client_info_<cluster> has one key for each client, its id;
 * the value is its latest advert with what the leader learned since (models, benchmark figures), as the JSON of MQTT.
 * Saved in batches, off the hot path, when something other than the time stamp changed. Loop thread only. */
#ifndef FLOSIM_LEADER_ROSTER_STORE_H
#define FLOSIM_LEADER_ROSTER_STORE_H

#include "leader/roster.h"
#include "state/state.h"

struct roster_store {
    struct roster *roster;
    struct state *state;
    const char *cluster;
    struct loop *loop;
    const struct log *log;
    struct loop_timer timer;
};

/* Remembers the clients that the state has, and saves from then on. Everything is borrowed. */
int roster_store_init(struct roster_store *self, struct roster *roster, struct state *state, const char *cluster,
                      struct loop *loop, const struct log *log, struct error *err);
void roster_store_save(struct roster_store *self); /* all of what is not saved yet */
void roster_store_fini(struct roster_store *self); /* without init: nothing */

#endif
