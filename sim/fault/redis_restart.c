#include "sim/fault.h"

const struct fault_ops fault_redis_restart = {
    .name = "redis-restart",
    .help = "SIGKILL to the run's own Redis, and a new one with its data on the same port. In a round the leader goes "
            "on when "
            "it has its data back.",
    .params = &fault_after_table,
    .target = FAULT_REDIS,
    .takes_for = FOR_REFUSED,
    .undo_at_once = true,
    .pause_s = fault_after_pause_s,
    .strike = fault_kill_process,
    .struck = fault_process_was_ended,
    .noticed = fault_at_once,
    .undo = fault_start_process,
    .recovered = fault_server_is_open,
};
