/* The roster: who is there, who is not, and why. Time is the test's own. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory_link.h"
#include "util/log.h"

/* A clock that the test moves. */
static uint64_t test_now_ns;

static uint64_t now_ns(const struct clock *clock)
{
    (void)clock;
    return test_now_ns;
}

static double wall_s(const struct clock *clock)
{
    (void)clock;
    return (double)test_now_ns * 1e-9;
}

static const struct clock test_clock = {now_ns, wall_s};

static struct log test_log = {.fd = -1}; /* nowhere */

struct fixture {
    struct loop *loop;
    struct layout layout;
    struct memory_client clients[3];
    struct memory_net net;
    struct roster *roster;
    struct roster_listener listener;
    int active, inactive, updated;
    struct loop_timer pause;
};

static void changed(struct roster_listener *listener, struct roster_client *client, enum roster_change change)
{
    struct fixture *fixture = CONTAINER_OF(listener, struct fixture, listener);

    (void)client;
    fixture->active += change == ROSTER_ACTIVE;
    fixture->inactive += change == ROSTER_INACTIVE;
    fixture->updated += change == ROSTER_UPDATED;
}

static void stop(struct loop_timer *timer)
{
    loop_stop(CONTAINER_OF(timer, struct fixture, pause)->loop);
}

/* Let the loop do everything that is due until `seconds` from now, in steps, so that timers see time pass. */
static void pass_time(struct fixture *fixture, double seconds)
{
    for (int i = 0; i < 20; i++) {
        test_now_ns += (uint64_t)(seconds / 20 * 1e9);
        cr_assert_eq(loop_timer_set(fixture->loop, &fixture->pause, 0, NULL), OK);
        loop_run(fixture->loop);
    }
}

static void set_up_with(struct fixture *fixture, size_t max_clients, size_t max_bytes)
{
    struct roster_options options = {.heartbeat_interval_s = 1,
                                     .max_missed = 3,
                                     .num_heartbeats_kept = 4,
                                     .max_clients = max_clients,
                                     .max_bytes = max_bytes,
                                     .echo_timeout_s = 5};
    struct link_factory factory;

    memset(fixture, 0, sizeof *fixture);
    test_now_ns = 1000000000;
    layout_init(&fixture->layout);
    cr_assert_eq(loop_new(&fixture->loop, &test_clock, NULL), OK);
    for (int i = 0; i < 3; i++) {
        snprintf(fixture->clients[i].id, sizeof fixture->clients[i].id, "c%d", 2 - i);
        snprintf(fixture->clients[i].endpoint, sizeof fixture->clients[i].endpoint, "10.0.0.1:%d", 5000 + i);
        fixture->clients[i].num_samples = 10;
    }
    fixture->net =
        (struct memory_net){.loop = fixture->loop, .layout = &fixture->layout, .clients = fixture->clients, .n = 3};
    factory = memory_link_factory(&fixture->net);
    cr_assert_eq(roster_new(&fixture->roster, &options, &factory, fixture->loop, &test_log, NULL), OK);
    fixture->listener.changed = changed;
    roster_listen(fixture->roster, &fixture->listener);
    loop_timer_init(&fixture->pause, stop);
}

static void set_up(struct fixture *fixture)
{
    set_up_with(fixture, 2, 0);
}

static void tear_down(struct fixture *fixture)
{
    roster_close(fixture->roster);
    loop_timer_cancel(fixture->loop, &fixture->pause);
    loop_free(fixture->loop);
    roster_free(fixture->roster);
    layout_fini(&fixture->layout);
    cr_assert_eq(fixture->net.open_calls, 0);
    cr_assert_eq(fixture->net.links, 0);
}

static void advertise(struct fixture *fixture, int i)
{
    memory_client_advertise(&fixture->net, &fixture->clients[i], fixture->roster);
}

Test(roster, an_advert_makes_active_and_is_echoed)
{
    struct fixture fixture;
    struct roster_client *client;

    set_up(&fixture);
    advertise(&fixture, 0);
    advertise(&fixture, 1);
    pass_time(&fixture, 0.1);
    cr_assert_eq(roster_size(fixture.roster), 2);
    cr_assert_eq(roster_num_active(fixture.roster), 2);
    cr_assert_str_eq(roster_at(fixture.roster, 0)->id, "c1");
    cr_assert_str_eq(roster_at(fixture.roster, 1)->id, "c2");
    cr_assert_eq(fixture.clients[0].echoes, 1);
    client = roster_find(fixture.roster, "c2");
    cr_assert(client && client->active && client->number == 0);
    cr_assert_null(roster_obstacle(client, "digits"));
    cr_assert(strstr(roster_obstacle(client, "letters"), "data set"));
    cr_assert_eq(roster_dataset(client, "digits")->num_items, 10);
    cr_assert_eq(roster_trainable(client, "digits"), 10);
    cr_assert_eq(roster_trainable(client, "letters"), 0);
    tear_down(&fixture);
}

Test(roster, missing_heartbeats_make_inactive_and_one_makes_active_again)
{
    struct fixture fixture;

    set_up(&fixture);
    advertise(&fixture, 0);
    pass_time(&fixture, 4.5); /* 3 x 1 s + 2 s are not over */
    cr_assert_eq(roster_num_active(fixture.roster), 1);
    memory_client_beat(&fixture.clients[0], fixture.roster, 5);
    pass_time(&fixture, 4.5);
    cr_assert_eq(roster_num_active(fixture.roster), 1);
    pass_time(&fixture, 1.5);
    cr_assert_eq(roster_num_active(fixture.roster), 0);
    cr_assert(strstr(roster_at(fixture.roster, 0)->reason, "no heartbeat for 5.0 s"));
    memory_client_beat(&fixture.clients[0], fixture.roster, 12);
    cr_assert_eq(roster_num_active(fixture.roster), 1);
    cr_assert_eq(fixture.active, 2);
    cr_assert_eq(fixture.inactive, 1);
    tear_down(&fixture);
}

Test(roster, nobody_is_missed_while_the_broker_is_away)
{
    struct fixture fixture;

    set_up(&fixture);
    advertise(&fixture, 0);
    roster_set_hearing(fixture.roster, false);
    pass_time(&fixture, 100);
    cr_assert_eq(roster_num_active(fixture.roster), 1);
    roster_set_hearing(fixture.roster, true);
    pass_time(&fixture, 19); /* it may take its time to come back to the broker itself */
    cr_assert_eq(roster_num_active(fixture.roster), 1);
    pass_time(&fixture, 2);
    cr_assert_eq(roster_num_active(fixture.roster), 0);
    tear_down(&fixture);
}

Test(roster, who_has_come_back_to_the_broker_is_missed_as_ever)
{
    struct fixture fixture;

    set_up(&fixture);
    advertise(&fixture, 0);
    roster_set_hearing(fixture.roster, false);
    pass_time(&fixture, 100);
    roster_set_hearing(fixture.roster, true);
    pass_time(&fixture, 1);
    memory_client_beat(&fixture.clients[0], fixture.roster, 101);
    pass_time(&fixture, 4.5);
    cr_assert_eq(roster_num_active(fixture.roster), 1);
    pass_time(&fixture, 1);
    cr_assert_eq(roster_num_active(fixture.roster), 0);
    tear_down(&fixture);
}

Test(roster, offline_counts_at_once)
{
    struct fixture fixture;

    set_up(&fixture);
    advertise(&fixture, 0);
    roster_take_status(fixture.roster, "c2", span_of("online", 6), false);
    cr_assert_eq(roster_num_active(fixture.roster), 1);
    roster_take_status(fixture.roster, "c2", span_of("offline", 7), false);
    cr_assert_eq(roster_num_active(fixture.roster), 0);
    roster_take_status(fixture.roster, "nobody", span_of("offline", 7), false);
    roster_take_status(fixture.roster, "c2", span_of("", 0), false);
    tear_down(&fixture);
}

/* A heartbeat that was under way when the client died says nothing; a later one does. */
Test(roster, a_stale_heartbeat_does_not_revive)
{
    struct fixture fixture;
    struct roster_client *client;

    set_up(&fixture);
    advertise(&fixture, 0);
    client = roster_at(fixture.roster, 0);
    roster_lost_contact(fixture.roster, client, "connection reset");
    memory_client_beat(&fixture.clients[0], fixture.roster, 1);
    cr_assert_not(client->active);
    pass_time(&fixture, 0.6);
    memory_client_beat(&fixture.clients[0], fixture.roster, 2);
    cr_assert(client->active);
    roster_lost_contact(fixture.roster, client, "connection reset");
    advertise(&fixture, 0);
    cr_assert(client->active);
    tear_down(&fixture);
}

Test(roster, a_failed_echo_makes_inactive)
{
    struct fixture fixture;

    set_up(&fixture);
    fixture.clients[0].behaviour = DIES;
    fixture.clients[0].trainings = 1;
    advertise(&fixture, 0);
    pass_time(&fixture, 0.1);
    cr_assert_eq(roster_num_active(fixture.roster), 0);
    cr_assert(strstr(roster_at(fixture.roster, 0)->reason, "connection refused"));
    tear_down(&fixture);
}

Test(roster, another_text_than_the_one_sent_is_no_echo)
{
    struct fixture fixture;

    char line[512] = "";
    int fd = memfd_create("log", MFD_CLOEXEC);

    log_init(&test_log, fd, LOG_WARN, "leader", NULL);
    set_up(&fixture);
    fixture.clients[0].behaviour = MISHEARS;
    advertise(&fixture, 0);
    pass_time(&fixture, 0.1);
    cr_assert_eq(roster_num_active(fixture.roster), 0);
    cr_assert(pread(fd, line, sizeof line - 1, 0) > 0, "nothing is logged");
    cr_assert(strstr(line, "client c2 is not reachable at 10.0.0.1:5000: it answers an echo of \"flosim\" with "
                           "\"flosin?or so\"\n"),
              "%s", line);
    close(fd);
    cr_assert_str_eq(roster_at(fixture.roster, 0)->reason, "it answers an echo of \"flosim\" with \"flosin?or so\"");
    tear_down(&fixture);
}

Test(roster, a_new_address_is_echoed_anew)
{
    struct fixture fixture;

    set_up(&fixture);
    advertise(&fixture, 0);
    pass_time(&fixture, 0.1);
    snprintf(fixture.clients[1].id, sizeof fixture.clients[1].id, "%s", fixture.clients[0].id);
    advertise(&fixture, 1); /* the same id from elsewhere */
    pass_time(&fixture, 0.1);
    cr_assert_eq(roster_size(fixture.roster), 1);
    cr_assert_eq(fixture.clients[1].echoes, 1);
    cr_assert_eq(fixture.inactive, 1);
    cr_assert_eq(fixture.active, 2);
    tear_down(&fixture);
}

Test(roster, malformed_payloads_are_dropped)
{
    static const char *const payloads[] = {"", "{", "[]", "{}", "{\"a\":1}", "{\"a\":{\"payload\":7}}", "\xff\xfe"};
    struct fixture fixture;

    set_up(&fixture);
    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++) {
        roster_take_advert(fixture.roster, span_of(payloads[i], strlen(payloads[i])));
        roster_take_heartbeat(fixture.roster, span_of(payloads[i], strlen(payloads[i])));
        roster_take_status(fixture.roster, "c2", span_of(payloads[i], strlen(payloads[i])), false);
    }
    cr_assert_eq(roster_size(fixture.roster), 0);
    tear_down(&fixture);
}

Test(roster, is_bounded)
{
    struct fixture fixture;

    set_up(&fixture);
    for (int i = 0; i < 3; i++)
        advertise(&fixture, i);
    cr_assert_eq(roster_size(fixture.roster), 2); /* max_clients */
    for (int i = 0; i < 50; i++)
        memory_client_beat(&fixture.clients[0], fixture.roster, i);
    cr_assert_eq(roster_find(fixture.roster, "c2")->num_heartbeats, 4);
    tear_down(&fixture);
}

/* Where there is no room, the client that has been silent longest is forgotten, but never while the roster is held. */
Test(roster, forgets_who_has_long_been_silent)
{
    struct fixture fixture;

    set_up(&fixture);
    advertise(&fixture, 0);
    pass_time(&fixture, 1);
    advertise(&fixture, 1);
    pass_time(&fixture, 100);
    cr_assert_eq(roster_num_active(fixture.roster), 0);
    roster_hold(fixture.roster);
    advertise(&fixture, 2);
    cr_assert_null(roster_find(fixture.roster, "c0"));
    roster_release(fixture.roster);
    advertise(&fixture, 2);
    cr_assert_eq(roster_size(fixture.roster), 2);
    cr_assert_null(roster_find(fixture.roster, "c2")); /* the first */
    cr_assert_eq(roster_find(fixture.roster, "c1")->number + roster_find(fixture.roster, "c0")->number, 1);
    pass_time(&fixture, 0.1);
    tear_down(&fixture);
}

static void advertise_labels(struct fixture *fixture, const char *id, size_t num_labels)
{
    struct dataset_advert dataset = {.id = "digits", .num_items = 10, .num_trainable = 10, .num_labels = num_labels};
    struct client_advert advert = {.timestamp = 1, .datasets = &dataset, .num_datasets = 1, .speaks_safetensors = true};
    char details[] = "{}", *text;

    dataset.details_json = details;
    dataset.labels = calloc(num_labels, sizeof *dataset.labels);
    for (size_t i = 0; i < num_labels; i++)
        snprintf(dataset.labels[i].label, sizeof dataset.labels[i].label, "%zu", i);
    snprintf(advert.id, sizeof advert.id, "%s", id);
    snprintf(advert.endpoint, sizeof advert.endpoint, "%s", fixture->clients[0].endpoint);
    cr_assert_not_null(text = client_advert_encode(&advert));
    roster_take_advert(fixture->roster, span_of(text, strlen(text)));
    free(text);
    free(dataset.labels);
}

Test(roster, the_bytes_of_all_adverts_are_bounded)
{
    struct fixture fixture;
    char id[20];

    set_up_with(&fixture, 1000, 400000); /* room for five adverts of 1,000 labels */
    for (int i = 0; i < 50; i++) {
        snprintf(id, sizeof id, "x%d", i);
        advertise_labels(&fixture, id, 1000);
    }
    cr_assert_eq(roster_size(fixture.roster), 5);
    advertise_labels(&fixture, "x1", 1000); /* in the place of its old one */
    advertise_labels(&fixture, "x2", 0);    /* gives its room to the next */
    advertise_labels(&fixture, "x5", 1000);
    cr_assert_eq(roster_size(fixture.roster), 6);
    pass_time(&fixture, 100);
    cr_assert_eq(roster_num_active(fixture.roster), 0);
    for (int i = 50; i < 60; i++) {
        snprintf(id, sizeof id, "x%d", i);
        advertise_labels(&fixture, id, 1000);
        cr_assert_eq(roster_find(fixture.roster, id) != NULL, i < 55);
    }
    pass_time(&fixture, 0.1);
    tear_down(&fixture);
}

Test(roster, learns_models_and_benchmarks)
{
    struct fixture fixture;
    struct roster_client *client;
    char id[20];

    set_up(&fixture);
    advertise(&fixture, 0);
    client = roster_at(fixture.roster, 0);
    cr_assert_null(roster_model_hash(client, "m"));
    roster_learn_model(client, "m", "0x1");
    roster_learn_model(client, "m", "0x2");
    cr_assert_str_eq(roster_model_hash(client, "m"), "0x2");
    roster_learn_benchmark(client, "m", "0x2", 10, 0.5);
    cr_assert_eq(roster_benchmark(client, "m")->num_mini_batches, 10);
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof id, "m%d", i);
        roster_learn_model(client, id, "0x3");
        roster_learn_benchmark(client, id, "0x3", 1, 1);
    }
    cr_assert_leq(client->advert.num_models, 256);
    cr_assert_leq(client->advert.num_benchmarks, 256);
    tear_down(&fixture);
}

Test(roster, tells_its_state_as_json)
{
    struct fixture fixture;
    json_t *json, *client;

    set_up(&fixture);
    advertise(&fixture, 0);
    json = roster_json(fixture.roster);
    client = json_array_get(json_object_get(json, "clients"), 0);
    cr_assert_eq(json_integer_value(json_object_get(json, "active")), 1);
    cr_assert_str_eq(json_string_value(json_object_get(client, "client_id")), "c2");
    cr_assert_str_eq(json_string_value(json_object_get(client, "selectable")), "yes");
    cr_assert_eq(json_integer_value(
                     json_object_get(json_object_get(json_object_get(client, "datasets"), "digits"), "num_items")),
                 10);
    json_decref(json);
    tear_down(&fixture);
}

/* ---- a leader that was started again ---- */

static void remember(struct fixture *fixture, const char *id, const char *endpoint, double timestamp)
{
    struct client_advert advert = {.timestamp = timestamp, .speaks_safetensors = true};
    char *text;

    snprintf(advert.id, sizeof advert.id, "%s", id);
    snprintf(advert.endpoint, sizeof advert.endpoint, "%s", endpoint);
    text = client_advert_encode(&advert);
    cr_assert_not_null(text);
    roster_remember(fixture->roster, span_of(text, strlen(text)));
    free(text);
}

Test(roster, remembered_clients_are_called_at_their_old_address)
{
    struct fixture fixture;

    set_up_with(&fixture, 0, 0);
    remember(&fixture, "c2", "10.0.0.1:5000", 5);
    remember(&fixture, "before", "10.0.0.1:5000", 3); /* had the address before it */
    fixture.clients[1].behaviour = MISHEARS;
    remember(&fixture, "gone", "10.0.0.1:5001", 7); /* somebody else is there now */
    remember(&fixture, "offline", "10.0.0.1:5002", 7);
    roster_take_status(fixture.roster, "offline", span_of("offline", 7), true);
    cr_assert_str_eq(roster_find(fixture.roster, "offline")->reason, "it went offline");
    cr_assert_eq(roster_num_active(fixture.roster), 0);
    roster_call_remembered(fixture.roster);
    cr_assert_eq(roster_num_active(fixture.roster), 0, "nobody before its echo");
    pass_time(&fixture, 0.5);
    cr_assert(roster_find(fixture.roster, "c2")->active);
    cr_assert_not(roster_find(fixture.roster, "before")->active);
    cr_assert_not(roster_find(fixture.roster, "gone")->active);
    cr_assert_eq(fixture.clients[0].echoes, 1);
    cr_assert_eq(fixture.active, 1 + roster_find(fixture.roster, "offline")->active);
    /* What is retained says nothing about a client that is there. */
    roster_take_status(fixture.roster, "c2", span_of("offline", 7), true);
    cr_assert(roster_find(fixture.roster, "c2")->active);
    tear_down(&fixture);
}

static void count(void *context)
{
    ++*(int *)context;
}

Test(roster, most_clients_not_one_say_that_the_leader_was_replaced)
{
    struct fixture fixture;
    struct roster_options options = {
        .heartbeat_interval_s = 1, .max_missed = 3, .num_heartbeats_kept = 4, .echo_timeout_s = 5, .replaced = count};
    struct link_factory factory;
    int told = 0;

    set_up_with(&fixture, 0, 0);
    roster_close(fixture.roster);
    roster_free(fixture.roster);
    options.context = &told;
    factory = memory_link_factory(&fixture.net);
    cr_assert_eq(roster_new(&fixture.roster, &options, &factory, fixture.loop, &test_log, NULL), OK);
    for (int i = 0; i < 3; i++)
        advertise(&fixture, i);
    roster_note_term(fixture.roster, roster_at(fixture.roster, 0), true);
    roster_note_term(fixture.roster, roster_at(fixture.roster, 0), true);
    cr_assert_eq(told, 0, "one of three may lie");
    roster_note_term(fixture.roster, roster_at(fixture.roster, 0), false);
    roster_note_term(fixture.roster, roster_at(fixture.roster, 1), true);
    cr_assert_eq(told, 0, "the first took it back");
    roster_note_term(fixture.roster, roster_at(fixture.roster, 2), true);
    cr_assert_eq(told, 1);
    pass_time(&fixture, 0.1);
    tear_down(&fixture);
}
