#include "sim/fault.h"

static void needs_memory(const void *args, struct client_memory *needs)
{
    (void)args;
    needs->answers = true;
}

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    (void)args, (void)err;
    fault_give_order(world, victim, ORDER_DUPLICATE, NULL);
    return OK;
}

const struct fault_ops fault_duplicate_reply = {
    .name = "duplicate-reply",
    .help =
        "The client trains and then sends the answer of the round before that it trained in once more, byte for byte. "
        "Where it never answered before it sends this round's.",
    .takes_for = FOR_OPTIONAL,
    .by_order = true,
    .needs_memory = needs_memory,
    .strike = strike,
    .undo = fault_take_back_order,
};
