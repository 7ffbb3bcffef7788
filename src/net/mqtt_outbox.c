#include <stdlib.h>
#include <string.h>

#include "net/mqtt_internal.h"

enum {
    MAX_MESSAGES = 4096,
    MAX_BYTES = 16 << 20, /* of payloads that wait while the broker is away */
};

static void append(struct mqtt_client *client, struct mqtt_outgoing *message)
{
    message->link = client->outbox_tail;
    *client->outbox_tail = message;
    client->outbox_tail = &message->next;
    client->outbox_count++;
    client->outbox_bytes += message->size;
}

static void take_out(struct mqtt_client *client, struct mqtt_outgoing *message)
{
    *message->link = message->next;
    if (message->next)
        message->next->link = message->link;
    else
        client->outbox_tail = message->link;
    client->outbox_count--;
    client->outbox_bytes -= message->size;
}

/* Loop thread: Paho has told the fate of a message. */
static void handle_fate(struct loop_event *event)
{
    struct mqtt_outgoing *message = CONTAINER_OF(event, struct mqtt_outgoing, event);
    struct mqtt_client *client = message->client;

    pthread_mutex_lock(&client->mutex);
    message->event_posted = false;
    pthread_mutex_unlock(&client->mutex);
    if (message->acknowledged || client->closed) {
        take_out(client, message);
        free(message);
    } else {
        message->sent = false; /* the connection broke: the next one takes it */
        if (client->up)
            outbox_flush(client);
    }
    mqtt_client_drop(client);
}

/* Paho's thread. */
static void tell_fate(struct mqtt_outgoing *message, bool acknowledged)
{
    struct mqtt_client *client = message->client;

    mqtt_client_hold(client);
    pthread_mutex_lock(&client->mutex);
    message->event_posted = true;
    message->acknowledged = acknowledged;
    client->unacknowledged--;
    pthread_cond_signal(&client->changed);
    pthread_mutex_unlock(&client->mutex);
    loop_post(client->loop, &message->event);
}

static void on_sent(void *context, MQTTAsync_successData *response)
{
    (void)response;
    tell_fate(context, true);
}

static void on_send_failure(void *context, MQTTAsync_failureData *response)
{
    (void)response;
    tell_fate(context, false);
}

static void count_unacknowledged(struct mqtt_client *client, int change)
{
    pthread_mutex_lock(&client->mutex);
    client->unacknowledged = change > 0 ? client->unacknowledged + 1 : client->unacknowledged - 1;
    pthread_mutex_unlock(&client->mutex);
}

/* False: Paho does not take it now (it lost the connection, which we shall be told). */
static bool send_message(struct mqtt_client *client, struct mqtt_outgoing *message)
{
    MQTTAsync_message paho_message = MQTTAsync_message_initializer;
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;

    paho_message.payload = message->payload;
    paho_message.payloadlen = (int)message->size;
    paho_message.qos = 1;
    paho_message.retained = message->retained;
    response.onSuccess = on_sent;
    response.onFailure = on_send_failure;
    response.context = message;
    message->sent = true;
    message->acknowledged = false;
    count_unacknowledged(client, 1);
    if (MQTTAsync_sendMessage(client->paho, message->topic, &paho_message, &response) == MQTTASYNC_SUCCESS)
        return true;
    count_unacknowledged(client, -1);
    message->sent = false;
    return false;
}

void outbox_flush(struct mqtt_client *client)
{
    for (struct mqtt_outgoing *message = client->outbox; message; message = message->next)
        if (!message->sent && !send_message(client, message))
            return;
}

static struct mqtt_outgoing *new_message(struct mqtt_client *client, const char *topic, struct span payload,
                                         bool retained)
{
    size_t topic_size = strlen(topic) + 1;
    struct mqtt_outgoing *message = malloc(sizeof *message + payload.size + topic_size);

    if (!message)
        return NULL;
    *message = (struct mqtt_outgoing){
        .event = {.handle = handle_fate}, .client = client, .retained = retained, .size = payload.size};
    if (payload.size)
        memcpy(message->payload, payload.data, payload.size);
    message->topic = message->payload + payload.size;
    memcpy(message->topic, topic, topic_size);
    return message;
}

int mqtt_client_publish(struct mqtt_client *client, const char *topic, struct span payload, bool retained,
                        struct error *err)
{
    if (client->outbox_count >= MAX_MESSAGES || payload.size > MAX_BYTES - client->outbox_bytes)
        return FAIL(err, ERR_UNAVAILABLE, "%zu MQTT messages wait for the broker at %s:%d already; '%s' is dropped",
                    client->outbox_count, client->host, client->port, topic);
    struct mqtt_outgoing *message = new_message(client, topic, payload, retained);
    if (!message)
        return FAIL(err, ERR_MEMORY, "out of memory for an MQTT message to '%s'", topic);
    append(client, message);
    if (client->up)
        outbox_flush(client);
    return OK;
}

void outbox_clear(struct mqtt_client *client)
{
    struct mqtt_outgoing *message = client->outbox;

    while (message) {
        struct mqtt_outgoing *next = message->next;
        pthread_mutex_lock(&client->mutex);
        bool comes_back = message->event_posted;
        pthread_mutex_unlock(&client->mutex);
        if (!comes_back) {
            take_out(client, message);
            free(message);
        }
        message = next;
    }
}
