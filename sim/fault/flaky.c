#include "sim/fault/network.h"

struct args {
    double mean_s;
};

// clang-format off
static const struct param rows[] = {
    {.name = "mean", .type = PARAM_DURATION, .offset = offsetof(struct args, mean_s), .flags = PARAM_REQUIRED, .min = 0.001, .max = 1e6,
     .help = "Mean time between two resets; they are exponentially distributed and drawn by the seed."},
};
// clang-format on

static const struct param_table table = {
    .name = "flaky",
    .help = "How bad it is.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    const struct args *keys = args;

    (void)err;
    return network_strike(world, victim, LINK_FLAKY, keys->mean_s, 0);
}

const struct fault_ops fault_flaky = {
    .name = "flaky",
    .help = "All connections of the client are reset again and again, at times that are drawn. Victims are drawn from "
            "all clients.",
    .params = &table,
    .takes_for = FOR_OPTIONAL,
    .by_order = true,
    .needs_link = true,
    .strike = strike,
    .undo = network_undo,
};
