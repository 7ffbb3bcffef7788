#include "sim/fault/network.h"

struct args {
    double latency_s;
};

// clang-format off
static const struct param rows[] = {
    {.name = "latency", .type = PARAM_DURATION, .offset = offsetof(struct args, latency_s), .flags = PARAM_REQUIRED, .min = 0, .max = 3600,
     .help = "So much later, one way, both ways alike; it adds to what the client's group has."},
};
// clang-format on

static const struct param_table table = {
    .name = "latency",
    .help = "How bad it is.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    const struct args *keys = args;

    (void)err;
    return network_strike(world, victim, LINK_LATENCY, keys->latency_s, 0);
}

const struct fault_ops fault_latency = {
    .name = "latency",
    .help = "Everything from and to the client takes longer. Victims are drawn from all clients.",
    .params = &table,
    .takes_for = FOR_OPTIONAL,
    .by_order = true,
    .needs_link = true,
    .strike = strike,
    .undo = network_undo,
};
