#include "sim/fault.h"

const struct fault_ops fault_broker_restart = {
    .name = "broker-restart",
    .help = "SIGKILL to the run's own broker, and a new one on the same port, that knows nothing of the old one's "
            "connections and retained messages. In a round the leader goes on when it has reached the new one.",
    .params = &fault_after_table,
    .target = FAULT_BROKER,
    .takes_for = FOR_REFUSED,
    .undo_at_once = true,
    .pause_s = fault_after_pause_s,
    .strike = fault_kill_process,
    .struck = fault_process_was_ended,
    .noticed = fault_was_missed,
    .undo = fault_start_process,
    .recovered = fault_came_back,
};
