/* The session loop with clients in this process. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "session_world.h"
#include "util/fs.h"

/* ---- tests ---- */

static void trains_all_rounds(void)
{
    struct world world;
    int trainings = 0, files = 0;

    world_init(&world, 10);
    run(&world, &plain, true);
    CHECK(world.status == SESSION_FINISHED);
    CHECK(rounds_done(&world) == 5);
    CHECK(world.ledger.sent == 25 && world.ledger.merged == 25);
    for (size_t i = 0; i < 10; i++) {
        const struct memory_client *client = &world.clients[i];

        trainings += client->trainings;
        files += client->files;
        CHECK(client->echoes >= 1);
        CHECK(client->files == (client->trainings ? 2 : 0)); /* sent once, however often it trains */
        CHECK(client->trainings == 0 || client->last_seed == 7);
        CHECK(client->last_attempt == 0);
    }
    CHECK(trainings == 25 && files <= 20);
    world_fini(&world);
}

/* The same model whatever the order of answers. */
static void order_of_answers_does_not_matter(void)
{
    struct world a, b;

    world_init(&a, 20);
    run(&a, &plain, false);
    world_init(&b, 20);
    for (size_t i = 0; i < 20; i++)
        b.clients[i].delay_ns = (uint64_t)((20 - i) * 977 % 13) * 1000000u;
    run(&b, &plain, false);
    CHECK(same_model(&a, &b));
    CHECK(rounds_done(&a) == rounds_done(&b));
    for (size_t i = 0; i < rounds_done(&a); i++)
        CHECK(json_equal(json_object_get(json_array_get(json_object_get(a.json, "rounds"), i), "train_loss"),
                         json_object_get(json_array_get(json_object_get(b.json, "rounds"), i), "train_loss")));
    world_fini(&a);
    world_fini(&b);
}

/* Bad clients cost the round nothing but their update. */
static void bad_clients_do_not_stop_it(void)
{
    static const enum behaviour kinds[] = {DIES, FAILS, SENDS_NAN, BRAGS, SENDS_GARBAGE, WRONG_SHAPE};
    struct wish wish = plain;
    struct world world;

    world_init(&world, 12);
    for (size_t i = 0; i < 6; i++)
        world.clients[i].behaviour = kinds[i];
    wish.selection = "all_clients";
    wish.fraction = "1}, aggregator_args: {";
    wish.selection = "random_subset";
    wish.fraction = "1";
    wish.rounds = 3;
    run(&world, &wish, true);
    CHECK(world.status == SESSION_FINISHED);
    CHECK(rounds_done(&world) == 3);
    CHECK(world.ledger.merged == 3 * 6);
    CHECK(world.ledger.refused == 3 * 4);
    CHECK(world.ledger.failed == 1 + 3); /* the dead one is not selected again, the failing one is */
    CHECK(world.clients[0].trainings == 1);
    CHECK(roster_find(world.roster, "client-000")->active == false);
    world_fini(&world);
}

/* A refused update leaves the model as if the client had failed. */
static void refused_is_as_if_failed(void)
{
    struct wish wish = plain;
    struct world a, b;

    wish.fraction = "1";
    world_init(&a, 8);
    a.clients[3].behaviour = SENDS_NAN;
    run(&a, &wish, false);
    world_init(&b, 8);
    b.clients[3].behaviour = FAILS;
    run(&b, &wish, false);
    CHECK(same_model(&a, &b));
    CHECK(a.ledger.refused == 4 && b.ledger.failed == 4); /* in round 4 it is left alone */
    world_fini(&a);
    world_fini(&b);
}

/* Each is counted under its reason, and its client is told; nobody else is, and nobody is told to stop. */
static void refusals_are_counted_and_told(void)
{
    static const struct {
        enum behaviour behaviour;
        enum refusal refusal;
        const char *words;
    } kinds[] = {{SENDS_NAN, REFUSED_NON_FINITE, "not finite"},
                 {WRONG_SHAPE, REFUSED_SHAPE, "tensor"},
                 {SENDS_GARBAGE, REFUSED_TRUNCATED, ""},
                 {BRAGS, REFUSED_OTHER, "samples"}};
    struct wish wish = plain;
    struct world world;

    wish.fraction = "1";
    wish.rounds = 2;
    world_init(&world, 6);
    for (size_t i = 0; i < 4; i++)
        world.clients[i].behaviour = kinds[i].behaviour;
    run(&world, &wish, false);
    for (size_t i = 0; i < 4; i++) {
        CHECK(world.ledger.refused_for[kinds[i].refusal] == 2);
        CHECK(world.clients[i].refusals == 2 && strstr(world.clients[i].last_refusal, kinds[i].words));
    }
    CHECK(world.ledger.refused == 8 && world.ledger.refused_for[REFUSED_STALE] == 0);
    CHECK(world.clients[4].refusals == 0 && world.clients[5].refusals == 0);
    for (size_t i = 0; i < 6; i++)
        CHECK(world.clients[i].aborts == 0);
    world_fini(&world);
}

/* It fails in rounds 1, 2, 3, is left out of the fourth, fails in the fifth, is left out of two … */
static void who_fails_again_and_again_is_backed_off(void)
{
    struct wish wish = plain;
    struct world world, never;

    wish.fraction = "1";
    wish.rounds = 12;
    world_init(&world, 4);
    world.clients[1].behaviour = FAILS;
    run(&world, &wish, false);
    CHECK(world.status == SESSION_FINISHED && world.ledger.lost_rounds == 0);
    CHECK(world.clients[1].trainings == 5 && world.clients[1].last_round == 7);
    CHECK(world.ledger.failed == 5 && world.ledger.merged == 36);
    wish.more = "backoff_after: 0";
    world_init(&never, 4);
    never.clients[1].behaviour = FAILS;
    run(&never, &wish, false);
    CHECK(never.clients[1].trainings == 12);
    CHECK(same_model(&world, &never)); /* what it costs is time alone */
    world_fini(&world);
    world_fini(&never);
}

/* Client 1 has failed four times when the only good one is gone, client 2 three times. */
static void change_sides(struct world *world, const char *event, const json_t *fields)
{
    json_int_t round = json_integer_value(json_object_get(fields, "round"));

    if (strcmp(event, "round") != 0)
        return;
    if (round == 2)
        world->clients[2].behaviour = FAILS;
    if (round != 5)
        return;
    world->clients[1].behaviour = world->clients[2].behaviour = ANSWERS;
    roster_lost_contact(world->roster, roster_find(world->roster, "client-000"), "gone");
}

static void the_least_bad_are_taken_where_all_are_backed_off(void)
{
    struct wish wish = plain;
    struct world world;

    wish.fraction = "1";
    wish.rounds = 8;
    world_init(&world, 3);
    world.clients[1].behaviour = FAILS;
    world.observe = change_sides;
    run(&world, &wish, false);
    CHECK(world.status == SESSION_FINISHED && rounds_done(&world) == 8);
    CHECK(world.ledger.lost_rounds == 0);
    CHECK(world.clients[2].trainings == 8);
    CHECK(world.clients[1].trainings == 5 && world.clients[1].last_round == 7); /* rounds 1, 2, 3, 5, 8 */
    world_fini(&world);
}

/* One whose items are all held back for validation is neither benchmarked nor selected. */
static void who_has_nothing_to_train_on_is_not_asked(void)
{
    struct wish wish = plain;
    struct world world;

    wish.fraction = "1";
    wish.skip_benchmark = "false";
    wish.rounds = 3;
    world_init(&world, 4);
    world.clients[1].num_samples = world.clients[1].num_held_back = 1;
    world.clients[2].num_held_back = world.clients[2].num_samples - 1;
    run(&world, &wish, false);
    CHECK(world.status == SESSION_FINISHED);
    CHECK(world.ledger.sent == 9 && world.ledger.merged == 9);
    CHECK(world.clients[1].trainings == 0 && world.clients[1].benchmarks == 0 && world.clients[1].echoes > 0);
    CHECK(world.clients[2].trainings == 3 && world.clients[2].benchmarks == 1);
    world_fini(&world);
}

static void hung_client_costs_its_deadline(void)
{
    struct wish wish = plain;
    struct world world;

    wish.fraction = "1";
    wish.rounds = 1;
    world_init(&world, 4);
    world.config.comm_config.grpc.timeout_s = 0.3;
    world.clients[2].behaviour = HANGS;
    run(&world, &wish, false);
    CHECK(world.status == SESSION_FINISHED);
    CHECK(world.ledger.merged == 3 && world.ledger.failed == 1);
    CHECK(roster_find(world.roster, "client-002")->active); /* slow is not away */
    world_fini(&world);
}

/* Nobody answers: selected anew, counted, and given up in the end. */
static void lost_rounds_are_bounded(void)
{
    struct wish wish = plain;
    struct world world;

    wish.fraction = "1";
    world_init(&world, 3);
    for (size_t i = 0; i < 3; i++)
        world.clients[i].behaviour = FAILS;
    run(&world, &wish, false);
    CHECK(world.status == SESSION_FAILED);
    CHECK(strstr(world.reason, "nobody answered"));
    CHECK(rounds_done(&world) == 0);
    CHECK(world.ledger.lost_rounds == 5 && world.ledger.failed == 15);
    for (size_t i = 0; i < 3; i++) /* each selection is told apart, so that nobody answers for an earlier one */
        CHECK(world.clients[i].last_round == 0 && world.clients[i].last_attempt == 4);
    world_fini(&world);
}

/* More are chosen than are needed; the slow ones are told to stop, and cost nothing. */
static void over_selection_takes_the_first(void)
{
    struct wish wish = plain;
    struct world world;
    int aborts = 0;

    wish.more = "over_selection: 2";
    world_init(&world, 10);
    for (size_t i = 0; i < 5; i++)
        world.clients[2 * i].behaviour = HANGS;
    run(&world, &wish, false);
    CHECK(world.status == SESSION_FINISHED && rounds_done(&world) == 5);
    CHECK(world.ledger.sent == 50 && world.ledger.merged == 25 && world.ledger.dropped == 25);
    CHECK(world.ledger.lost_rounds == 0);
    for (size_t i = 0; i < 10; i++) {
        CHECK(world.clients[i].trainings == 5);
        aborts += world.clients[i].aborts;
        CHECK(i % 2 == 0 || world.clients[i].aborts == 0);
    }
    CHECK(aborts == 25);
    world_fini(&world);
}

/* A round with too few answers is lost, and what came for it counts as dropped. */
static void quorum_is_kept(void)
{
    struct wish wish = plain;
    struct world enough, short_of_it;

    wish.fraction = "1";
    wish.more = "quorum: 60%";
    world_init(&enough, 5);
    enough.clients[1].behaviour = FAILS;
    enough.clients[3].behaviour = SENDS_NAN;
    run(&enough, &wish, false);
    CHECK(enough.status == SESSION_FINISHED && enough.ledger.merged == 15 && enough.ledger.dropped == 0);
    wish.more = "quorum: 61%";
    world_init(&short_of_it, 5);
    short_of_it.clients[1].behaviour = FAILS;
    short_of_it.clients[3].behaviour = SENDS_NAN;
    run(&short_of_it, &wish, false);
    CHECK(short_of_it.status == SESSION_FAILED);
    CHECK(strstr(short_of_it.reason, "quorum"));
    CHECK(short_of_it.ledger.merged == 0 && short_of_it.ledger.dropped == 15 && short_of_it.ledger.lost_rounds == 5);
    world_fini(&enough);
    world_fini(&short_of_it);
}

/* Bulyan with f = 1 needs seven updates: with six a round is lost, and six selected can never be enough. */
static void too_few_for_the_rule(void)
{
    struct wish wish = plain;
    struct world short_of_it, never;

    wish.aggregator = "bulyan";
    wish.fraction = "1";
    wish.more = "aggregator_args: {f: 1}";
    world_init(&short_of_it, 7);
    short_of_it.clients[3].behaviour = FAILS;
    run(&short_of_it, &wish, false);
    CHECK(short_of_it.status == SESSION_FAILED);
    CHECK(strstr(short_of_it.reason, "6 updates are too few"));
    CHECK(short_of_it.ledger.merged == 0 && short_of_it.ledger.dropped == 30 && short_of_it.ledger.lost_rounds == 5);
    world_init(&never, 6);
    run(&never, &wish, false);
    CHECK(never.status == SESSION_FAILED);
    CHECK(strstr(never.reason, "needs 4 f + 3 = 7 clients selected"));
    CHECK(never.ledger.sent == 0);
    world_fini(&short_of_it);
    world_fini(&never);
}

/* The same where nobody is left to bring the round to what it waits for. */
static void too_few_for_the_rule_of_a_reliable_round(void)
{
    struct wish wish = plain;
    struct world world;

    wish.aggregator = "bulyan";
    wish.selection = "reliable_fedavg";
    wish.fraction = "1";
    wish.more = "aggregator_args: {f: 1}";
    world_init(&world, 7);
    world.clients[3].behaviour = DIES;
    run(&world, &wish, false);
    CHECK(world.status == SESSION_FAILED);
    CHECK(strstr(world.reason, "needs 4 f + 3 = 7 clients selected"));
    CHECK(world.ledger.lost_rounds == 1 && world.ledger.merged == 0 && world.ledger.dropped == 6);
    world_fini(&world);
}

/* Nobody is left to replace those who failed: the round ends with what came, each client counted once. */
static void a_reliable_round_ends_with_what_came(void)
{
    struct wish wish = plain;
    struct world world;

    wish.selection = "reliable_fedavg";
    wish.fraction = "1";
    wish.rounds = 2;
    world_init(&world, 6);
    world.clients[1].behaviour = DIES;
    world.clients[4].behaviour = DIES;
    run(&world, &wish, false);
    CHECK(world.status == SESSION_FINISHED && rounds_done(&world) == 2);
    CHECK(world.ledger.merged == 8 && world.ledger.failed == 2 && world.ledger.lost_rounds == 0);
    for (size_t i = 0; i < 6; i++)
        CHECK(world.clients[i].trainings == (i == 1 || i == 4 ? 1 : 2));
    world_fini(&world);
}

/* Where somebody always trains no round is lost, however bad the answers are. */
static void a_hopeless_asynchronous_session_ends(void)
{
    struct wish wish = plain;
    struct world world;

    wish.aggregator = wish.selection = "fedasync";
    wish.fraction = "1";
    world_init(&world, 4);
    world.asynchronous = true;
    for (size_t i = 0; i < 4; i++)
        world.clients[i].behaviour = SENDS_NAN;
    run(&world, &wish, false);
    CHECK(world.status == SESSION_FAILED && strstr(world.reason, "in a row"));
    CHECK(world.ledger.refused > 20 && world.ledger.refused < 40);
    world_fini(&world);
}

static void a_round_has_its_deadline(void)
{
    struct wish wish = plain;
    struct world world;

    wish.fraction = "1";
    wish.rounds = 2;
    wish.more = "round_deadline_s: 200ms";
    world_init(&world, 4);
    world.clients[2].behaviour = HANGS;
    run(&world, &wish, false);
    CHECK(world.status == SESSION_FINISHED);
    CHECK(world.ledger.merged == 6 && world.ledger.failed == 2);
    CHECK(world.clients[2].aborts == 2); /* it is told, and may be asked again */
    for (size_t i = 0; i < 4; i++)
        CHECK(world.clients[i].last_file_timeout_s < 1); /* the way of the model's files counts too */
    world_fini(&world);
}

static void no_free(struct validator *self)
{
    (void)self;
}

static int diverge(struct validator *self, const float *weights, bool (*stop)(const void *context),
                   const void *stop_context, struct validation_figures *out, struct error *err)
{
    (void)self;
    (void)weights;
    (void)stop;
    (void)stop_context;
    (void)err;
    *out = (struct validation_figures){.loss = NAN, .accuracy = 10, .num_items = 100};
    return OK;
}

/* A loss that is no number is told as null: it must not look as if there were none, or as a good one. */
/* What an aggregator wants of clients travels with the request. */
static void strategies_ask_clients_for_more(void)
{
    struct wish wish = plain;
    struct world world;

    wish.fraction = "1";
    wish.aggregator = "fedprox, aggregator_args: {mu: 0.25}";
    world_init(&world, 3);
    run(&world, &wish, false);
    CHECK(world.status == SESSION_FINISHED && rounds_done(&world) == 5);
    CHECK(strcmp(world.clients[1].last_requires, "proximal") == 0 && world.clients[1].last_mu == 0.25);
    world_fini(&world);

    wish.aggregator = "qfedavg";
    world_init(&world, 3);
    run(&world, &wish, false);
    CHECK(world.status == SESSION_FINISHED && rounds_done(&world) == 5);
    CHECK(strcmp(world.clients[1].last_requires, "initial_loss") == 0 && world.clients[1].last_initial_loss);
    world_fini(&world);

    wish.aggregator = "scaffold";
    wish.timeout = "0, optimizer: {name: sgd, args: {lr: 0.01}}";
    world_init(&world, 3);
    run(&world, &wish, false);
    CHECK(world.status == SESSION_FINISHED && rounds_done(&world) == 5);
    CHECK(strcmp(world.clients[1].last_requires, "correction") == 0 && world.clients[1].last_correction != 0);
    world_fini(&world);
}

/* A client that lacks what the strategy needs ends the session, and the reason says so; plain training is no trouble.
 */
static void an_unable_client_ends_the_session(void)
{
    struct wish wish = plain;
    struct world world;

    wish.fraction = "1";
    world_init(&world, 3);
    world.clients[1].behaviour = LACKS_EXTRAS;
    run(&world, &wish, false);
    CHECK(world.status == SESSION_FINISHED && world.ledger.failed == 0);
    CHECK(strcmp(world.clients[1].last_requires, "") == 0);
    world_fini(&world);

    wish.aggregator = "fedprox";
    world_init(&world, 3);
    world.clients[1].behaviour = LACKS_EXTRAS;
    run(&world, &wish, false);
    CHECK(world.status == SESSION_FAILED);
    CHECK(strstr(world.reason, "the strategy needs more than I can do"));
    CHECK(rounds_done(&world) <= 1 && world.ledger.lost_rounds == 0); /* the others may still complete the first */
    world_fini(&world);
}

static void a_loss_that_is_no_number_is_null(void)
{
    struct validator diverging = {diverge, no_free};
    struct world world;
    json_t *round;

    world_init(&world, 4);
    everybody_advertises(&world);
    begin(&world, &plain, &diverging);
    loop_run(world.loop);
    round = json_array_get(json_object_get(world.json, "rounds"), 0);
    CHECK(json_is_null(json_object_get(round, "loss")));
    CHECK(json_real_value(json_object_get(round, "accuracy")) == 10);
    world_fini(&world);
}

/* A session that asks for 100 rounds and has `args` as termination_condition_args ends earlier, for that reason. */
static size_t ends_by(const char *condition, const char *args, struct validator *validator, const char *reason)
{
    struct wish wish = plain;
    struct world world;
    char more[400];
    size_t rounds;

    snprintf(more, sizeof more, "termination_condition: %s, termination_condition_args: {%s}", condition, args);
    wish.more = more;
    wish.rounds = 100;
    world_init(&world, 6);
    for (size_t i = 0; i < 6; i++)
        world.clients[i].delay_ns = 10000000;
    everybody_advertises(&world);
    begin(&world, &wish, validator);
    loop_run(world.loop);
    check_ledger(&world);
    CHECK(world.status == SESSION_FINISHED);
    if (!strstr(world.reason, reason)) {
        fprintf(stderr, "%s: %s\n", condition, world.reason);
        exit(1);
    }
    rounds = rounds_done(&world);
    world_fini(&world);
    return rounds;
}

static void terminations_end_it(void)
{
    struct validator diverging = {diverge, no_free}; /* the same accuracy for ever */
    static const char both[] = "accuracy_plateau: {patience: 8}, wall_clock: {limit: 1h}";

    CHECK(ends_by("accuracy_target", "accuracy_target: {target: 61}", &measuring, "reached the target of 61") < 100);
    CHECK(ends_by("loss_threshold", "loss_threshold: {threshold: 3}", &measuring, "reached the threshold of 3") < 100);
    CHECK(ends_by("accuracy_plateau", "accuracy_plateau: {patience: 3}", &diverging, "above 10.00 % in 3 val") == 4);
    CHECK(ends_by("convergence", "convergence: {patience: 2, delta: 0.1}", NULL, "in each of 2 rounds") < 100);
    CHECK(ends_by("wall_clock", "wall_clock: {limit: 30ms}", NULL, "time limit of 0.03 s") <= 3); /* of 10 ms each */
    CHECK(ends_by("[accuracy_plateau, wall_clock]", both, &diverging, "in 8 validations") == 9);
}

static void validates_at_its_interval(void)
{
    struct wish wish = plain;
    struct world world;

    wish.more = "validation_round_interval: 3";
    wish.rounds = 6;
    world_init(&world, 4);
    run(&world, &wish, true);
    for (size_t i = 0; i < 6; i++) {
        json_t *round = json_array_get(json_object_get(world.json, "rounds"), i);

        CHECK(json_is_real(json_object_get(round, "accuracy")) == (i == 0 || i == 3 || i == 5));
    }
    world_fini(&world);
}

/* The asynchronous members on the same loop: a round is one client's update, and not one more than asked for. */
static void asynchronous_session(void)
{
    struct wish wish = {"fedasync", "fedasync", "0.5", "aggregator_args: {alpha: 0.5}", "true", "0", 30, NULL};

    for (unsigned delay_ms = 0; delay_ms < 3; delay_ms++) {
        struct world world;

        world_init(&world, 16);
        for (size_t i = 0; i < 16; i++)
            world.clients[i].delay_ns = (i % 3 * delay_ms) * 1000000u;
        world.clients[1].behaviour = FAILS;
        world.asynchronous = true;
        run(&world, &wish, true);
        CHECK(world.status == SESSION_FINISHED);
        CHECK(rounds_done(&world) == 30);
        CHECK(world.ledger.merged == 30);
        world_fini(&world);
    }
}

/* Answers that come when the last round is done are failures of the ledger; no round is lost by them. */
static void the_end_loses_no_round(void)
{
    struct wish wish = {"fedasync", "fedasync", "1.0", "aggregator_args: {alpha: 0.5}", "true", "0", 1, NULL};

    for (unsigned i = 0; i < 50; i++) {
        struct world world;

        world_init(&world, 3);
        world.asynchronous = true;
        run(&world, &wish, true);
        CHECK(world.status == SESSION_FINISHED);
        CHECK(world.ledger.lost_rounds == 0);
        world_fini(&world);
    }
}

static void benchmarks_who_lacks_a_figure(void)
{
    struct wish wish = plain;
    struct world world;

    wish.skip_benchmark = "false";
    world_init(&world, 5);
    run(&world, &wish, false);
    for (size_t i = 0; i < 5; i++) {
        const struct bench_advert *row = roster_benchmark(roster_at(world.roster, i), "tiny");

        CHECK(world.clients[i].benchmarks == 1);
        CHECK(row && row->num_mini_batches == 4 && fabs(row->time_taken_s - 0.5) < 1e-6);
    }
    CHECK(world.status == SESSION_FINISHED);
    world_fini(&world);
}

static void refuses_without_clients(void)
{
    struct world world;

    world_init(&world, 0);
    run(&world, &plain, false);
    CHECK(world.status == SESSION_FAILED);
    CHECK(strstr(world.reason, "0 of 1 clients"));
    world_fini(&world);
}

struct late_advert {
    struct loop_timer timer;
    struct world *world;
};

static void advertise_late(struct loop_timer *timer)
{
    everybody_advertises(CONTAINER_OF(timer, struct late_advert, timer)->world);
}

static void waits_for_clients(void)
{
    struct wish wish = plain;
    struct world world;
    struct late_advert late = {.world = &world};

    wish.more = "wait_for_clients: {min_clients: 4, max_wait_s: 30}";
    world_init(&world, 4);
    loop_timer_init(&late.timer, advertise_late);
    CHECK(loop_timer_set(world.loop, &late.timer, 20000000u, NULL) == OK);
    begin(&world, &wish, NULL);
    loop_run(world.loop);
    CHECK(world.status == SESSION_FINISHED);
    world_fini(&world);
}

/* The waiting for clients has an end of its own: no later wait, here for the benchmarks, is cut short by what is left
 * of it. */
static void waits_for_benchmarks_after_clients(void)
{
    struct wish wish = plain;
    struct world world;
    struct late_advert late = {.world = &world};

    wish.skip_benchmark = "false";
    wish.more = "wait_for_clients: {min_clients: 4, max_wait_s: 30, poll_interval_s: 60ms}";
    world_init(&world, 4);
    for (size_t i = 0; i < 4; i++)
        world.clients[i].bench_delay_ns = 300000000u;
    loop_timer_init(&late.timer, advertise_late);
    CHECK(loop_timer_set(world.loop, &late.timer, 20000000u, NULL) == OK);
    begin(&world, &wish, NULL);
    loop_run(world.loop);
    CHECK(world.status == SESSION_FINISHED);
    CHECK(world.clients[0].benchmarks == 1);
    world_fini(&world);
}

static void stop_after_third(struct world *world, const char *event, const json_t *fields)
{
    if (strcmp(event, "round") == 0 && json_integer_value(json_object_get(fields, "round")) == 3)
        session_stop_after_round(world->session, "enough");
}

static void stops_after_the_running_round(void)
{
    struct world world;

    world_init(&world, 6);
    world.observe = stop_after_third;
    run(&world, &plain, false);
    CHECK(world.status == SESSION_STOPPED);
    CHECK(strcmp(world.reason, "enough") == 0);
    CHECK(rounds_done(&world) == 3);
    world_fini(&world);
}

static void stop_at_once(struct world *world, const char *event, const json_t *fields)
{
    if (strcmp(event, "update") == 0 && json_integer_value(json_object_get(fields, "round")) == 2)
        session_stop_now(world->session, "leaving");
}

/* What is under way counts as failed, and the clients are told to stop. */
static void breaking_off_balances_the_ledger(void)
{
    struct wish wish = plain;
    struct world world;

    wish.fraction = "1";
    world_init(&world, 6);
    for (size_t i = 3; i < 6; i++)
        world.clients[i].delay_ns = 300000000u;
    world.observe = stop_at_once;
    run(&world, &wish, false);
    CHECK(world.status == SESSION_STOPPED);
    CHECK(rounds_done(&world) == 1);
    CHECK(world.ledger.failed >= 3);
    for (size_t i = 3; i < 6; i++)
        CHECK(world.clients[i].aborts == 1);
    world_fini(&world);
}

static void stop_at_fifth_update(struct world *world, const char *event, const json_t *fields)
{
    (void)fields;
    if (strcmp(event, "update") == 0 && ++world->updates == 5)
        session_stop_now(world->session, "leaving");
}

/* Three updates made a model; of those in the buffer at the end none will. */
static void a_buffer_that_is_not_full_was_not_merged(void)
{
    struct wish wish = {"fedbuff", "fedasync", "1", "aggregator_args: {buffer_size: 3}", "true", "0", 9, NULL};
    struct world world;

    world_init(&world, 4);
    world.asynchronous = true;
    world.observe = stop_at_fifth_update;
    run(&world, &wish, false);
    CHECK(world.status == SESSION_STOPPED);
    CHECK(rounds_done(&world) > 0);
    CHECK(world.ledger.merged == 3 * (int64_t)rounds_done(&world));
    CHECK(rounds_done(&world) > 1 || world.ledger.dropped >= 2);
    world_fini(&world);
}

/* ---- an observer that halts the session ---- */

struct halting {
    struct world *world;
    struct probes *probes;
    int slot, seen;
    struct loop_timer timer;
    size_t merged_while_held;
};

static struct halting halting;

static void look(struct loop_timer *timer)
{
    struct world *world = halting.world;

    if (probe_state(halting.probes, halting.slot) == PROBE_HIT) {
        halting.seen++;
        /* Killed while the session stands still: its update must not count. */
        if (halting.seen == 1)
            roster_lost_contact(world->roster, roster_find(world->roster, "client-002"), "killed by the test");
        if (halting.seen == 20) {
            halting.merged_while_held = (size_t)session_ledger(world->session)->merged;
            probe_release(halting.probes, halting.slot);
            return;
        }
    }
    CHECK(loop_timer_set(world->loop, timer, 1000000u, NULL) == OK);
}

static void barrier_holds_the_round(void)
{
    struct wish wish = plain;
    struct world world;
    struct probes probes;
    int notify = eventfd(0, EFD_NONBLOCK);

    wish.fraction = "1";
    wish.rounds = 3;
    probes_init(&probes, notify);
    world_init(&world, 5);
    world.clients[2].delay_ns = 5000000u;
    world.host.probes = &probes;
    halting = (struct halting){.world = &world, .probes = &probes};
    halting.slot = probe_arm(&probes, "leader.training", 1);
    CHECK(halting.slot >= 0);
    loop_timer_init(&halting.timer, look);
    CHECK(loop_timer_set(world.loop, &halting.timer, 1000000u, NULL) == OK);
    run(&world, &wish, true);
    CHECK(halting.seen == 20);
    CHECK(halting.merged_while_held == 5); /* the first round's: nothing of the second was taken while held */
    CHECK(world.status == SESSION_FINISHED && rounds_done(&world) == 3);
    CHECK(world.ledger.merged == 5 + 4 + 4 && world.ledger.failed == 1);
    world_fini(&world);
    close(notify);
}

static void leaves_a_run_folder(void)
{
    char dir[] = "/tmp/flosim-session-XXXXXX", path[100];
    static const char *const names[] = {"events.jsonl", "rounds.csv", "clients.csv", "session.yaml",
                                        "model.safetensors"};
    struct world world;
    struct blob *file;

    CHECK(mkdtemp(dir));
    world_init(&world, 4);
    world.dir = dir;
    run(&world, &plain, true);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        CHECK(fs_exists(path));
    }
    CHECK(fs_read(path, 1 << 20, &file, NULL) == OK);
    CHECK(blob_size(file) == blob_size(world.model));
    CHECK(memcmp(blob_bytes(file), blob_bytes(world.model), blob_size(file)) == 0);
    blob_unref(file);
    world_fini(&world);
    CHECK(fs_remove_tree(dir, NULL) == OK);
}

static void many_clients(void)
{
    struct wish wish = plain;
    struct world world;

    wish.fraction = "1";
    wish.rounds = 3;
    world_init(&world, MAX_CLIENTS);
    run(&world, &wish, false);
    CHECK(world.status == SESSION_FINISHED);
    CHECK(world.ledger.merged == 3 * MAX_CLIENTS);
    world_fini(&world);
}

int main(void)
{
    trains_all_rounds();
    order_of_answers_does_not_matter();
    bad_clients_do_not_stop_it();
    refused_is_as_if_failed();
    refusals_are_counted_and_told();
    who_fails_again_and_again_is_backed_off();
    the_least_bad_are_taken_where_all_are_backed_off();
    who_has_nothing_to_train_on_is_not_asked();
    hung_client_costs_its_deadline();
    lost_rounds_are_bounded();
    over_selection_takes_the_first();
    quorum_is_kept();
    too_few_for_the_rule();
    too_few_for_the_rule_of_a_reliable_round();
    a_round_has_its_deadline();
    a_reliable_round_ends_with_what_came();
    a_hopeless_asynchronous_session_ends();
    strategies_ask_clients_for_more();
    an_unable_client_ends_the_session();
    a_loss_that_is_no_number_is_null();
    terminations_end_it();
    validates_at_its_interval();
    asynchronous_session();
    the_end_loses_no_round();
    benchmarks_who_lacks_a_figure();
    refuses_without_clients();
    waits_for_clients();
    waits_for_benchmarks_after_clients();
    stops_after_the_running_round();
    breaking_off_balances_the_ledger();
    a_buffer_that_is_not_full_was_not_merged();
    barrier_holds_the_round();
    leaves_a_run_folder();
    many_clients();
    puts("ok");
    return 0;
}
