#include <signal.h>

#include "sim/fault.h"

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    struct process *process = fault_process(world, victim);

    (void)args, (void)err;
    process->end_expected = true;
    supervisor_signal(world->supervisor, process, SIGTERM);
    return OK;
}

/* It must be gone before it can come back. */
static bool noticed(const struct fault_world *world, const struct victim *victim)
{
    return fault_process_was_ended(world, victim) && fault_was_missed(world, victim);
}

/* When it has said `offline` it has also told its training to stop, at the end of the mini-batch after which it may
 * halt. */
static bool struck(const struct fault_world *world, const struct victim *victim)
{
    return fault_process_was_ended(world, victim) || fault_was_missed(world, victim);
}

const struct fault_ops fault_leave = {
    .name = "leave",
    .help = "The client leaves as one that is shut down: SIGTERM; it says that it is offline, answers what it works on "
            "with a failure and ends. With `for:` it comes back after that time.",
    .takes_for = FOR_OPTIONAL,
    .strike = strike,
    .struck = struck,
    .noticed = noticed,
    .undo = fault_start_process,
    .recovered = fault_came_back,
};
