#include "sim/fault.h"

const struct fault_ops fault_broker_kill = {
    .name = "broker-kill",
    .help =
        "SIGKILL to the run's own broker, for good; with `for:` it is started again after that time, on the same port. "
        "Trainings go on meanwhile; nobody new is heard of, and nobody is missed for being silent.",
    .target = FAULT_BROKER,
    .takes_for = FOR_OPTIONAL,
    .strike = fault_kill_process,
    .struck = fault_process_was_ended,
    .noticed = fault_was_missed,
    .undo = fault_start_process,
    .recovered = fault_came_back,
};
