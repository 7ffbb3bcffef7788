#include "sim/fault.h"

/* What the kernel does to the process that it takes memory from. It strikes where a client is largest: in a training.
 */
const struct fault_ops fault_oom_kill = {
    .name = "oom-kill",
    .help = "Killed as by the kernel when memory runs out, in the middle of a training; a supervisor of services "
            "(systemd, a "
            "container's runtime) starts it again as soon as the leader has noticed.",
    .takes_for = FOR_REFUSED,
    .undo_at_once = true,
    .strike = fault_kill_process,
    .struck = fault_process_was_ended,
    .noticed = fault_was_missed,
    .undo = fault_start_process,
    .recovered = fault_came_back,
};
