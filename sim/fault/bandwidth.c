#include "sim/fault/network.h"

struct args {
    double up, down;
};

// clang-format off
static const struct param rows[] = {
    {.name = "up", .type = PARAM_RATE, .offset = offsetof(struct args, up), .fallback = "0",
     .help = "From the client; 0: no limit but its group's."},
    {.name = "down", .type = PARAM_RATE, .offset = offsetof(struct args, down), .fallback = "0",
     .help = "To the client."},
};
// clang-format on

static const struct param_table table = {
    .name = "bandwidth",
    .help = "How bad it is.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static const char *obstacle(const struct fault_limits *limits, const void *args)
{
    const struct args *keys = args;

    (void)limits;
    return keys->up > 0 || keys->down > 0 ? NULL : "needs `up` or `down`";
}

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    const struct args *keys = args;

    (void)err;
    return network_strike(world, victim, LINK_BANDWIDTH, keys->up, keys->down);
}

const struct fault_ops fault_bandwidth = {
    .name = "bandwidth",
    .help = "The client's connection has this rate; each of its connections has, in truth: there are two, and MQTT "
            "needs little. "
            "Victims are drawn from all clients.",
    .params = &table,
    .takes_for = FOR_OPTIONAL,
    .by_order = true,
    .needs_link = true,
    .obstacle = obstacle,
    .strike = strike,
    .undo = network_undo,
};
