#include <criterion/criterion.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/probe.h"

enum { PATIENCE_MS = 30000 };

/* What parent and child share. */
struct scene {
    struct probes probes;
    _Atomic int passed; /* how far the child came */
    _Atomic int go_on;  /* from the parent */
};

static struct scene *new_scene(void)
{
    struct scene *scene = mmap(NULL, sizeof *scene, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    cr_assert_neq(scene, MAP_FAILED);
    probes_init(&scene->probes, eventfd(0, EFD_CLOEXEC));
    return scene;
}

/* Wait for a kick of the eventfd; false when none comes. */
static bool await_news(const struct scene *scene)
{
    struct pollfd fd = {.fd = scene->probes.notify_fd, .events = POLLIN};
    uint64_t kicks;

    return poll(&fd, 1, PATIENCE_MS) == 1 && read(fd.fd, &kicks, sizeof kicks) == (ssize_t)sizeof kicks;
}

static pid_t start(struct scene *scene, void (*run)(struct scene *scene))
{
    pid_t pid = fork();

    cr_assert_geq(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        run(scene);
        _exit(0);
    }
    return pid;
}

static int end_of(pid_t pid)
{
    int status = 0;

    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static void pass_three_rounds(struct scene *scene)
{
    for (int64_t round = 0; round < 3; round++) {
        PROBE(&scene->probes, "worker.training", round);
        scene->passed = (int)round + 1;
    }
}

Test(probe, unarmed_points_and_absent_probes_are_passed)
{
    struct scene *scene = new_scene();

    PROBE((struct probes *)NULL, "anything", 0);
    cr_assert_not(probe_holds(NULL, "anything", 0));
    pass_three_rounds(scene);
    cr_assert_eq(scene->passed, 3);
}

Test(probe, an_armed_point_halts_its_round_until_released)
{
    struct scene *scene = new_scene();
    int slot = probe_arm(&scene->probes, "worker.training", 1);
    pid_t pid = start(scene, pass_three_rounds);

    cr_assert_geq(slot, 0);
    cr_assert(await_news(scene), "the child never told of its halt");
    cr_assert_eq(probe_state(&scene->probes, slot), PROBE_HIT);
    cr_assert_eq(scene->passed, 1, "it halts in round 1, after round 0");
    probe_release(&scene->probes, slot);
    cr_assert_eq(end_of(pid), 0);
    cr_assert_eq(scene->passed, 3);
    cr_assert_eq(probe_state(&scene->probes, slot), PROBE_FREE);
    cr_assert_eq(scene->probes.armed, 0);
}

Test(probe, minus_one_is_the_next_round_that_comes_by)
{
    struct scene *scene = new_scene();
    int slot = probe_arm(&scene->probes, "worker.training", -1);
    pid_t pid = start(scene, pass_three_rounds);

    cr_assert(await_news(scene));
    cr_assert_eq(scene->passed, 0);
    probe_release(&scene->probes, slot);
    cr_assert_eq(end_of(pid), 0);
    cr_assert_eq(scene->passed, 3, "it was met once");
}

Test(probe, another_name_or_round_does_not_halt)
{
    struct scene *scene = new_scene();

    probe_arm(&scene->probes, "leader.training", 1);
    probe_arm(&scene->probes, "worker.training", 7);
    pass_three_rounds(scene);
    cr_assert_eq(scene->passed, 3);
}

/* Waits for the parent between its two halts, or it would be past the second one before that is armed. */
static void halt_twice(struct scene *scene)
{
    PROBE(&scene->probes, "worker.training", 0);
    scene->passed = 1;
    while (!scene->go_on)
        sched_yield();
    PROBE(&scene->probes, "worker.training", 2);
    scene->passed = 2;
}

Test(probe, arming_anew_at_once_does_not_keep_the_halted_thread)
{
    struct scene *scene = new_scene();
    int slot = probe_arm(&scene->probes, "worker.training", 0);
    pid_t pid = start(scene, halt_twice);

    cr_assert(await_news(scene));
    probe_release(&scene->probes, slot);
    cr_assert_eq(probe_arm(&scene->probes, "worker.training", 2), slot, "the free slot is taken again");
    scene->go_on = 1;
    cr_assert(await_news(scene), "the child hangs in the halt that is over");
    cr_assert_eq(scene->passed, 1);
    probe_release(&scene->probes, slot);
    cr_assert_eq(end_of(pid), 0);
    cr_assert_eq(scene->passed, 2);
}

Test(probe, killing_the_halted_process_leaves_a_slot_that_can_be_released)
{
    struct scene *scene = new_scene();
    int slot = probe_arm(&scene->probes, "worker.training", 0);
    pid_t pid = start(scene, pass_three_rounds);

    cr_assert(await_news(scene));
    kill(pid, SIGKILL);
    cr_assert(WIFSIGNALED(end_of(pid)));
    cr_assert_eq(probe_state(&scene->probes, slot), PROBE_HIT);
    probe_release(&scene->probes, slot);
    cr_assert_eq(probe_state(&scene->probes, slot), PROBE_FREE);
    cr_assert_eq(scene->passed, 0);
}

Test(probe, a_loop_comes_back_until_the_point_is_released)
{
    struct scene *scene = new_scene();
    int slot = probe_arm(&scene->probes, "leader.selected", 4);

    cr_assert_not(probe_holds(&scene->probes, "leader.selected", 3));
    cr_assert(probe_holds(&scene->probes, "leader.selected", 4));
    cr_assert(await_news(scene));
    cr_assert(probe_holds(&scene->probes, "leader.selected", 4), "it holds as long as nobody releases it");
    probe_release(&scene->probes, slot);
    cr_assert_not(probe_holds(&scene->probes, "leader.selected", 4));
}

Test(probe, there_are_so_many_slots_and_no_more)
{
    struct scene *scene = new_scene();

    for (int i = 0; i < PROBE_SLOTS; i++)
        cr_assert_eq(probe_arm(&scene->probes, "worker.training", i), i);
    cr_assert_eq(probe_arm(&scene->probes, "worker.training", 9), -1);
    probe_release(&scene->probes, 2);
    cr_assert_eq(probe_arm(&scene->probes, "worker.training", 9), 2);
}
