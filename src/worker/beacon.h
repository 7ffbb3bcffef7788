/* How leaders find this worker: MQTT adverts, heartbeats and status. On hearing a leader's advert it answers on the
 * topic that the advert names, and goes on with a growing interval until somebody echoes (a broker may drop messages);
 * it beats at the interval that the advert gives. Loop thread only. */
#ifndef FLOSIM_WORKER_BEACON_H
#define FLOSIM_WORKER_BEACON_H

#include "codec/advert.h"
#include "config/worker_config.h"
#include "util/log.h"
#include "util/loop.h"

struct beacon;

struct beacon_options { /* all borrowed for the beacon's life */
    const struct worker_config *config;
    struct loop *loop;
    const struct log *log;
    const char *client_id;
    int port; /* of EdgeService */
    void *context;

    /* Fill what a worker has (datasets, models, benchmarks); the rest is filled here. The beacon frees it. */
    int (*describe)(void *context, struct client_advert *advert, struct error *err);
    void (*heard)(void *context, const struct server_advert *advert);
    void (*observe)(void *context, const char *event); /* "connected", "lost", "advertised" */

    /* The broker could not be reached within mqtt_sub_timeout_s of the start. Later losses are never told: they are
     * retried for ever. */
    void (*unreachable)(void *context, const char *sentence);
};

/* Begins connecting; returns at once. ERR_SETUP where the password file cannot be read. */
int beacon_new(struct beacon **out, const struct beacon_options *options, struct error *err);

void beacon_advertise_soon(struct beacon *beacon); /* something in the advert changed */
void beacon_echoed(struct beacon *beacon);         /* a leader has our advert */

/* Say offline, clear what is retained, say nothing more. */
void beacon_leave(struct beacon *beacon);

/* Waits up to 2 s until the broker has taken what was said. The loop may have ended. */
void beacon_free(struct beacon *beacon);

/* host:port for adverts: `advertise` (with or without a port), else the address bound to unless it is a wildcard, else
 * `local`. IPv6 addresses get their brackets. ERR_INVALID where it does not fit. */
int endpoint_text(const char *advertise, const char *bind, const char *local, int port, char text[ENDPOINT_MAX],
                  struct error *err);

#endif
