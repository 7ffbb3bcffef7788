#include "sim/fault/network.h"

struct args {
    double rate;
};

// clang-format off
static const struct param rows[] = {
    {.name = "rate", .type = PARAM_DOUBLE, .offset = offsetof(struct args, rate), .fallback = "100", .min = 0.01, .max = 1e6,
     .help = "Bytes per second."},
};
// clang-format on

static const struct param_table table = {
    .name = "slow-drip",
    .help = "How bad it is.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    const struct args *keys = args;

    (void)err;
    return network_strike(world, victim, LINK_SLOW_DRIP, keys->rate, 0);
}

const struct fault_ops fault_slow_drip = {
    .name = "slow-drip",
    .help = "Everything from and to the client comes a byte at a time. Victims are drawn from all clients.",
    .params = &table,
    .takes_for = FOR_OPTIONAL,
    .by_order = true,
    .needs_link = true,
    .strike = strike,
    .undo = network_undo,
};
