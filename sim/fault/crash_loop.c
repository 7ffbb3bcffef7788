#include "sim/fault.h"

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    fault_give_order(world, victim, ORDER_CRASH, NULL);
    return fault_kill_process(world, victim, args, err);
}

/* The process that runs now dies once more, or has; the next one lives. */
static int undo(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    fault_take_back_order(world, victim, args, err);
    return fault_start_process(world, victim, args, err);
}

/* Its own way to be missed: it comes and goes. */
const struct fault_ops fault_crash_loop = {
    .name = "crash-loop",
    .help = "SIGKILL, a new process at once, which dies as soon as the leader has it in its roster, and so on until "
            "`for:` is over.",
    .takes_for = FOR_REQUIRED,
    .dies_again = true,
    .strike = strike,
    .struck = fault_process_was_ended,
    .noticed = fault_was_missed,
    .undo = undo,
    .recovered = fault_came_back,
};
