/* What the leader's events leave in shared memory, above all when one leader takes another one's place. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sim/simulation.h"

enum { ROUNDS = 10 };

struct fixture {
    struct simulation simulation;
    struct client_number by_id[1];
    int notify_fd;
};

static void setup(struct fixture *f)
{
    const struct shared_sizes sizes = {.num_clients = 1, .num_slots = 1, .max_rounds = ROUNDS};

    memset(f, 0, sizeof *f);
    f->notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    cr_assert_eq(shared_new(&f->simulation.shared, &sizes, f->notify_fd, NULL), OK);
    f->by_id[0] = (struct client_number){"a", 0};
    f->simulation.by_id = f->by_id;
    f->simulation.num_clients = 1;
    f->simulation.leader.starts = 1;
}

static void teardown(struct fixture *f)
{
    shared_free(f->simulation.shared);
    close(f->notify_fd);
}

static void happens(struct fixture *f, const char *event, json_t *fields)
{
    leader_observer(&f->simulation, event, fields);
    json_decref(fields);
}

static void select_for(struct fixture *f, int round)
{
    happens(f, "selected", json_pack("{s:i, s:[s]}", "round", round, "clients", "a"));
}

static void merge(struct fixture *f, int round, int attempt)
{
    happens(f, "update", json_pack("{s:i, s:i, s:s}", "round", round, "attempt", attempt, "client", "a"));
}

static void finish(struct fixture *f, int round)
{
    happens(f, "round", json_pack("{s:i, s:i, s:i}", "round", round, "selected", 1, "merged", 1));
}

static void do_round(struct fixture *f, int round)
{
    select_for(f, round);
    merge(f, round, 1);
    finish(f, round);
}

static const struct leader_block *leader(struct fixture *f)
{
    return shared_leader(f->simulation.shared);
}

static void begin_anew(struct fixture *f)
{
    shared_forget_leader(f->simulation.shared);
    f->simulation.leader.starts++;
}

Test(leader_observer, each_update_counts_once)
{
    struct fixture f;

    setup(&f);
    do_round(&f, 1);
    do_round(&f, 2);
    select_for(&f, 3);
    merge(&f, 3, 1);
    merge(&f, 3, 2); /* another selection of the same round */
    cr_expect_eq(atomic_load(&leader(&f)->doubled_updates), 0);
    merge(&f, 2, 1);
    cr_expect_eq(atomic_load(&leader(&f)->doubled_updates), 1);
    cr_expect_eq(atomic_load(&leader(&f)->rounds_finished), 2);
    teardown(&f);
}

Test(leader_observer, what_died_with_a_leader_may_come_again)
{
    struct fixture f;

    setup(&f);
    for (int round = 1; round <= 3; round++)
        do_round(&f, round);
    begin_anew(&f);
    select_for(&f, 2); /* from a checkpoint of round 1 */
    cr_expect_eq(atomic_load(&leader(&f)->rounds_finished), 1);
    cr_expect_eq(atomic_load(&leader(&f)->working_life), 2);
    merge(&f, 2, 1);
    cr_expect_eq(atomic_load(&leader(&f)->doubled_updates), 0, "it was merged into a model that is gone");
    merge(&f, 1, 1);
    cr_expect_eq(atomic_load(&leader(&f)->doubled_updates), 1, "it is in the model");
    teardown(&f);
}

Test(leader_observer, a_round_that_a_dying_leader_did_not_tell_of_counts)
{
    struct fixture f;

    setup(&f);
    do_round(&f, 1);
    select_for(&f, 2);
    merge(&f, 2, 1); /* the round is in the store; its leader dies before it says so */
    begin_anew(&f);
    do_round(&f, 3);
    cr_expect_eq(atomic_load(&leader(&f)->rounds_finished), 3);
    cr_expect_eq(shared_round(f.simulation.shared, 2)->round, 2);
    merge(&f, 2, 1);
    cr_expect_eq(atomic_load(&leader(&f)->doubled_updates), 1);
    teardown(&f);
}

Test(leader_observer, nobody_is_in_the_roster_of_a_dead_leader)
{
    struct fixture f;

    setup(&f);
    happens(&f, "roster", json_pack("{s:s, s:s}", "client", "a", "state", "active"));
    happens(&f, "broker", json_pack("{s:s}", "state", "connected"));
    cr_expect_eq(atomic_load(&leader(&f)->active_clients), 1);
    begin_anew(&f);
    cr_expect_eq(atomic_load(&leader(&f)->active_clients), 0);
    cr_expect_eq(atomic_load(&leader(&f)->broker_is_up), 0);
    happens(&f, "roster", json_pack("{s:s, s:s}", "client", "a", "state", "active"));
    cr_expect_eq(atomic_load(&shared_client(f.simulation.shared, 0)->activations), 2, "it came to each of them");
    teardown(&f);
}
