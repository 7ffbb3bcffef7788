/* Discovery over MQTT: adverts of this leader (retained, repeated), what clients say about themselves, handed to the
 * roster, and what other leaders say: one that takes this leader's place has a higher term. Loop thread only. */
#ifndef FLOSIM_LEADER_DISCOVERY_H
#define FLOSIM_LEADER_DISCOVERY_H

#include "config/leader_config.h"
#include "leader/roster.h"
#include "net/mqtt_client.h"

struct discovery;

struct discovery_options {
    const struct mqtt_config *config;
    const char *cluster;   /* leaders of other clusters are nobody's rivals */
    const char *leader_id; /* of this process: of two leaders with one term the greater id stays */
    /* Told once: what the broker has of earlier leaders was heard, or the connection failed (then with a reason). */
    void (*first_contact)(void *context, const char *reason);
    /* Another leader has taken this one's place; `term` is its. */
    void (*replaced)(void *context, uint64_t term);
    void *context;
};

/* All borrowed. Begins connecting and returns; says nothing about this leader before discovery_advertise. */
int discovery_new(struct discovery **out, const struct discovery_options *options, struct roster *roster,
                  struct loop *loop, const struct log *log, struct error *err);
bool discovery_is_connected(const struct discovery *discovery);

/* The highest term of this cluster's leaders that the broker told of; 0: none. */
uint64_t discovery_heard_term(const struct discovery *discovery);

/* From now on this leader advertises itself with its term. */
void discovery_advertise(struct discovery *discovery, uint64_t leader_term);

/* Leaves the broker, frees; clears the retained advert where it is still ours (`replaced`: it is not). NULL is legal.
 */
void discovery_free(struct discovery *discovery, bool replaced);

#endif
