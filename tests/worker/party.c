#include "tests/worker/party.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/worker/require.h"

enum { DEADLINE_S = 60 };

struct heard {
    struct heard *next;
    char *topic, *payload;
};

static struct timespec deadline_in(double seconds)
{
    uint64_t ns = clock_now_ns(&clock_system) + (uint64_t)(seconds * 1e9);

    return (struct timespec){(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
}

/* The mutex is held; false when the deadline has passed. */
static bool wait_for_change(struct party *party, const struct timespec *deadline)
{
    return pthread_cond_timedwait(&party->changed, &party->mutex, deadline) == 0;
}

static void tell_change(struct party *party)
{
    pthread_cond_broadcast(&party->changed);
    pthread_mutex_unlock(&party->mutex);
}

/* ---- doing things on the loop's thread, and waiting until they are done ---- */

struct errand {
    struct loop_event event;
    struct party *party;
    void (*run)(struct party *party, void *argument);
    void *argument;
    bool done;
};

static void run_errand(struct loop_event *event)
{
    struct errand *errand = CONTAINER_OF(event, struct errand, event);
    struct party *party = errand->party;

    errand->run(party, errand->argument);
    pthread_mutex_lock(&party->mutex);
    errand->done = true;
    tell_change(party);
}

static void on_loop(struct party *party, void (*run)(struct party *party, void *argument), void *argument)
{
    struct errand errand = {{.handle = run_errand}, party, run, argument, false};

    loop_post(party->loop, &errand.event);
    pthread_mutex_lock(&party->mutex);
    while (!errand.done)
        pthread_cond_wait(&party->changed, &party->mutex);
    pthread_mutex_unlock(&party->mutex);
}

/* ---- MQTT ---- */

static void on_connected(void *context)
{
    struct party *party = context;

    mqtt_client_subscribe(party->mqtt, "#", NULL);
    pthread_mutex_lock(&party->mutex);
    party->connected = true;
    tell_change(party);
}

static void on_message(void *context, const char *topic, struct span payload, bool retained)
{
    struct party *party = context;
    struct heard *heard = malloc(sizeof *heard);

    (void)retained;
    heard->topic = strdup(topic);
    heard->payload = payload.size ? strndup(payload.data, payload.size) : strdup("");
    pthread_mutex_lock(&party->mutex);
    heard->next = party->heard;
    party->heard = heard;
    tell_change(party);
}

struct publication {
    const char *topic, *payload;
    bool retained;
};

static void run_publish(struct party *party, void *argument)
{
    const struct publication *p = argument;

    mqtt_client_publish(party->mqtt, p->topic, span_of(p->payload, strlen(p->payload)), p->retained, NULL);
}

void party_publish(struct party *party, const char *topic, const char *payload, bool retained)
{
    struct publication publication = {topic, payload, retained};

    on_loop(party, run_publish, &publication);
}

static const struct heard *find_heard(const struct party *party, const char *topic, const char *words)
{
    for (const struct heard *heard = party->heard; heard; heard = heard->next)
        if (strcmp(heard->topic, topic) == 0 && (*words ? strstr(heard->payload, words) != NULL : !*heard->payload))
            return heard;
    return NULL;
}

char *party_hear(struct party *party, const char *topic, const char *words)
{
    struct timespec deadline = deadline_in(DEADLINE_S);
    const struct heard *heard;
    bool in_time = true;

    pthread_mutex_lock(&party->mutex);
    while (!(heard = find_heard(party, topic, words)) && in_time)
        in_time = wait_for_change(party, &deadline);
    char *payload = heard ? strdup(heard->payload) : NULL;
    pthread_mutex_unlock(&party->mutex);
    REQUIRE(payload, "nothing with '%s' was heard on %s", words, topic);
    return payload;
}

size_t party_count(struct party *party, const char *topic)
{
    size_t n = 0;

    pthread_mutex_lock(&party->mutex);
    for (const struct heard *heard = party->heard; heard; heard = heard->next)
        n += strcmp(heard->topic, topic) == 0;
    pthread_mutex_unlock(&party->mutex);
    return n;
}

/* ---- life ---- */

static void *run_loop(void *loop)
{
    loop_run(loop);
    return NULL;
}

static void run_start(struct party *party, void *argument)
{
    const int broker_port = *(const int *)argument;
    char id[40];
    const struct mqtt_options options = {.host = "127.0.0.1", .port = broker_port, .client_id = id};
    const struct mqtt_handlers handlers = {.context = party, .connected = on_connected, .message = on_message};
    const struct edge_client_options edge_options = {0};

    snprintf(id, sizeof id, "party-%p", (void *)party); /* two of one name would throw each other out */
    REQUIRE(edge_client_new(&party->client, &edge_options, party->loop, NULL, NULL) == OK, "failed");
    if (broker_port)
        REQUIRE(mqtt_client_new(&party->mqtt, &options, &handlers, party->loop, NULL, NULL) == OK, "failed");
}

void party_start(struct party *party, int broker_port)
{
    struct timespec deadline = deadline_in(DEADLINE_S);
    pthread_condattr_t attributes;
    bool in_time = true;

    memset(party, 0, sizeof *party);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&party->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&party->mutex, NULL);
    REQUIRE(loop_new(&party->loop, &clock_system, NULL) == OK, "failed");
    REQUIRE(pthread_create(&party->thread, NULL, run_loop, party->loop) == 0, "failed");
    on_loop(party, run_start, &broker_port);
    pthread_mutex_lock(&party->mutex);
    while (broker_port && !party->connected && in_time)
        in_time = wait_for_change(party, &deadline);
    pthread_mutex_unlock(&party->mutex);
    REQUIRE(in_time, "no connection to the broker");
}

static void run_stop(struct party *party, void *argument)
{
    (void)argument;
    edge_channel_close(party->channel);
    edge_client_free(party->client);
    mqtt_client_free(party->mqtt, 1000);
}

void party_stop(struct party *party)
{
    on_loop(party, run_stop, NULL);
    loop_stop(party->loop);
    pthread_join(party->thread, NULL);
    loop_free(party->loop);
    while (party->heard) {
        struct heard *heard = party->heard;
        party->heard = heard->next;
        free(heard->topic);
        free(heard->payload);
        free(heard);
    }
    pthread_mutex_destroy(&party->mutex);
    pthread_cond_destroy(&party->changed);
}

static void run_reach(struct party *party, void *argument)
{
    char endpoint[64];

    snprintf(endpoint, sizeof endpoint, "127.0.0.1:%d", *(const int *)argument);
    edge_channel_close(party->channel);
    REQUIRE(edge_channel_open(party->client, endpoint, 0, &party->channel, NULL) == OK, "failed");
}

void party_reach(struct party *party, int port)
{
    on_loop(party, run_reach, &port);
}

/* ---- calls ---- */

static void answered(void *context, struct edge_reply *reply)
{
    struct exchange *exchange = context;
    struct party *party = exchange->party;

    pthread_mutex_lock(&party->mutex);
    exchange->error = reply->error;
    exchange->body = blob_ref(reply->body);
    exchange->request = NULL;
    exchange->is_over = true;
    tell_change(party);
}

struct call_errand {
    struct exchange *exchange;
    enum edge_method method;
    struct blob *head, *weights;
    const char *model_id, *file_name;
};

static void run_call(struct party *party, void *argument)
{
    struct call_errand *call = argument;

    if (call->method == EDGE_STREAM_FILE)
        call->exchange->request = edge_call_upload(party->channel, call->model_id, call->file_name, call->weights, 7,
                                                   DEADLINE_S, answered, call->exchange);
    else
        call->exchange->request = edge_call_unary(party->channel, call->method, call->head, call->weights, DEADLINE_S,
                                                  answered, call->exchange);
    REQUIRE(call->exchange->request, "failed");
}

void exchange_begin(struct exchange *exchange, struct party *party, enum edge_method method, struct blob *head,
                    struct blob *weights)
{
    struct call_errand call = {.exchange = exchange, .method = method, .head = head, .weights = weights};

    *exchange = (struct exchange){.party = party};
    on_loop(party, run_call, &call);
}

static void run_cancel(struct party *party, void *argument)
{
    struct exchange *exchange = argument;

    (void)party;
    if (exchange->request)
        edge_request_cancel(exchange->request);
}

void exchange_cancel(struct exchange *exchange)
{
    on_loop(exchange->party, run_cancel, exchange);
}

bool exchange_is_over(struct exchange *exchange)
{
    pthread_mutex_lock(&exchange->party->mutex);
    bool over = exchange->is_over;
    pthread_mutex_unlock(&exchange->party->mutex);
    return over;
}

int exchange_wait(struct exchange *exchange)
{
    struct timespec deadline = deadline_in(DEADLINE_S + 10);
    bool in_time = true;

    pthread_mutex_lock(&exchange->party->mutex);
    while (!exchange->is_over && in_time)
        in_time = wait_for_change(exchange->party, &deadline);
    pthread_mutex_unlock(&exchange->party->mutex);
    REQUIRE(in_time, "a call was never answered");
    return exchange->error.status;
}

void exchange_end(struct exchange *exchange)
{
    blob_unref(exchange->body);
    exchange->body = NULL;
}

int party_upload(struct party *party, const char *model_id, const char *file_name, const char *text)
{
    struct exchange exchange = {.party = party};
    struct blob *data = blob_new(strlen(text));
    struct call_errand call = {.exchange = &exchange,
                               .method = EDGE_STREAM_FILE,
                               .weights = data,
                               .model_id = model_id,
                               .file_name = file_name};

    memcpy(blob_bytes(data), text, strlen(text));
    on_loop(party, run_call, &call);
    int status = exchange_wait(&exchange);
    exchange_end(&exchange);
    return status;
}
