#include "sim/fault.h"

/* The new process starts only when the leader has noticed that the old one is gone; otherwise the broker's last will
 * for the old connection could follow the new one's first words. */
const struct fault_ops fault_restart = {
    .name = "restart",
    .help = "SIGKILL, and a new process with the same id as soon as the leader has noticed.",
    .also = FAULT_OF_SERVERS,
    .takes_for = FOR_REFUSED,
    .undo_at_once = true,
    .strike = fault_kill_process,
    .struck = fault_process_was_ended,
    .noticed = fault_was_missed,
    .undo = fault_start_process,
    .recovered = fault_came_back,
};
