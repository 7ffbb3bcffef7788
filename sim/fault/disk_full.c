#include "sim/fault/limit.h"

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    (void)args;
    return fault_limit_set(world, victim, RLIMIT_FSIZE, 0, err);
}

static int undo(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    (void)args;
    return fault_limit_lift(world, victim, RLIMIT_FSIZE, err);
}

const struct fault_ops fault_disk_full = {
    .name = "disk-full",
    .help =
        "No file of the client can take another byte (RLIMIT_FSIZE, as a quota that is used up: EFBIG in the place of "
        "ENOSPC): model files that arrive, its figures, its log.",
    .takes_for = FOR_OPTIONAL,
    .strike = strike,
    .struck = fault_at_once,
    .noticed = fault_at_once,
    .undo = undo,
    .recovered = fault_limit_is_over,
};
