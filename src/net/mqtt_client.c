#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/mqtt_internal.h"
#include "util/rng.h"
#include "util/sync.h"

enum {
    CONNECT_TIMEOUT_S = 10,
    DEFAULT_KEEPALIVE_S = 20,
    MAX_INFLIGHT = 1000,
    DEFAULT_MAX_PAYLOAD = 1 << 20,
    MAX_INCOMING = 64 << 20,
};

static const uint64_t first_backoff_ns = 100000000u, max_backoff_ns = 10000000000u;

/* ---- references ---- */

void mqtt_client_hold(struct mqtt_client *client)
{
    atomic_fetch_add_explicit(&client->references, 1, memory_order_relaxed);
}

void mqtt_client_drop(struct mqtt_client *client)
{
    if (atomic_fetch_sub_explicit(&client->references, 1, memory_order_acq_rel) != 1)
        return;
    sync_fini(&client->mutex, &client->changed);
    free(client->host);
    free(client->client_id);
    free(client->username);
    free(client->password);
    free(client->will_topic);
    free(client->will_payload);
    free(client);
}

/* ---- from Paho's threads ---- */

/* Note a change of the connection under the mutex; the loop's thread takes it from there. */
static void tell_link(struct mqtt_client *client, bool up, const char *reason)
{
    pthread_mutex_lock(&client->mutex);
    client->link.up = up;
    client->link.ups += up;
    snprintf(client->link.reason, sizeof client->link.reason, "%s", reason);
    bool post = !client->link.posted;
    client->link.posted = true;
    if (post)
        mqtt_client_hold(client);
    pthread_cond_signal(&client->changed);
    pthread_mutex_unlock(&client->mutex);
    if (post)
        loop_post(client->loop, &client->link.event);
}

static void on_connected(void *context, MQTTAsync_successData *response)
{
    (void)response;
    tell_link(context, true, "");
}

static const char *refusal_text(int code)
{
    static const char *const texts[] = {
        [1] = "the broker does not speak MQTT 3.1.1",   [2] = "the broker rejects the client id",
        [3] = "the broker says that it is unavailable", [4] = "the broker rejects user name or password",
        [5] = "the broker says: not authorised",
    };

    return code >= 1 && code <= 5 ? texts[code] : NULL;
}

static void on_connect_failure(void *context, MQTTAsync_failureData *response)
{
    const char *text = response ? refusal_text(response->code) : NULL;

    if (!text)
        text = response && response->message ? response->message : "nobody answers";
    tell_link(context, false, text);
}

static void on_lost(void *context, char *cause)
{
    tell_link(context, false, cause ? cause : "the connection broke");
}

struct incoming {
    struct loop_event event;
    struct mqtt_client *client;
    bool retained;
    size_t size, counted;
    char *topic; /* behind the payload */
    char payload[];
};

static void handle_incoming(struct loop_event *event)
{
    struct incoming *message = CONTAINER_OF(event, struct incoming, event);
    struct mqtt_client *client = message->client;

    if (!client->closed && client->handlers.message)
        client->handlers.message(client->handlers.context, message->topic, span_of(message->payload, message->size),
                                 message->retained);
    if (atomic_fetch_sub(&client->incoming_bytes, message->counted) < MAX_INCOMING / 2)
        atomic_store(&client->told_dropping, false);
    free(message);
    mqtt_client_drop(client);
}

/* Anybody may publish to a topic of ours: what is too large, or more than the loop can take, does not get in. */
static bool takes(struct mqtt_client *client, size_t size, size_t counted)
{
    const char *why = size > client->max_payload ? "a message is too large" : "messages come too fast";

    if (size <= client->max_payload && atomic_fetch_add(&client->incoming_bytes, counted) + counted <= MAX_INCOMING)
        return true;
    if (size <= client->max_payload)
        atomic_fetch_sub(&client->incoming_bytes, counted);
    if (!atomic_exchange(&client->told_dropping, true))
        log_write(client->log, LOG_WARN, "mqtt", "dropped: %s (%zu bytes)", why, size);
    return false;
}

static void forget_message(MQTTAsync_message *message, char *topic)
{
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
}

/* Returns 0 (Paho offers the message again) when out of memory. */
static int on_message(void *context, char *topic, int topic_length, MQTTAsync_message *paho_message)
{
    struct mqtt_client *client = context;
    /* A length is only given for a topic with a NUL inside, which no topic of ours has: cut there. */
    size_t topic_size = strlen(topic) + 1, size = (size_t)paho_message->payloadlen;
    size_t counted = sizeof(struct incoming) + size + topic_size;
    struct incoming *message;

    (void)topic_length;
    if (!takes(client, size, counted)) {
        forget_message(paho_message, topic);
        return 1;
    }
    message = malloc(counted);
    if (!message) {
        atomic_fetch_sub(&client->incoming_bytes, counted);
        return 0;
    }
    *message = (struct incoming){.event = {.handle = handle_incoming},
                                 .client = client,
                                 .retained = paho_message->retained,
                                 .size = size,
                                 .counted = counted};
    if (size)
        memcpy(message->payload, paho_message->payload, size);
    message->topic = message->payload + size;
    memcpy(message->topic, topic, topic_size);
    mqtt_client_hold(client);
    loop_post(client->loop, &message->event);
    forget_message(paho_message, topic);
    return 1;
}

/* ---- connecting, on the loop's thread ---- */

static void handle_down(struct mqtt_client *client, const char *reason);

static int start_connecting(struct mqtt_client *client)
{
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
    MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
    sigset_t before;

    options.keepAliveInterval = client->keepalive_s;
    options.cleansession = 1; /* the broker keeps nothing for us; what is not acknowledged stands in our outbox */
    options.maxInflight = MAX_INFLIGHT;
    options.connectTimeout = CONNECT_TIMEOUT_S;
    options.username = client->username;
    options.password = client->password;
    options.onSuccess = on_connected;
    options.onFailure = on_connect_failure;
    options.context = client;
    options.MQTTVersion = MQTTVERSION_3_1_1;
    will.topicName = client->will_topic;
    will.message = client->will_payload;
    will.retained = 1;
    will.qos = 1;
    options.will = client->will_topic ? &will : NULL;
    /* Paho's threads begin here. */
    sync_block_signals(&before);
    int code = MQTTAsync_connect(client->paho, &options);
    sync_restore_signals(&before);
    return code;
}

static void retry(struct loop_timer *timer)
{
    struct mqtt_client *client = CONTAINER_OF(timer, struct mqtt_client, retry);
    int code = start_connecting(client);

    if (code == MQTTASYNC_SUCCESS)
        return;
    mqtt_client_hold(client); /* the handler may free it */
    handle_down(client, MQTTAsync_strerror(code));
    mqtt_client_drop(client);
}

/* Doubling, with a jitter of the client's own, so that a thousand clients do not all come back at the same moment. */
static uint64_t backoff_ns(const struct mqtt_client *client)
{
    uint64_t delay_ns = first_backoff_ns;
    struct rng rng;

    for (unsigned i = 0; i < client->failures && delay_ns < max_backoff_ns; i++)
        delay_ns *= 2;
    if (delay_ns > max_backoff_ns)
        delay_ns = max_backoff_ns;
    rng_init(&rng, 0, "mqtt-backoff", client->client_id, client->failures);
    return (uint64_t)((double)delay_ns * (0.75 + 0.5 * rng_uniform(&rng)));
}

static void handle_down(struct mqtt_client *client, const char *reason)
{
    struct error err = ERROR_INIT;

    client->up = false;
    if (!client->told_lost) {
        client->told_lost = true;
        if (client->handlers.lost)
            client->handlers.lost(client->handlers.context, reason);
    }
    if (client->closed) /* by that handler */
        return;
    if (loop_timer_set(client->loop, &client->retry, backoff_ns(client), &err))
        log_write(client->log, LOG_ERROR, "mqtt", "cannot reconnect: %s", err.message);
    client->failures++;
}

static void handle_up(struct mqtt_client *client)
{
    client->up = true;
    client->told_lost = false;
    client->failures = 0;
    loop_timer_cancel(client->loop, &client->retry);
    if (client->handlers.connected)
        client->handlers.connected(client->handlers.context);
    if (!client->closed)
        outbox_flush(client);
}

static void handle_link(struct loop_event *event)
{
    struct mqtt_client *client = CONTAINER_OF(event, struct mqtt_client, link.event);
    char reason[sizeof client->link.reason];

    pthread_mutex_lock(&client->mutex);
    bool up = client->link.up;
    unsigned ups = client->link.ups;
    memcpy(reason, client->link.reason, sizeof reason);
    client->link.posted = false;
    pthread_mutex_unlock(&client->mutex);
    /* Between two looks it may have gone down and come up again. */
    if (!client->closed && client->up && ups != client->seen_ups)
        handle_down(client, reason);
    client->seen_ups = ups;
    if (!client->closed && !up)
        handle_down(client, reason);
    else if (!client->closed && !client->up)
        handle_up(client);
    mqtt_client_drop(client);
}

/* ---- the public functions ---- */

static bool copy_text(const char *from, char **to)
{
    *to = from ? strdup(from) : NULL;
    return !from || *to;
}

static bool copy_options(struct mqtt_client *client, const struct mqtt_options *options)
{
    client->port = options->port;
    client->max_payload = options->max_payload ? options->max_payload : DEFAULT_MAX_PAYLOAD;
    client->keepalive_s = options->keepalive_s > 0 ? options->keepalive_s : DEFAULT_KEEPALIVE_S;
    return copy_text(options->host, &client->host) && copy_text(options->client_id, &client->client_id) &&
           copy_text(options->username, &client->username) && copy_text(options->password, &client->password) &&
           copy_text(options->will_topic, &client->will_topic) &&
           copy_text(options->will_topic ? options->will_payload : NULL, &client->will_payload);
}

static int create_paho(struct mqtt_client *client, struct error *err)
{
    MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer;
    char uri[300];
    const char *format = strchr(client->host, ':') ? "tcp://[%s]:%d" : "tcp://%s:%d"; /* IPv6 in brackets */

    snprintf(uri, sizeof uri, format, client->host, client->port);
    create.maxBufferedMessages = 65535; /* the outbox has the bound */
    create.MQTTVersion = MQTTVERSION_3_1_1;
    int code =
        MQTTAsync_createWithOptions(&client->paho, uri, client->client_id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &create);
    if (code == MQTTASYNC_SUCCESS)
        code = MQTTAsync_setCallbacks(client->paho, client, on_lost, on_message, NULL);
    if (code == MQTTASYNC_SUCCESS)
        code = start_connecting(client);
    if (code != MQTTASYNC_SUCCESS)
        return FAIL(err, ERR_SETUP, "cannot create an MQTT client for %s (Paho's code %d)", uri, code);
    return OK;
}

int mqtt_client_new(struct mqtt_client **out, const struct mqtt_options *options, const struct mqtt_handlers *handlers,
                    struct loop *loop, const struct log *log, struct error *err)
{
    struct mqtt_client *client = calloc(1, sizeof *client);

    *out = NULL;
    if (!client || sync_init(&client->mutex, &client->changed)) {
        free(client);
        return FAIL(err, ERR_MEMORY, "out of memory for an MQTT client");
    }
    client->loop = loop;
    client->log = log;
    client->handlers = *handlers;
    client->outbox_tail = &client->outbox;
    client->link.event.handle = handle_link;
    atomic_init(&client->references, 1);
    loop_timer_init(&client->retry, retry);
    int status = copy_options(client, options) ? create_paho(client, err)
                                               : FAIL(err, ERR_MEMORY, "out of memory for an MQTT client");
    if (status) {
        mqtt_client_free(client, 0);
        return status;
    }
    *out = client;
    return OK;
}

bool mqtt_client_is_connected(const struct mqtt_client *client)
{
    return client->up;
}

struct subscription {
    const struct log *log;
    char topic[];
};

/* Paho's thread, exactly one of the two. */
static void on_subscribed(void *context, MQTTAsync_successData *response)
{
    (void)response;
    free(context);
}

static void on_subscribe_failure(void *context, MQTTAsync_failureData *response)
{
    struct subscription *subscription = context;

    /* A connection that broke is told elsewhere, and its successor subscribes again. */
    if (response && response->code == MQTT_BAD_SUBSCRIBE)
        log_write(subscription->log, LOG_WARN, "mqtt",
                  "the broker refuses the subscription to '%s': check its access rules", subscription->topic);
    free(subscription);
}

int mqtt_client_subscribe(struct mqtt_client *client, const char *topic, struct error *err)
{
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    struct subscription *subscription = malloc(sizeof *subscription + strlen(topic) + 1);

    if (!subscription)
        return FAIL(err, ERR_MEMORY, "out of memory for a subscription to '%s'", topic);
    subscription->log = client->log;
    memcpy(subscription->topic, topic, strlen(topic) + 1);
    response.onSuccess = on_subscribed;
    response.onFailure = on_subscribe_failure;
    response.context = subscription;
    int code = MQTTAsync_subscribe(client->paho, topic, 1, &response);
    if (code == MQTTASYNC_SUCCESS)
        return OK;
    free(subscription);
    return FAIL(err, ERR_UNAVAILABLE, "cannot subscribe to '%s': not connected to the broker at %s:%d", topic,
                client->host, client->port);
}

/* ---- leaving ---- */

static void wait_for_acknowledgements(struct mqtt_client *client, const struct timespec *deadline)
{
    pthread_mutex_lock(&client->mutex);
    while (client->link.up && client->unacknowledged &&
           !pthread_cond_timedwait(&client->changed, &client->mutex, deadline))
        ;
    pthread_mutex_unlock(&client->mutex);
}

static void tell_disconnected(struct mqtt_client *client)
{
    pthread_mutex_lock(&client->mutex);
    client->link.disconnected = true;
    pthread_cond_signal(&client->changed);
    pthread_mutex_unlock(&client->mutex);
}

static void on_disconnected(void *context, MQTTAsync_successData *response)
{
    (void)response;
    tell_disconnected(context);
}

static void on_disconnect_failure(void *context, MQTTAsync_failureData *response)
{
    (void)response;
    tell_disconnected(context);
}

/* A proper goodbye, so that the broker does not publish the last will. */
static void disconnect(struct mqtt_client *client, int timeout_ms, const struct timespec *deadline)
{
    MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;

    options.timeout = timeout_ms;
    options.onSuccess = on_disconnected;
    options.onFailure = on_disconnect_failure;
    options.context = client;
    if (MQTTAsync_disconnect(client->paho, &options) != MQTTASYNC_SUCCESS)
        return; /* not connected */
    pthread_mutex_lock(&client->mutex);
    while (!client->link.disconnected && !pthread_cond_timedwait(&client->changed, &client->mutex, deadline))
        ;
    pthread_mutex_unlock(&client->mutex);
}

void mqtt_client_free(struct mqtt_client *client, int timeout_ms)
{
    if (!client)
        return;
    struct timespec deadline = sync_deadline_in_ms(timeout_ms);
    client->closed = true;
    loop_timer_cancel(client->loop, &client->retry);
    if (client->paho) {
        wait_for_acknowledgements(client, &deadline);
        disconnect(client, timeout_ms, &deadline);
        MQTTAsync_destroy(&client->paho);
    }
    outbox_clear(client);
    mqtt_client_drop(client);
}
