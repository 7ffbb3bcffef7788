/* What passes between the threads of Paho and libmicrohttpd and the loop, under load, as a plain program, so that
 * ThreadSanitizer can watch: messages both ways while the broker dies and comes back, clients that come and go,
 * requests that are answered at once, later, and at the end. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mosquitto_fixture.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/mqtt_client.h"

enum { MESSAGES = 400, VISITORS = 4, FETCHERS = 4, FETCHES = 50 };

struct state {
    struct loop *loop;
    struct loop_timer deadline;
    bool timed_out;

    struct mqtt_client *mouth, *ear;
    long ups, downs, heard; /* the loop's own */

    struct http_server *server;
    struct http_exchange *kept;
    struct loop_timer late;
    long requests;
    pthread_t fetchers[FETCHERS];
    char url[64];
};

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "hand_overs: %s\n", what);
    exit(1);
}

/* ---- MQTT ---- */

static void up(void *context)
{
    struct state *state = context;

    state->ups++;
    if (state->ear)
        mqtt_client_subscribe(state->ear, "t", NULL);
    loop_stop(state->loop);
}

static void down(void *context, const char *reason)
{
    struct state *state = context;

    state->downs += *reason != '\0';
    loop_stop(state->loop);
}

static void hear(void *context, const char *topic, struct span payload, bool retained)
{
    struct state *state = context;

    state->heard += strlen(topic) == 1 && payload.size == 5 && !retained;
    loop_stop(state->loop);
}

static struct mqtt_client *join(struct state *state, int port, const char *id)
{
    struct mqtt_options options = {.host = "127.0.0.1", .port = port, .client_id = id};
    struct mqtt_handlers handlers = {state, up, down, hear};
    struct mqtt_client *client;

    check(mqtt_client_new(&client, &options, &handlers, state->loop, NULL, NULL) == OK, "no client");
    return client;
}

static void too_late(struct loop_timer *timer)
{
    struct state *state = CONTAINER_OF(timer, struct state, deadline);

    state->timed_out = true;
    loop_stop(state->loop);
}

/* Run the loop until *count has reached n. */
static void run_until(struct state *state, const long *count, long n, const char *what)
{
    check(loop_timer_set(state->loop, &state->deadline, 60000000000u, NULL) == OK, "no timer");
    while (*count < n && !state->timed_out)
        loop_run(state->loop);
    loop_timer_cancel(state->loop, &state->deadline);
    check(!state->timed_out, what);
}

static void talk(struct state *state, long n)
{
    for (long i = 0; i < n; i++)
        check(mqtt_client_publish(state->mouth, "t", span_of("hello", 5), false, NULL) == OK, "publish");
}

static void visit(struct state *state, int port)
{
    for (int i = 0; i < VISITORS; i++) {
        long ups = state->ups;
        struct mqtt_client *visitor = join(state, port, "visitor");
        talk(state, 20);
        run_until(state, &state->ups, ups + 1, "a visitor never connected");
        mqtt_client_free(visitor, 10000);
    }
}

static void exercise_mqtt(struct state *state)
{
    struct mosquitto broker;

    check(mosquitto_start(&broker, 0, NULL, NULL) == OK, "mosquitto does not start");
    state->ear = join(state, broker.port, "ear");
    state->mouth = join(state, broker.port, "mouth");
    run_until(state, &state->ups, 2, "never connected");
    talk(state, MESSAGES);
    run_until(state, &state->heard, 1, "nothing heard");
    visit(state, broker.port);
    mosquitto_kill(&broker);
    run_until(state, &state->downs, 2, "the loss was not noticed");
    talk(state, MESSAGES);
    long ups = state->ups;
    check(mosquitto_start(&broker, broker.port, NULL, NULL) == OK, "mosquitto does not start again");
    run_until(state, &state->ups, ups + 2, "never connected again");
    talk(state, MESSAGES);
    mqtt_client_free(state->mouth, 10000);
    mqtt_client_free(state->ear, 10000);
    mosquitto_stop(&broker);
}

/* ---- HTTP ---- */

static void answer_late(struct loop_timer *timer)
{
    struct state *state = CONTAINER_OF(timer, struct state, late);

    if (state->kept)
        http_respond_message(state->kept, 200, "late");
    state->kept = NULL;
}

/* Every second request is answered at once; the others with the next one, or a little later. */
static void handle(void *context, struct http_exchange *exchange, const struct http_request *request)
{
    struct state *state = context;

    state->requests++;
    if (state->kept) {
        answer_late(&state->late);
        http_respond_message(exchange, 200, "%s %zu", request->path, request->body.size);
    } else {
        state->kept = exchange;
        check(loop_timer_set(state->loop, &state->late, 2000000, NULL) == OK, "no timer");
    }
    loop_stop(state->loop);
}

/* Joins the fetchers while the loop goes on answering the last ones. */
static void *join_all(void *context)
{
    struct state *state = context;

    for (int i = 0; i < FETCHERS; i++)
        pthread_join(state->fetchers[i], NULL);
    loop_stop(state->loop);
    return NULL;
}

static void *fetch(void *context)
{
    struct state *state = context;

    for (int i = 0; i < FETCHES; i++) {
        struct http_reply reply;
        int status =
            http_fetch("POST", state->url, "text/plain", span_of("body", 4), NULL, 60, NULL, NULL, &reply, NULL);
        check(status == OK && reply.status == 200, "a request failed");
        http_reply_fini(&reply);
    }
    return NULL;
}

static void exercise_http(struct state *state)
{
    struct http_server_options options = {.host = "127.0.0.1", .max_body = 1000};
    pthread_t joiner;

    loop_timer_init(&state->late, answer_late);
    check(http_server_new(&state->server, &options, handle, state, state->loop, NULL, NULL) == OK, "no server");
    snprintf(state->url, sizeof state->url, "http://127.0.0.1:%d/x", http_server_port(state->server));
    for (int i = 0; i < FETCHERS; i++)
        check(!pthread_create(&state->fetchers[i], NULL, fetch, state), "no thread");
    run_until(state, &state->requests, FETCHERS * FETCHES, "requests are missing");
    check(!pthread_create(&joiner, NULL, join_all, state), "no thread");
    while (state->kept)
        loop_run(state->loop);
    pthread_join(joiner, NULL);
    http_server_free(state->server, 10000);
}

int main(void)
{
    static struct state state;

    check(loop_new(&state.loop, &clock_system, NULL) == OK, "no loop");
    loop_timer_init(&state.deadline, too_late);
    exercise_mqtt(&state);
    exercise_http(&state);
    loop_free(state.loop);
    return 0;
}
