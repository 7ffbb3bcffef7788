#include "sim/fault.h"

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    (void)args, (void)err;
    fault_give_order(world, victim, ORDER_PAUSE, NULL);
    return OK;
}

const struct fault_ops fault_pause = {
    .name = "pause",
    .help =
        "The client's computing rests between two mini-batches until `for:` is over, while its heartbeats go on and it "
        "answers an Echo: a device that its user has taken.",
    .takes_for = FOR_REQUIRED,
    .by_order = true,
    .strike = strike,
    .undo = fault_take_back_order,
};
