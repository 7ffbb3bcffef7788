#include "sim/fault/leader.h"

static const struct param_table table = {
    .name = "leader-kill",
    .help = "How the new leader begins, with `for:`.",
    .rows = leader_rows,
    .num_rows = LEADER_ROWS_OF_BOTH,
    .size = sizeof(struct leader_args),
};

const struct fault_ops fault_leader_kill = {
    .name = "leader-kill",
    .help = "SIGKILL to the leader, for good; with `for:` a new one is started after that time and goes on with the "
            "session. "
            "Clients that train go on with it. Without `for:` and a later leader-restart the run has failed.",
    .params = &table,
    .target = FAULT_LEADER,
    .takes_for = FOR_OPTIONAL,
    .strike = fault_kill_process,
    .struck = fault_process_was_ended,
    .noticed = fault_at_once,
    .undo = leader_fault_undo,
    .recovered = fault_leader_works,
};
