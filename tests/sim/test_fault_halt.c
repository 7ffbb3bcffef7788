#include <criterion/criterion.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sim/fault_halt.h"

enum { ROUND = 3, CLIENT = 1 };

static const struct victim victim = {.client = CLIENT};

struct fixture { /* two clients that run, are in touch with the leader and were selected for the round */
    struct process clients[2];
    struct fault_world world;
    struct fault_halts halts;
    struct client_block *block; /* of CLIENT */
    int notify_fd;
};

static void setup(struct fixture *f)
{
    const struct shared_sizes sizes = {.num_clients = 2, .num_slots = 1, .max_rounds = 5};

    *f = (struct fixture){.notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    f->world = (struct fault_world){.clients = f->clients, .num_clients = 2};
    cr_assert_eq(shared_new(&f->world.shared, &sizes, f->notify_fd, NULL), OK);
    cr_assert_eq(fault_halts_init(&f->halts, &f->world, NULL), OK);
    for (size_t i = 0; i < 2; i++) {
        struct client_block *block = shared_client(f->world.shared, i);

        f->clients[i].state = PROCESS_RUNNING;
        probes_init(&block->probes, f->notify_fd);
        atomic_store(&block->active, 1);
        atomic_store(&block->activations, 1);
        atomic_store(&block->selected_round, ROUND);
        atomic_store(&block->is_asked, 1);
    }
    f->block = shared_client(f->world.shared, CLIENT);
}

static void teardown(struct fixture *f)
{
    fault_halts_fini(&f->halts);
    shared_free(f->world.shared);
    close(f->notify_fd);
}

Test(fault_halt, it_is_waited_for)
{
    struct fixture f;

    setup(&f);
    fault_halt_hold(&f.halts, CLIENT, ROUND);
    cr_expect_not(fault_halt_is_over(&f.halts, &victim));
    cr_expect(probe_holds(&f.block->probes, "worker.training", ROUND), "it does not halt");
    cr_expect(fault_halt_is_over(&f.halts, &victim));
    fault_halt_release(&f.halts, CLIENT);
    cr_expect_not(probe_holds(&f.block->probes, "worker.training", ROUND), "it does not go on");
    teardown(&f);
}

Test(fault_halt, who_is_not_selected_is_not_waited_for)
{
    struct fixture f;

    setup(&f);
    fault_halt_hold(&f.halts, CLIENT, ROUND + 1);
    cr_expect(fault_halt_is_over(&f.halts, &victim));
    fault_halt_release(&f.halts, CLIENT);
    teardown(&f);
}

/* Selected earlier in the round of an asynchronous session: the leader knows, or not yet. */
Test(fault_halt, who_has_answered_already_is_not_waited_for)
{
    struct fixture f;

    setup(&f);
    atomic_fetch_add(&f.block->answers, 1);
    cr_expect_not(fault_halt_is_due(&f.world, CLIENT, ROUND));
    fault_halt_hold(&f.halts, CLIENT, ROUND);
    cr_expect(fault_halt_is_over(&f.halts, &victim));
    fault_halt_release(&f.halts, CLIENT);
    atomic_store(&f.block->answers_when_asked, 1);
    cr_expect(fault_halt_is_due(&f.world, CLIENT, ROUND));
    atomic_store(&f.block->is_asked, 0);
    fault_halt_hold(&f.halts, CLIENT, ROUND);
    cr_expect(fault_halt_is_over(&f.halts, &victim));
    fault_halt_release(&f.halts, CLIENT);
    teardown(&f);
}

Test(fault_halt, who_ends_or_answers_is_not_waited_for)
{
    struct fixture f;

    setup(&f);
    fault_halt_hold(&f.halts, CLIENT, ROUND);
    atomic_fetch_add(&f.block->answers, 1);
    cr_expect(fault_halt_is_over(&f.halts, &victim));
    atomic_fetch_sub(&f.block->answers, 1);
    cr_expect_not(fault_halt_is_over(&f.halts, &victim));
    f.clients[CLIENT].state = PROCESS_ENDED;
    cr_expect(fault_halt_is_over(&f.halts, &victim));
    fault_halt_release(&f.halts, CLIENT);
    teardown(&f);
}

/* The leader lost it and heard of it again while other victims were still on their way: its request is lost. */
Test(fault_halt, who_was_lost_and_came_back_is_not_waited_for)
{
    struct fixture f;

    setup(&f);
    fault_halt_hold(&f.halts, CLIENT, ROUND);
    atomic_store(&f.block->active, 0);
    cr_expect(fault_halt_is_over(&f.halts, &victim));
    atomic_store(&f.block->active, 1);
    atomic_fetch_add(&f.block->activations, 1);
    cr_expect(fault_halt_is_over(&f.halts, &victim));
    fault_halt_release(&f.halts, CLIENT);
    teardown(&f);
}
