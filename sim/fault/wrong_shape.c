#include "sim/fault.h"

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    (void)args, (void)err;
    fault_give_order(world, victim, ORDER_WRONG_SHAPE, NULL);
    return OK;
}

const struct fault_ops fault_wrong_shape = {
    .name = "wrong-shape",
    .help = "The client sends a model whose last tensor has one row less than it should.",
    .takes_for = FOR_OPTIONAL,
    .by_order = true,
    .strike = strike,
    .undo = fault_take_back_order,
};
