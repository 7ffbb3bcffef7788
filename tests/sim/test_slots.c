#include <criterion/criterion.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/slots.h"

enum { MAX_SLOTS = 4, CHILDREN = 24, PATIENCE_S = 60 };

struct scene {
    _Atomic int computing, most_computing, finished, has_slot;

    _Alignas(8) char slots[sizeof(struct slots) + MAX_SLOTS * sizeof(slot_owner)];
};

static struct slots *slots_of(struct scene *scene)
{
    return (struct slots *)(void *)scene->slots;
}

static struct scene *new_scene(size_t num_slots)
{
    struct scene *scene = mmap(NULL, sizeof *scene, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    cr_assert_neq(scene, MAP_FAILED);
    slots_init(slots_of(scene), num_slots);
    alarm(PATIENCE_S); /* a lost wake-up shows as a hang */
    return scene;
}

static pid_t start(struct scene *scene, slot_owner owner, void (*run)(struct scene *scene, slot_owner owner))
{
    pid_t pid = fork();

    cr_assert_geq(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        run(scene, owner);
        _exit(0);
    }
    return pid;
}

static void await(_Atomic int *value, int wanted)
{
    while (atomic_load(value) < wanted)
        sched_yield();
}

static void reap(pid_t pid)
{
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

static void raise_most(struct scene *scene, int now)
{
    int most = atomic_load(&scene->most_computing);

    while (now > most && !atomic_compare_exchange_weak(&scene->most_computing, &most, now))
        ;
}

static void compute_ten_times(struct scene *scene, slot_owner owner)
{
    for (int i = 0; i < 10; i++) {
        slots_acquire(slots_of(scene), owner, NULL, NULL);
        raise_most(scene, atomic_fetch_add(&scene->computing, 1) + 1);
        for (volatile int work = 0; work < 20000; work++)
            ;
        atomic_fetch_sub(&scene->computing, 1);
        slots_release(slots_of(scene), owner);
    }
    atomic_fetch_add(&scene->finished, 1);
}

static void hold_for_ever(struct scene *scene, slot_owner owner)
{
    slots_acquire(slots_of(scene), owner, NULL, NULL);
    atomic_store(&scene->has_slot, 1);
    for (;;)
        pause();
}

Test(slots, never_more_owners_than_slots)
{
    struct scene *scene = new_scene(2);
    pid_t pids[CHILDREN];

    for (int i = 0; i < CHILDREN; i++)
        pids[i] = start(scene, (slot_owner)i + 1, compute_ten_times);
    for (int i = 0; i < CHILDREN; i++)
        reap(pids[i]);
    cr_assert_eq(scene->finished, CHILDREN);
    cr_assert_leq(scene->most_computing, 2);
}

Test(slots, what_a_killed_owner_held_goes_to_a_waiter)
{
    struct scene *scene = new_scene(1);
    pid_t owner = start(scene, 1, hold_for_ever);

    await(&scene->has_slot, 1);
    pid_t waiter = start(scene, 2, compute_ten_times);
    kill(owner, SIGKILL);
    reap(owner);
    cr_assert(slots_holds(slots_of(scene), 1), "the dead cannot give anything back");
    cr_assert(slots_reclaim(slots_of(scene), 1));
    reap(waiter);
    cr_assert_eq(scene->finished, 1);
}

/* Killing waiters at random moments is killing some of them just as they were woken. */
Test(slots, no_wake_up_is_lost_with_killed_waiters)
{
    struct scene *scene = new_scene(1);
    pid_t pids[CHILDREN];

    for (int i = 0; i < CHILDREN; i++)
        pids[i] = start(scene, (slot_owner)i + 1, compute_ten_times);
    for (int i = 0; i < CHILDREN; i += 2) {
        await(&scene->finished, i / 8);
        kill(pids[i], SIGKILL);
        reap(pids[i]);
        slots_reclaim(slots_of(scene), (slot_owner)i + 1);
    }
    for (int i = 1; i < CHILDREN; i += 2)
        reap(pids[i]);
    cr_assert_geq(scene->finished, CHILDREN / 2);
}

Test(slots, a_release_after_the_slot_was_reclaimed_takes_it_from_nobody)
{
    struct scene *scene = new_scene(1);
    struct slots *slots = slots_of(scene);

    cr_assert(slots_acquire(slots, 1, NULL, NULL));
    cr_assert(slots_reclaim(slots, 1));
    cr_assert(slots_acquire(slots, 2, NULL, NULL));
    slots_release(slots, 1);
    cr_assert(slots_holds(slots, 2));
    cr_assert_not(slots_reclaim(slots, 1));
}

static bool stop_at_once(void *context)
{
    (void)context;
    return true;
}

Test(slots, who_is_told_to_stop_gives_up)
{
    struct scene *scene = new_scene(1);

    cr_assert(slots_acquire(slots_of(scene), 1, NULL, NULL));
    cr_assert_not(slots_acquire(slots_of(scene), 2, stop_at_once, NULL));
    cr_assert_not(slots_holds(slots_of(scene), 2));
}
