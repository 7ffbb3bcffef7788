#include "sim/fault/network.h"

struct args {
    double share;
};

// clang-format off
static const struct param rows[] = {
    {.name = "share", .type = PARAM_FRACTION, .offset = offsetof(struct args, share), .flags = PARAM_REQUIRED, .min = 0, .max = 0.9,
     .help = "Share of the packets (of 1,448 bytes) that are lost."},
};
// clang-format on

static const struct param_table table = {
    .name = "loss",
    .help = "How bad it is.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    const struct args *keys = args;

    (void)err;
    return network_strike(world, victim, LINK_LOSS, keys->share, 0);
}

const struct fault_ops fault_loss = {
    .name = "loss",
    .help = "Packets from and to the client are lost and sent again, as TCP does: each costs 200 ms and the way there "
            "and back, twice "
            "as much when it is lost again, and what was sent after it waits. Victims are drawn from all clients.",
    .params = &table,
    .takes_for = FOR_OPTIONAL,
    .by_order = true,
    .needs_link = true,
    .strike = strike,
    .undo = network_undo,
};
