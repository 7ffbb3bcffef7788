/* Discovery over MQTT: adverts of this leader (retained, repeated), and what clients say about themselves, handed to
 * the roster. Loop thread only. */
#ifndef FLOSIM_LEADER_DISCOVERY_H
#define FLOSIM_LEADER_DISCOVERY_H

#include "config/leader_config.h"
#include "leader/roster.h"
#include "net/mqtt_client.h"

struct discovery;

struct discovery_options {
    const struct mqtt_config *config;
    uint64_t leader_term;
    /* Told once, when the first connection stands or has failed (then with a reason). */
    void (*first_contact)(void *context, const char *reason);
    void *context;
};

/* All borrowed. Begins connecting and returns. */
int discovery_new(struct discovery **out, const struct discovery_options *options, struct roster *roster,
                  struct loop *loop, const struct log *log, struct error *err);
bool discovery_is_connected(const struct discovery *discovery);

/* Clears the retained advert, leaves the broker, frees. NULL is legal. */
void discovery_free(struct discovery *discovery);

#endif
