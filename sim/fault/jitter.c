#include "sim/fault/network.h"

struct args {
    double jitter_s;
};

// clang-format off
static const struct param rows[] = {
    {.name = "jitter", .type = PARAM_DURATION, .offset = offsetof(struct args, jitter_s), .flags = PARAM_REQUIRED, .min = 0, .max = 3600,
     .help = "Up to so much later, one way, drawn anew for each piece; what was sent first still arrives first."},
};
// clang-format on

static const struct param_table table = {
    .name = "jitter",
    .help = "How bad it is.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    const struct args *keys = args;

    (void)err;
    return network_strike(world, victim, LINK_JITTER, keys->jitter_s, 0);
}

const struct fault_ops fault_jitter = {
    .name = "jitter",
    .help = "Everything from and to the client is late by another time each time. Victims are drawn from all clients.",
    .params = &table,
    .takes_for = FOR_OPTIONAL,
    .by_order = true,
    .needs_link = true,
    .strike = strike,
    .undo = network_undo,
};
