/* A leader that dies after any event of a session: what the state holds at that instant goes to a new leader with a new
 * roster, which restores the session and runs it to its end. Crashes are copies of the state: nothing that the old
 * session does afterwards reaches them. */
#include <math.h>

#include "session_world.h"
#include "state/batch.h"

enum { MOST_CRASHES = 400, CLIENTS = 8 };

static struct crash {
    struct state_snapshot *state;
    size_t rounds;
    char event[24];
} crashes[MOST_CRASHES];
static size_t num_crashes;

static void crash_here(struct world *world, const char *event, const json_t *fields)
{
    struct crash *crash = &crashes[num_crashes];

    (void)fields;
    if (num_crashes == MOST_CRASHES)
        return;
    CHECK(state_snapshot(world->state, "session-1", &crash->state, NULL) == OK);
    snprintf(crash->event, sizeof crash->event, "%s", event);
    num_crashes++;
}

static void forget_crashes(void)
{
    while (num_crashes > 0)
        state_snapshot_free(crashes[--num_crashes].state);
}

static void fill_state(struct state *state, const struct state_snapshot *from)
{
    struct state_batch *batch = state_batch_new();

    CHECK(batch);
    for (size_t i = 0; i < from->n; i++)
        CHECK(state_batch_put(batch, from->entries[i].store, "session-1", from->entries[i].key, from->entries[i].value,
                              NULL) == OK);
    state_commit(state, batch, NULL);
}

static const struct session_restore restoring = {.restore = true, .from = "memory"};
static const struct session_restore reviving = {.revive = true, .from = "memory"};
static const struct session_restore either = {.restore = true, .revive = true, .from = "memory"};

/* The whole of a client as it is set up in every world of a test. */
static void set_clients(struct world *world, bool asynchronous)
{
    world->asynchronous = asynchronous;
    for (size_t i = 0; i < world->net.n; i++) {
        world->clients[i].delay_ns = (uint64_t)(i * 37 % 5) * 300000u;
        world->clients[i].bench_s = 0.5f + (float)(i % 3);
    }
}

static void restore_world(struct world *world, const struct crash *crash, bool asynchronous)
{
    world_init(world, CLIENTS);
    set_clients(world, asynchronous);
    fill_state(world->state, crash->state);
    everybody_advertises(world);
}

/* What rounds have in common wherever they ran: not times, not what the loop's lag was. */
static bool same_figures(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"round",      "selected",       "merged",       "refused",
                                       "failed",     "dropped",        "accuracy",     "loss",
                                       "train_loss", "train_accuracy", "learning_rate"};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!json_equal(json_object_get(a, keys[i]), json_object_get(b, keys[i]))) {
            fprintf(stderr, "%s differs\n", keys[i]);
            return false;
        }
    return true;
}

static bool same_rounds(const struct world *a, const struct world *b)
{
    const json_t *of_a = json_object_get(a->json, "rounds"), *of_b = json_object_get(b->json, "rounds");

    for (size_t i = 0; i < json_array_size(of_a); i++)
        if (!same_figures(json_array_get(of_a, i), json_array_get(of_b, i)))
            return false;
    return json_array_size(of_a) == json_array_size(of_b);
}

/* A session without a crash, whose events are where others crash. */
static void run_whole(struct world *world, const struct wish *wish, bool asynchronous)
{
    world_init(world, CLIENTS);
    set_clients(world, asynchronous);
    world->observe = crash_here;
    run(world, wish, true);
    CHECK(world->status == SESSION_FINISHED);
    CHECK(num_crashes > 10);
}

static void fail_at(const struct wish *wish, const struct crash *crash, const char *what)
{
    fprintf(stderr, "%s with %s, after event %td (%s): %s\n", wish->aggregator, wish->selection, crash - crashes,
            crash->event, what);
    exit(1);
}

static void restored_runs_end_the_same(const struct wish *wish, const struct world *whole)
{
    char refusal[640];

    for (size_t i = 0; i < num_crashes; i++) {
        struct world world;

        restore_world(&world, &crashes[i], false);
        CHECK(begin_restored(&world, wish, &measuring, &restoring, refusal)); /* a finished one, too: it ends at once */
        loop_run(world.loop);
        check_ledger(&world);
        if (world.status != SESSION_FINISHED)
            fail_at(wish, &crashes[i], world.reason);
        if (!same_model(&world, whole))
            fail_at(wish, &crashes[i], "another model");
        if (!same_rounds(&world, whole))
            fail_at(wish, &crashes[i], "other figures");
        CHECK(world.ledger.merged == whole->ledger.merged && world.ledger.sent == whole->ledger.sent);
        world_fini(&world);
    }
}

static void synchronous_sessions_go_on_exactly(void)
{
    static const char none[] = "checkpoint_interval: 0";
    static const struct wish wishes[] = {
        {"fedavg", "fedavg", "0.5", "validation_round_interval: 2", "true", "0", 4, NULL},
        {"fedavg", "reliable_fedavg", "0.5", none, "true", "0", 4, NULL},
        {"fedadam", "fedavg", "0.5", none, "true", "0", 4, NULL},
        {"scaffold", "fedavg", "0.5", none, "true", "0, optimizer: {name: sgd, args: {lr: 0.01}}, lr_schedule: cosine",
         4, NULL},
        {"fedavg", "tifl", "",
         "termination_condition: [accuracy_plateau, convergence, wall_clock], "
         "termination_condition_args: {accuracy_plateau: {patience: 3, delta: 1}, wall_clock: {limit: 1h}}",
         "false", "0", 5, "num_tiers: 2, num_clients: 2, validation_round_interval: 2"},
        {"fedavg", "haccs", "0.5", none, "false", "0", 4, NULL},
        {"fedavg", "high_loss", "", none, "true", "0", 5, "percentage_client_selection: 0.5"},
        {"median", "random_subset", "0.5", "quorum: 50%", "true", "0", 3, NULL},
    };

    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) {
        struct world whole;

        run_whole(&whole, &wishes[i], false);
        restored_runs_end_the_same(&wishes[i], &whole);
        world_fini(&whole);
        forget_crashes();
    }
}

/* ---- who is not there ---- */

/* The state after the second round of a plain session. */
static const struct crash *after_second_round(const struct wish *wish, struct world *whole)
{
    size_t seen = 0;

    run_whole(whole, wish, false);
    for (size_t i = 0; i < num_crashes; i++) {
        seen += strcmp(crashes[i].event, "round") == 0;
        if (seen == 2)
            return &crashes[i];
    }
    CHECK(!"there was a second round");
    return NULL;
}

/* Everybody but one. */
static void run_short(struct world *world, const struct wish *wish, const struct crash *crash,
                      const struct session_restore *how)
{
    world_init(world, CLIENTS);
    fill_state(world->state, crash->state);
    for (size_t i = 1; i < CLIENTS; i++)
        memory_client_advertise(&world->net, &world->clients[i], world->roster);
    begin_restored(world, wish, &measuring, how, NULL);
    loop_run(world->loop);
}

static json_t *value_of(struct world *world, const char *key)
{
    struct blob *value;
    json_t *json;

    CHECK(state_get(world->state, STORE_TRAINING_SESSION, "session-1", key, &value, NULL) == OK);
    json = json_loadb(blob_bytes(value), blob_size(value), 0, NULL);
    blob_unref(value);
    return json;
}

static void a_missing_client_is_told(void)
{
    struct wish wish = plain;
    struct world whole, refused, revived, fallen;
    const struct crash *crash = after_second_round(&plain, &whole);
    json_t *status;

    wish.more = "wait_for_clients: {max_wait_s: 300ms}";
    run_short(&refused, &wish, crash, &restoring);
    CHECK(refused.status == SESSION_FAILED);
    CHECK(strstr(refused.reason, "1 of its 8 clients") && strstr(refused.reason, "client-000"));
    status = value_of(&refused, "status"); /* it can be tried again */
    CHECK(strcmp(json_string_value(json_object_get(status, "status")), "running") == 0);
    json_decref(status);

    run_short(&revived, &wish, crash, &reviving);
    CHECK(revived.status == SESSION_FINISHED && rounds_done(&revived) == 5);
    CHECK(revived.ledger.merged >= 8 + 9); /* the first two rounds count too */
    check_ledger(&revived);
    run_short(&fallen, &wish, crash, &either);
    CHECK(fallen.status == SESSION_FINISHED && same_model(&fallen, &revived));
    world_fini(&whole);
    world_fini(&refused);
    world_fini(&revived);
    world_fini(&fallen);
    forget_crashes();
}

/* ---- another session, or no session ---- */

static void refused_with(const struct wish *wish, const struct crash *crash, const struct session_restore *how,
                         const char *key, enum store_name store, const char *value, const char *reason)
{
    char refusal[640];
    struct world world;
    struct state_batch *batch = state_batch_new();

    restore_world(&world, crash, false);
    if (key && value)
        CHECK(state_batch_put_text(batch, store, "session-1", key, value, NULL) == OK);
    else if (key)
        CHECK(state_batch_delete(batch, store, "session-1", key, NULL) == OK);
    state_commit(world.state, batch, NULL);
    CHECK(!begin_restored(&world, wish, &measuring, how, refusal));
    if (!strstr(refusal, reason)) {
        fprintf(stderr, "%s: %s\n", key ? key : "-", refusal);
        exit(1);
    }
    world_fini(&world);
}

static void what_does_not_fit_is_refused(void)
{
    static const struct {
        enum store_name store;
        const char *key, *value, *reason;
        bool revive_too;
    } damages[] = {
        {STORE_TRAINING_SESSION, "round", NULL, "has no `round`", true},
        {STORE_TRAINING_SESSION, "round", "{\"round\":", "`round` is damaged", true},
        {STORE_TRAINING_SESSION, "round", "{\"round\":-3}", "`round` is damaged", true},
        {STORE_TRAINING_SESSION, "status", NULL, "has no `status`", true},
        {STORE_TRAINING_SESSION, "settings", "{}", "absent in the session that is kept", false},
        {STORE_TRAINING_SESSION, "ledger", "[]", "`ledger` is damaged", true},
        {STORE_TRAINING_SESSION, "rounds.2", NULL, "has no `rounds.2`", true},
        {STORE_TRAINING_SESSION, "rounds.2", "{\"round\":7}", "`rounds.2` is damaged", true},
        {STORE_TRAINING_SESSION, "global_model", "short", "`global_model` does not fit the model tiny", true},
        {STORE_TRAINING_SESSION, "clients", "{}", "`clients` is damaged", false},
        {STORE_TRAINING_SESSION, "model", "{\"id\":\"tiny\",\"hash\":\"0x77\"}", "(hash 0x77)", false},
        {STORE_TRAINING_STATE, "client.client-003", "{\"client\":\"client-003\"}", "`client.client-003`", false},
        {STORE_AGGREGATOR_STATE, "aggregator.fedavg.header", NULL, "aggregator fedavg", false},
        {STORE_AGGREGATOR_STATE, "aggregator.fedavg.header", "xyz", "aggregator fedavg", false},
    };
    struct wish wish = plain;
    struct world whole;
    const struct crash *crash = after_second_round(&plain, &whole);

    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        refused_with(&plain, crash, &restoring, damages[i].key, damages[i].store, damages[i].value, damages[i].reason);
        if (damages[i].revive_too)
            refused_with(&plain, crash, &reviving, damages[i].key, damages[i].store, damages[i].value,
                         damages[i].reason);
    }
    wish.fraction = "0.25";
    refused_with(&wish, crash, &restoring, NULL, 0, NULL,
                 "session_config.client_selection_args.client_fraction is 0.5 in the session that is kept and 0.25");
    wish = plain;
    wish.rounds = 2;
    refused_with(&wish, crash, &restoring, NULL, 0, NULL, "has done 2 rounds, and num_training_rounds is 2");
    world_fini(&whole);
    forget_crashes();
}

/* A finished session goes on when it is given more rounds. */
static void rounds_may_be_raised(void)
{
    struct wish more = plain;
    struct world whole, longer, raised;

    more.rounds = 7;
    run_whole(&longer, &more, false);
    forget_crashes();
    run_whole(&whole, &plain, false);
    restore_world(&raised, &crashes[num_crashes - 1], false);
    CHECK(begin_restored(&raised, &more, &measuring, &restoring, NULL));
    loop_run(raised.loop);
    CHECK(raised.status == SESSION_FINISHED && same_model(&raised, &longer) && same_rounds(&raised, &longer));
    world_fini(&whole);
    world_fini(&longer);
    world_fini(&raised);
    forget_crashes();
}

/* ---- updates of the interrupted round ---- */

static size_t num_kept(const struct crash *crash)
{
    size_t n = 0;

    for (size_t i = 0; i < crash->state->n; i++)
        n += strncmp(crash->state->entries[i].key, "update.", 7) == 0;
    return n / 2; /* head and weights */
}

static int64_t rounds_at(const struct crash *crash)
{
    for (size_t i = 0; i < crash->state->n; i++)
        if (strcmp(crash->state->entries[i].key, "round") == 0)
            return strtoll((char *)blob_bytes(crash->state->entries[i].value) + strlen("{\"round\":"), NULL, 10);
    CHECK(!"the state has a round");
    return 0;
}

/* Whose update was kept is not asked again, and counts once. */
static void kept_updates_count_once(void)
{
    static const struct wish wish = {"fedavg", "reliable_fedavg", "0.5", "checkpoint_interval: 0", "true", "0", 3,
                                     NULL};
    struct world whole;
    size_t most = 0;

    world_init(&whole, CLIENTS);
    set_clients(&whole, false);
    whole.observe = crash_here;
    whole.keeps_updates = true;
    run(&whole, &wish, true);
    for (size_t i = 0; i < num_crashes; i++) {
        struct world world;
        char refusal[640];
        size_t trainings = 0, kept = num_kept(&crashes[i]);

        restore_world(&world, &crashes[i], false);
        world.keeps_updates = true;
        CHECK(begin_restored(&world, &wish, &measuring, &restoring, refusal));
        loop_run(world.loop);
        for (size_t c = 0; c < CLIENTS; c++)
            trainings += (size_t)world.clients[c].trainings;
        CHECK(trainings + kept == (size_t)(3 - rounds_at(&crashes[i])) * CLIENTS / 2);
        CHECK(!world.model || (same_model(&world, &whole) && same_rounds(&world, &whole)));
        most = kept > most ? kept : most;
        world_fini(&world);
    }
    CHECK(most == CLIENTS / 2 - 1);
    CHECK(num_kept(&crashes[num_crashes - 1]) == 0);
    world_fini(&whole);
    forget_crashes();
}

struct merged_sum {
    int64_t merged;
};

static int add_merged(void *context, const char *key, struct blob *value)
{
    struct merged_sum *sum = context;
    json_t *json = json_loadb(blob_bytes(value), blob_size(value), 0, NULL);

    if (strncmp(key, "client.", 7) == 0)
        sum->merged +=
            json_integer_value(json_object_get(json, "merged")) - json_integer_value(json_object_get(json, "unused"));
    json_decref(json);
    return OK;
}

/* The ledger and what is kept of each client tell the same, also of updates that the aggregator held when its leader
 * died: they are given up, on both sides. */
static bool tallies_agree(const struct world *world)
{
    struct merged_sum sum = {0};

    CHECK(state_each(world->state, STORE_TRAINING_STATE, "session-1", add_merged, &sum, NULL) == OK);
    return sum.merged == world->ledger.merged;
}

/* ---- asynchronous sessions: no bytes to compare, but nothing is counted twice, and no round is lost ---- */

static void asynchronous_sessions_go_on(void)
{
    static const struct wish wishes[] = {
        {"fedasync", "fedasync", "0.5", "aggregator_args: {alpha: 0.5}", "true", "0", 12, NULL},
        {"fedbuff", "fedasync", "0.5", "aggregator_args: {buffer_size: 3}", "true", "0", 6, NULL},
        {"fedat", "fedat", "", "checkpoint_interval: 0", "false", "0", 6,
         "num_tiers: 3, num_clients_selected_per_tier: 2"},
    };

    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) {
        struct world whole;

        run_whole(&whole, &wishes[i], true);
        for (size_t c = 0; c < num_crashes; c++) {
            struct world world;
            char refusal[640];

            restore_world(&world, &crashes[c], true);
            CHECK(begin_restored(&world, &wishes[i], &measuring, &restoring, refusal));
            loop_run(world.loop);
            check_ledger(&world);
            if (world.status != SESSION_FINISHED || rounds_done(&world) != (size_t)wishes[i].rounds)
                fail_at(&wishes[i], &crashes[c], world.reason);
            if (!tallies_agree(&world))
                fail_at(&wishes[i], &crashes[c], "the ledger and the clients' tallies differ");
            world_fini(&world);
        }
        world_fini(&whole);
        forget_crashes();
    }
}

int main(void)
{
    synchronous_sessions_go_on_exactly();
    a_missing_client_is_told();
    what_does_not_fit_is_refused();
    rounds_may_be_raised();
    kept_updates_count_once();
    asynchronous_sessions_go_on();
    puts("ok");
    return 0;
}
