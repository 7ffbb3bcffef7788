#include "sim/fault.h"

/* The leader notices with its next write: nobody waits for that. */
const struct fault_ops fault_redis_kill = {
    .name = "redis-kill",
    .help = "SIGKILL to the run's own Redis, for good; with `for:` it is started again after that time, with its data "
            "and on "
            "the same port. The session goes on; what it would have written is written when Redis is back.",
    .target = FAULT_REDIS,
    .takes_for = FOR_OPTIONAL,
    .strike = fault_kill_process,
    .struck = fault_process_was_ended,
    .noticed = fault_at_once,
    .undo = fault_start_process,
    .recovered = fault_server_is_open,
};
