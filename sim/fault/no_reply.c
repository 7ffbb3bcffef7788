#include "sim/fault.h"

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    (void)args, (void)err;
    fault_give_order(world, victim, ORDER_NO_REPLY, NULL);
    return OK;
}

const struct fault_ops fault_no_reply = {
    .name = "no-reply",
    .help = "The client trains and never answers, though it is alive and beats: the leader waits until its deadline "
            "(round_deadline_s, train_timeout_duration_s or grpc.timeout_s).",
    .takes_for = FOR_OPTIONAL,
    .by_order = true,
    .strike = strike,
    .undo = fault_take_back_order,
};
