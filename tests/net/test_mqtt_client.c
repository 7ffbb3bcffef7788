#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mosquitto_fixture.h"
#include "net/mqtt_client.h"

/* ---- a client that writes down what happens to it, and a loop that runs until something is true ---- */

enum { MAX_NOTES = 4096 };

struct note {
    char topic[64], payload[64];
    size_t size;
    bool retained;
};

struct party;

struct bench {
    struct loop *loop;
    struct loop_timer deadline;
    bool (*until)(const struct party *party, long argument);
    const struct party *party;
    long argument;
    bool timed_out;
};

struct party {
    struct bench *bench;
    struct mqtt_client *client;
    const char *filter; /* subscribed at each connect; NULL: nothing */
    int num_connected, num_lost, num_notes;
    char reason[160];
    struct note notes[MAX_NOTES];
};

static void look(struct bench *bench)
{
    if (bench->until && bench->until(bench->party, bench->argument))
        loop_stop(bench->loop);
}

static void on_deadline(struct loop_timer *timer)
{
    struct bench *bench = CONTAINER_OF(timer, struct bench, deadline);

    bench->timed_out = true;
    loop_stop(bench->loop);
}

static void connected(void *context)
{
    struct party *party = context;
    struct error err = ERROR_INIT;

    party->num_connected++;
    if (party->filter)
        cr_assert_eq(mqtt_client_subscribe(party->client, party->filter, &err), OK, "%s", err.message);
    look(party->bench);
}

static void lost(void *context, const char *reason)
{
    struct party *party = context;

    party->num_lost++;
    snprintf(party->reason, sizeof party->reason, "%s", reason);
    look(party->bench);
}

static void message(void *context, const char *topic, struct span payload, bool retained)
{
    struct party *party = context;
    struct note *note = &party->notes[party->num_notes];

    cr_assert_lt(party->num_notes, MAX_NOTES);
    cr_assert_lt(payload.size, sizeof note->payload);
    snprintf(note->topic, sizeof note->topic, "%s", topic);
    memcpy(note->payload, payload.data, payload.size);
    note->payload[payload.size] = '\0';
    note->size = payload.size;
    note->retained = retained;
    party->num_notes++;
    look(party->bench);
}

static void bench_init(struct bench *bench)
{
    struct error err = ERROR_INIT;

    *bench = (struct bench){0};
    cr_assert_eq(loop_new(&bench->loop, &clock_system, &err), OK, "%s", err.message);
    loop_timer_init(&bench->deadline, on_deadline);
}

static void run_until(struct bench *bench, bool (*until)(const struct party *, long), const struct party *party,
                      long argument, const char *what)
{
    if (until(party, argument))
        return;
    bench->until = until;
    bench->party = party;
    bench->argument = argument;
    cr_assert_eq(loop_timer_set(bench->loop, &bench->deadline, 40000000000u, NULL), OK);
    loop_run(bench->loop);
    loop_timer_cancel(bench->loop, &bench->deadline);
    bench->until = NULL;
    cr_assert(!bench->timed_out, "never: %s", what);
}

static bool has_connected(const struct party *party, long times)
{
    return party->num_connected >= times;
}

static bool has_lost(const struct party *party, long times)
{
    return party->num_lost >= times;
}

static bool has_notes(const struct party *party, long n)
{
    return party->num_notes >= n;
}

static struct party *join_with(struct bench *bench, struct mqtt_options options, const char *filter)
{
    struct party *party = calloc(1, sizeof *party);
    struct mqtt_handlers handlers = {party, connected, lost, message};
    struct error err = ERROR_INIT;

    cr_assert_not_null(party);
    party->bench = bench;
    party->filter = filter;
    cr_assert_eq(mqtt_client_new(&party->client, &options, &handlers, bench->loop, NULL, &err), OK, "%s", err.message);
    return party;
}

static struct party *join(struct bench *bench, int port, const char *id, const char *filter)
{
    struct party *party =
        join_with(bench, (struct mqtt_options){.host = "127.0.0.1", .port = port, .client_id = id}, filter);

    run_until(bench, has_connected, party, 1, "connected");
    cr_assert(mqtt_client_is_connected(party->client));
    return party;
}

static void leave(struct party *party)
{
    mqtt_client_free(party->client, 20000);
    party->client = NULL;
}

static void say(struct party *party, const char *topic, const char *payload, bool retained)
{
    struct error err = ERROR_INIT;

    cr_assert_eq(mqtt_client_publish(party->client, topic, span_of(payload, strlen(payload)), retained, &err), OK, "%s",
                 err.message);
}

static struct mosquitto start_broker(int port, const char *more)
{
    struct mosquitto broker;
    struct error err = ERROR_INIT;

    cr_assert_eq(mosquitto_start(&broker, port, more, &err), OK, "%s", err.message);
    return broker;
}

/* A subscription takes effect at the broker a moment after it was asked for: say something until it comes back. */
static void wait_for_subscription(struct party *party, const char *topic)
{
    say(party, topic, "ready?", false);
    run_until(party->bench, has_notes, party, 1, "its own message");
    party->num_notes = 0;
}

/* ---- tests ---- */

Test(mqtt_client, delivers_in_order, .timeout = 120)
{
    enum { N = 1000 };
    struct mosquitto broker = start_broker(0, NULL);
    struct bench bench;
    char payload[32];

    bench_init(&bench);
    struct party *ear = join(&bench, broker.port, "ear", "t/#"), *mouth = join(&bench, broker.port, "mouth", NULL);
    wait_for_subscription(ear, "t/own");
    for (int i = 0; i < N; i++) {
        snprintf(payload, sizeof payload, "%d", i);
        say(mouth, "t/x", payload, false);
    }
    run_until(&bench, has_notes, ear, N, "all messages");
    for (int i = 0; i < N; i++) {
        cr_assert_eq(atoi(ear->notes[i].payload), i);
        cr_assert_str_eq(ear->notes[i].topic, "t/x");
        cr_assert(!ear->notes[i].retained);
    }
    leave(mouth);
    leave(ear);
    loop_free(bench.loop);
    cr_assert_eq(ear->num_lost + mouth->num_lost, 0);
    mosquitto_stop(&broker);
    free(ear);
    free(mouth);
}

Test(mqtt_client, takes_any_bytes, .timeout = 120)
{
    struct mosquitto broker = start_broker(0, NULL);
    struct bench bench;
    const char bytes[] = {'a', 0, 'b', (char)0xff};

    bench_init(&bench);
    struct party *party = join(&bench, broker.port, "any", "b");
    wait_for_subscription(party, "b");
    cr_assert_eq(mqtt_client_publish(party->client, "b", span_of(bytes, sizeof bytes), false, NULL), OK);
    cr_assert_eq(mqtt_client_publish(party->client, "b", span_of("", 0), false, NULL), OK);
    run_until(&bench, has_notes, party, 2, "both messages");
    cr_assert_eq(party->notes[0].size, sizeof bytes);
    cr_assert_arr_eq(party->notes[0].payload, bytes, sizeof bytes);
    cr_assert_eq(party->notes[1].size, 0);
    leave(party);
    loop_free(bench.loop);
    mosquitto_stop(&broker);
    free(party);
}

/* A message that is too large is dropped before it is copied; what comes after it gets through. */
Test(mqtt_client, drops_what_is_too_large, .timeout = 120)
{
    struct mosquitto broker = start_broker(0, NULL);
    struct bench bench;
    size_t size = (1 << 20) + 1;
    char *large = calloc(1, size);

    cr_assert_not_null(large);
    bench_init(&bench);
    struct party *party = join(&bench, broker.port, "any", "b");
    wait_for_subscription(party, "b");
    cr_assert_eq(mqtt_client_publish(party->client, "b", span_of(large, size), false, NULL), OK);
    say(party, "b", "small", false);
    run_until(&bench, has_notes, party, 1, "the message after it");
    cr_assert_str_eq(party->notes[0].payload, "small");
    leave(party);
    loop_free(bench.loop);
    mosquitto_stop(&broker);
    free(party);
    free(large);
}

Test(mqtt_client, retained_messages_wait_for_late_comers_until_cleared, .timeout = 120)
{
    struct mosquitto broker = start_broker(0, NULL);
    struct bench bench;

    bench_init(&bench);
    struct party *leader = join(&bench, broker.port, "leader", NULL);
    say(leader, "advert_server", "here", true);
    leave(leader); /* waits for the acknowledgement */
    struct party *late = join(&bench, broker.port, "late", "advert_server");
    run_until(&bench, has_notes, late, 1, "the retained message");
    cr_assert_str_eq(late->notes[0].payload, "here");
    cr_assert(late->notes[0].retained);
    say(late, "advert_server", "", true);
    run_until(&bench, has_notes, late, 2, "the clearing message");
    struct party *later = join(&bench, broker.port, "later", "#");
    wait_for_subscription(later, "own");
    cr_assert_eq(later->num_notes, 0);
    leave(late);
    leave(later);
    loop_free(bench.loop);
    mosquitto_stop(&broker);
    free(leader);
    free(late);
    free(later);
}

/* A process of its own with a last will; it lives until it is killed. */
static pid_t fork_mortal(int port)
{
    pid_t pid = fork();

    if (pid)
        return pid;
    struct bench bench;
    bench_init(&bench);
    struct mqtt_options options = {"127.0.0.1", port, "mortal", NULL, NULL, 0, "status/mortal", "offline", 0};
    struct party *mortal = join_with(&bench, options, NULL);
    say(mortal, "status/mortal", "online", true); /* waits in the outbox for the connection */
    loop_run(bench.loop);
    _exit(0);
}

Test(mqtt_client, the_last_will_comes_when_a_process_is_killed, .timeout = 120)
{
    struct mosquitto broker = start_broker(0, NULL);
    pid_t child = fork_mortal(broker.port);
    struct bench bench;

    cr_assert_gt(child, 0);
    bench_init(&bench);
    struct party *ear = join(&bench, broker.port, "ear", "status/+");
    run_until(&bench, has_notes, ear, 1, "online");
    cr_assert_str_eq(ear->notes[0].payload, "online");
    kill(child, SIGKILL);
    run_until(&bench, has_notes, ear, 2, "the last will");
    cr_assert_str_eq(ear->notes[1].topic, "status/mortal");
    cr_assert_str_eq(ear->notes[1].payload, "offline");
    waitpid(child, NULL, 0);
    struct party *late = join(&bench, broker.port, "late", "status/+");
    run_until(&bench, has_notes, late, 1, "the retained will");
    cr_assert_str_eq(late->notes[0].payload, "offline");
    cr_assert(late->notes[0].retained);
    leave(ear);
    leave(late);
    loop_free(bench.loop);
    mosquitto_stop(&broker);
    free(ear);
    free(late);
}

Test(mqtt_client, leaving_properly_sends_no_will, .timeout = 120)
{
    struct mosquitto broker = start_broker(0, NULL);
    struct bench bench;
    struct mqtt_options options = {"127.0.0.1", broker.port, "polite", NULL, NULL, 0, "status/polite", "killed", 0};

    bench_init(&bench);
    struct party *ear = join(&bench, broker.port, "ear", "status/+");
    wait_for_subscription(ear, "status/ear");
    struct party *polite = join_with(&bench, options, NULL);
    run_until(&bench, has_connected, polite, 1, "connected");
    say(polite, "status/polite", "offline", true);
    leave(polite);
    run_until(&bench, has_notes, ear, 1, "its goodbye");
    cr_assert_str_eq(ear->notes[0].payload, "offline");
    /* The broker would send a will when it sees the end of that connection, before it takes a new one. */
    struct party *after = join(&bench, broker.port, "after", NULL);
    say(after, "status/after", "here", false);
    run_until(&bench, has_notes, ear, 2, "the next message");
    cr_assert_str_eq(ear->notes[1].payload, "here");
    leave(ear);
    leave(after);
    loop_free(bench.loop);
    mosquitto_stop(&broker);
    free(ear);
    free(polite);
    free(after);
}

Test(mqtt_client, comes_back_with_the_broker_and_loses_nothing, .timeout = 180)
{
    struct mosquitto broker = start_broker(0, NULL);
    struct bench bench;
    int port = broker.port;

    bench_init(&bench);
    struct party *party = join(&bench, port, "patient", "t");
    wait_for_subscription(party, "t");
    mosquitto_kill(&broker);
    run_until(&bench, has_lost, party, 1, "the loss of the broker");
    cr_assert(!mqtt_client_is_connected(party->client));
    cr_assert_gt(strlen(party->reason), 0);
    say(party, "t", "said while the broker was away", false);
    broker = start_broker(port, NULL);
    run_until(&bench, has_connected, party, 2, "connected again");
    run_until(&bench, has_notes, party, 1, "the message from the outage");
    cr_assert_str_eq(party->notes[0].payload, "said while the broker was away");
    cr_assert_eq(party->num_lost, 1);
    leave(party);
    loop_free(bench.loop);
    mosquitto_stop(&broker);
    free(party);
}

/* What the broker had not acknowledged when it died reaches its successor. Retained, each under a topic of its own, so
 * that a late comer can count them. */
Test(mqtt_client, repeats_what_was_under_way_when_the_broker_died, .timeout = 180)
{
    enum { N = 500 };
    struct mosquitto broker = start_broker(0, NULL);
    struct bench bench;
    int port = broker.port, missing = 0;
    static bool seen[N];
    char topic[32];

    bench_init(&bench);
    struct party *party = join(&bench, port, "stubborn", NULL);
    kill(broker.pid, SIGSTOP); /* it reads nothing any more */
    for (int i = 0; i < N; i++) {
        snprintf(topic, sizeof topic, "t/%d", i);
        say(party, topic, "x", true);
    }
    mosquitto_kill(&broker);
    run_until(&bench, has_lost, party, 1, "the loss of the broker");
    broker = start_broker(port, NULL);
    run_until(&bench, has_connected, party, 2, "connected again");
    leave(party); /* waits for the acknowledgements */
    struct party *late = join(&bench, port, "late", "t/+");
    run_until(&bench, has_notes, late, N, "all messages");
    for (int i = 0; i < late->num_notes; i++)
        seen[atoi(late->notes[i].topic + 2)] = true;
    for (int i = 0; i < N; i++)
        missing += !seen[i];
    cr_assert_eq(missing, 0);
    leave(late);
    loop_free(bench.loop);
    mosquitto_stop(&broker);
    free(party);
    free(late);
}

Test(mqtt_client, waits_for_a_broker_that_comes_later, .timeout = 180)
{
    struct bench bench;
    int port = free_port();

    bench_init(&bench);
    struct party *early =
        join_with(&bench, (struct mqtt_options){"127.0.0.1", port, "early", NULL, NULL, 0, NULL, NULL, 0}, NULL);
    run_until(&bench, has_lost, early, 1, "the news that nobody is there");
    cr_assert_eq(mqtt_client_subscribe(early->client, "t", NULL), ERR_UNAVAILABLE);
    /* Forking and executing at once is fine with Paho's threads. */
    struct mosquitto broker = start_broker(port, NULL);
    run_until(&bench, has_connected, early, 1, "connected");
    cr_assert_eq(early->num_lost, 1, "told %d times", early->num_lost);
    leave(early);
    loop_free(bench.loop);
    mosquitto_stop(&broker);
    free(early);
}

Test(mqtt_client, says_that_the_broker_refuses, .timeout = 120)
{
    struct mosquitto broker = start_broker(0, "allow_anonymous false\n");
    struct bench bench;

    bench_init(&bench);
    struct party *party =
        join_with(&bench, (struct mqtt_options){"127.0.0.1", broker.port, "nobody", "u", "p", 0, NULL, NULL, 0}, NULL);
    run_until(&bench, has_lost, party, 1, "the refusal");
    cr_assert_not_null(strstr(party->reason, "the broker"), "%s", party->reason);
    cr_assert_eq(party->num_connected, 0);
    leave(party);
    loop_free(bench.loop);
    mosquitto_stop(&broker);
    free(party);
}

Test(mqtt_client, free_waits_until_everything_is_acknowledged, .timeout = 120)
{
    enum { N = 300 };
    struct mosquitto broker = start_broker(0, NULL);
    struct bench bench;

    bench_init(&bench);
    struct party *ear = join(&bench, broker.port, "ear", "t"), *mouth = join(&bench, broker.port, "mouth", NULL);
    wait_for_subscription(ear, "t");
    for (int i = 0; i < N; i++)
        say(mouth, "t", "last words", false);
    leave(mouth);
    run_until(&bench, has_notes, ear, N, "all last words");
    leave(ear);
    loop_free(bench.loop);
    mosquitto_stop(&broker);
    free(ear);
    free(mouth);
}

Test(mqtt_client, free_without_a_broker_ends_soon_and_silently, .timeout = 120)
{
    struct bench bench;
    uint64_t start_ns = clock_now_ns(&clock_system);

    bench_init(&bench);
    struct party *party =
        join_with(&bench, (struct mqtt_options){"127.0.0.1", free_port(), "lonely", NULL, NULL, 0, NULL, NULL, 0}, NULL);
    say(party, "t", "unheard", false);
    leave(party);
    loop_free(bench.loop); /* handles what Paho had posted */
    cr_assert_eq(party->num_connected + party->num_lost + party->num_notes, 0);
    cr_assert_lt(clock_now_ns(&clock_system) - start_ns, 15000000000u);
    free(party);
}

/* Clients come and go while messages for them are under way. */
Test(mqtt_client, free_is_safe_in_the_middle_of_traffic, .timeout = 180)
{
    struct mosquitto broker = start_broker(0, NULL);
    struct bench bench;

    bench_init(&bench);
    struct party *mouth = join(&bench, broker.port, "mouth", NULL);
    for (int i = 0; i < 8; i++) {
        char id[16];
        snprintf(id, sizeof id, "ear%d", i);
        struct party *ear = join(&bench, broker.port, id, "t");
        for (int k = 0; k < 50; k++)
            say(mouth, "t", "noise", false);
        run_until(&bench, has_notes, ear, 1, "a message");
        int notes = ear->num_notes;
        leave(ear);
        cr_assert_eq(ear->num_notes, notes);
        free(ear); /* whatever was queued for it must not touch it */
    }
    leave(mouth);
    loop_free(bench.loop);
    mosquitto_stop(&broker);
    free(mouth);
}

Test(mqtt_client, the_outbox_is_bounded, .timeout = 120)
{
    struct bench bench;
    struct error err = ERROR_INIT;
    char *big = calloc(1, 1 << 20);

    bench_init(&bench);
    struct party *party =
        join_with(&bench, (struct mqtt_options){"127.0.0.1", free_port(), "full", NULL, NULL, 0, NULL, NULL, 0}, NULL);
    for (int i = 0; i < 16; i++)
        cr_assert_eq(mqtt_client_publish(party->client, "t", span_of(big, 1 << 20), false, &err), OK);
    cr_assert_eq(mqtt_client_publish(party->client, "t", span_of(big, 1), false, &err), ERR_UNAVAILABLE);
    cr_assert_not_null(strstr(err.message, "wait for the broker"), "%s", err.message);
    for (int i = 16; i < 4096; i++)
        cr_assert_eq(mqtt_client_publish(party->client, "t", span_of("", 0), false, &err), OK, "%d", i);
    cr_assert_eq(mqtt_client_publish(party->client, "t", span_of("", 0), false, &err), ERR_UNAVAILABLE);
    leave(party);
    loop_free(bench.loop);
    free(party);
    free(big);
}

Test(mqtt_client, finds_the_local_address)
{
    char text[64];
    struct error err = ERROR_INIT;

    cr_assert_eq(mqtt_local_address("127.0.0.1", 1883, text, &err), OK, "%s", err.message);
    cr_assert_str_eq(text, "127.0.0.1");
    cr_assert_eq(mqtt_local_address("no such host", 1883, text, &err), ERR_UNAVAILABLE);
    cr_assert_not_null(strstr(err.message, "no such host"));
}
