#include "sim/fault.h"

const struct fault_ops fault_kill = {
    .name = "kill",
    .help = "SIGKILL, for good; with `for:` a new process with the same id is started after that time.",
    .also = FAULT_OF_SERVERS,
    .takes_for = FOR_OPTIONAL,
    .strike = fault_kill_process,
    .struck = fault_process_was_ended,
    .noticed = fault_was_missed,
    .undo = fault_start_process,
    .recovered = fault_came_back,
};
