#include "sim/fault/network.h"

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    (void)args, (void)err;
    return network_strike(world, victim, LINK_HALF_OPEN, 0, 0);
}

const struct fault_ops fault_half_open = {
    .name = "half-open",
    .help = "What the client sends is lost, while it still hears the others; a connection that one side ends stays "
            "open at the other. "
            "When it is over such connections are reset.",
    .takes_for = FOR_OPTIONAL,
    .undo_unnoticed = true,
    .needs_link = true,
    .strike = strike,
    .struck = fault_at_once,
    .noticed = fault_was_missed,
    .undo = network_undo,
    .recovered = network_is_back,
};
