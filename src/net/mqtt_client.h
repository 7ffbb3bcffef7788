/* One MQTT connection (Eclipse Paho's asynchronous client), QoS 1. Paho's threads only post to the loop: every handler
 * runs on the loop's thread. Reconnects by itself with backoff and then subscribes again.
 * Never create one in a process that will fork. */
#ifndef FLOSIM_NET_MQTT_CLIENT_H
#define FLOSIM_NET_MQTT_CLIENT_H

#include <stdbool.h>

#include "util/log.h"
#include "util/loop.h"
#include "util/span.h"

struct mqtt_client;

struct mqtt_options {
    const char *host;
    int port;
    const char *client_id;
    const char *username, *password;       /* NULL: none */
    int keepalive_s;                       /* 0: 20 s */
    const char *will_topic, *will_payload; /* retained last will at QoS 1; NULL: none */
    size_t max_payload;                    /* larger messages are dropped when they come in; 0: 1 MiB */
};

struct mqtt_handlers {
    void *context;
    void (*connected)(void *context); /* first time and after each reconnect; subscribe here */
    /* Once for each outage, the first attempt included; it reconnects by itself. */
    void (*lost)(void *context, const char *reason);
    /* At most 64 MiB of messages wait for their handler; what comes beyond is dropped and logged. */
    void (*message)(void *context, const char *topic, struct span payload, bool retained);
};

/* Everything in options and handlers is copied; loop, the handlers' context and log are borrowed. Begins connecting;
 * returns at once. A broker that cannot be reached is told through `lost` and retried. */
int mqtt_client_new(struct mqtt_client **out, const struct mqtt_options *options, const struct mqtt_handlers *handlers,
                    struct loop *loop, const struct log *log, struct error *err);

/* Loop thread. ERR_UNAVAILABLE while not connected: subscribe in `connected`. A subscription that the broker refuses is
 * logged. */
int mqtt_client_subscribe(struct mqtt_client *client, const char *topic, struct error *err);

/* Loop thread. Copies. Messages without acknowledgement are sent again over the next connection, in order (so the
 * broker may get one twice); at most 4,096 of 16 MiB wait while it is away, more are ERR_UNAVAILABLE. */
int mqtt_client_publish(struct mqtt_client *client, const char *topic, struct span payload, bool retained,
                        struct error *err);
bool mqtt_client_is_connected(const struct mqtt_client *client);

/* The local address of the connection as text ("192.168.1.7"), as peers would reach us; ERR_UNAVAILABLE if it cannot be
 * found. Connects a UDP socket to the broker's address; sends nothing. */
int mqtt_local_address(const char *host, int port, char text[64], struct error *err);

/* Wait until everything published is acknowledged or timeout_ms has passed, disconnect (so that the broker does not
 * send the last will), free. No handler runs after it. Blocks: ending Paho's threads takes up to a second. Loop thread
 * (or any, once the loop has ended); the loop must not be freed before. NULL is legal. */
void mqtt_client_free(struct mqtt_client *client, int timeout_ms);

#endif
