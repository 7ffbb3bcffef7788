#include "sim/fault/network.h"

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    (void)args, (void)err;
    return network_strike(world, victim, LINK_PARTITION, 0, 0);
}

const struct fault_ops fault_partition = {
    .name = "partition",
    .help = "Silence both ways: nothing passes, nobody is told, who connects gets no answer. What was sent is held, "
            "and delivered "
            "when it is over; the client computes on.",
    .takes_for = FOR_OPTIONAL,
    .undo_unnoticed = true,
    .needs_link = true,
    .strike = strike,
    .struck = fault_at_once,
    .noticed = fault_was_missed,
    .undo = network_undo,
    .recovered = network_is_back,
};
