#include "sim/client_orders.h"
#include "sim/fault.h"

struct args {
    double offset_s;
    int direction;
};

#define AT(member) offsetof(struct args, member)

static const char *const directions[] = {"ahead", "behind", NULL};

// clang-format off
static const struct param rows[] = {
    {.name = "offset", .type = PARAM_DURATION, .offset = AT(offset_s), .flags = PARAM_REQUIRED, .min = 0, .max = 1e9,
     .help = "How far the client's clock is off."},
    {.name = "direction", .type = PARAM_CHOICE, .offset = AT(direction), .choices = directions, .fallback = "ahead",
     .help = "Which way."},
};
// clang-format on

static const struct param_table table = {
    .name = "clock-skew",
    .help = "By how much.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    const struct args *keys = args;
    const double p[ORDER_VALUES] = {[CLOCK_OFFSET_S] = keys->direction == 0 ? keys->offset_s : -keys->offset_s};

    (void)err;
    fault_give_order(world, victim, ORDER_CLOCK, p);
    return OK;
}

const struct fault_ops fault_clock_skew = {
    .name = "clock-skew",
    .help = "The client's clock on the wall is wrong: the time stamps of its adverts and heartbeats.",
    .params = &table,
    .takes_for = FOR_OPTIONAL,
    .by_order = true,
    .strike = strike,
    .undo = fault_take_back_order,
};
