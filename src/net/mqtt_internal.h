/* The inside of an MQTT client, shared by mqtt_client.c (connection) and mqtt_outbox.c (publishing). Not for others.
 *
 * Paho calls back on its threads, with its one lock held: those callbacks only note something under `mutex` and post.
 * The loop's thread never holds `mutex` while it calls Paho. After MQTTAsync_destroy Paho is silent, but events may
 * still be queued in the loop: each holds a reference, and the last one frees the client. */
#ifndef FLOSIM_NET_MQTT_INTERNAL_H
#define FLOSIM_NET_MQTT_INTERNAL_H

#include <MQTTAsync.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "net/mqtt_client.h"

/* A message from publish to acknowledgement; also across connections, so that none is lost when the broker restarts. */
struct mqtt_outgoing {
    struct loop_event event; /* posted once for each time it was sent */
    struct mqtt_client *client;
    struct mqtt_outgoing *next, **link; /* in the outbox, in the order published */
    bool sent;                          /* loop: Paho has it and will tell its fate */
    bool event_posted;                  /* under the client's mutex */
    bool acknowledged;                  /* written before the event is posted */
    bool retained;
    size_t size;
    char *topic; /* behind the payload */
    char payload[];
};

struct mqtt_client {
    struct loop *loop;
    const struct log *log;
    struct mqtt_handlers handlers;
    MQTTAsync paho;
    char *host, *client_id, *username, *password, *will_topic, *will_payload;
    int port, keepalive_s;
    size_t max_payload;
    atomic_int references;        /* the owner and every posted event */
    atomic_size_t incoming_bytes; /* of messages on their way to the loop */
    atomic_bool told_dropping;    /* once until the loop has caught up */

    /* The loop's thread only. */
    bool up;           /* as far as the handlers have been told */
    bool told_lost;    /* of the present outage */
    bool closed;       /* freed by its owner: handlers are not called any more */
    unsigned seen_ups; /* of link.ups */
    unsigned failures; /* attempts in a row that failed: the backoff */
    struct loop_timer retry;
    struct mqtt_outgoing *outbox, **outbox_tail;
    size_t outbox_count, outbox_bytes;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    struct {
        struct loop_event event;
        bool posted, up, disconnected; /* disconnected: as we asked */
        unsigned ups;                  /* how many times it came up */
        char reason[160];              /* why it is down */
    } link;
    size_t unacknowledged; /* messages that Paho has */
};

/* Any thread, before posting an event of the client's; the event's handler drops it again. */
void mqtt_client_hold(struct mqtt_client *client);
void mqtt_client_drop(struct mqtt_client *client);

/* Loop thread. Hand everything to Paho that it does not have yet (after a connect). */
void outbox_flush(struct mqtt_client *client);

/* After MQTTAsync_destroy: free what no event will come back for. */
void outbox_clear(struct mqtt_client *client);

#endif
