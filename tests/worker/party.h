/* The other side of a worker: what a leader does on the wire, on a loop of its own, with calls that wait for answers.
 * Waiting has a generous deadline and fails the test when it passes. */
#ifndef FLOSIM_TESTS_WORKER_PARTY_H
#define FLOSIM_TESTS_WORKER_PARTY_H

#include <pthread.h>
#include <stdbool.h>

#include "net/edge_client.h"
#include "net/mqtt_client.h"

struct heard; /* an MQTT message */

struct party {
    struct loop *loop;
    pthread_t thread;
    struct edge_client *client;
    struct edge_channel *channel;
    struct mqtt_client *mqtt;
    pthread_mutex_t mutex; /* guards what follows, and every exchange */
    pthread_cond_t changed;
    struct heard *heard; /* newest first */
    bool connected, stopping;
};

/* broker_port 0: no MQTT. Subscribes to everything. */
void party_start(struct party *party, int broker_port);
void party_stop(struct party *party);

void party_publish(struct party *party, const char *topic, const char *payload, bool retained);

/* Waits until a message with such words was heard on the topic; returns its payload (new). Earlier ones count. */
char *party_hear(struct party *party, const char *topic, const char *words);
size_t party_count(struct party *party, const char *topic); /* heard so far */

/* The channel for all further calls; the former one is closed (its calls fail). */
void party_reach(struct party *party, int port);

/* One call in progress. */
struct exchange {
    struct party *party;
    struct edge_request *request;
    bool is_over;
    struct error error;
    struct blob *body;
};

/* head and weights are taken. */
void exchange_begin(struct exchange *exchange, struct party *party, enum edge_method method, struct blob *head,
                    struct blob *weights);
void exchange_cancel(struct exchange *exchange);
bool exchange_is_over(struct exchange *exchange);

/* Waits; returns the status of the answer, whose body is in exchange->body until exchange_end. */
int exchange_wait(struct exchange *exchange);
void exchange_end(struct exchange *exchange);

/* Uploads a file and returns the answer's status. */
int party_upload(struct party *party, const char *model_id, const char *file_name, const char *text);

#endif
