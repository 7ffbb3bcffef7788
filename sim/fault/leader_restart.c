#include "sim/fault/leader.h"

static const struct param_table table = {
    .name = "leader-restart",
    .help = "How the new leader begins, and when.",
    .rows = leader_rows,
    .num_rows = LEADER_ROWS_OF_BOTH + 1,
    .size = sizeof(struct leader_args),
};

static double pause_s(const void *args)
{
    return ((const struct leader_args *)args)->after_s;
}

const struct fault_ops fault_leader_restart = {
    .name = "leader-restart",
    .help = "SIGKILL to the leader, and a new one that goes on with the session; a leader that is dead already is only "
            "started.",
    .params = &table,
    .target = FAULT_LEADER,
    .takes_for = FOR_REFUSED,
    .undo_at_once = true,
    .obstacle = leader_fault_obstacle,
    .pause_s = pause_s,
    .strike = fault_kill_process,
    .struck = fault_process_was_ended,
    .noticed = fault_at_once,
    .undo = leader_fault_undo,
    .recovered = fault_leader_works,
};
