#include "sim/client_orders.h"
#include "sim/fault.h"

struct args {
    double factor;
};

static const struct param rows[] = {
    {.name = "factor",
     .type = PARAM_DOUBLE,
     .offset = offsetof(struct args, factor),
     .flags = PARAM_REQUIRED,
     .min = 1,
     .max = 1e6,
     .help = "How many times as long its computing takes, modelled and by the clock."},
};

static const struct param_table table = {
    .name = "slow-cpu",
    .help = "How slow.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    const struct args *keys = args;
    const double p[ORDER_VALUES] = {[SLOW_FACTOR] = keys->factor};

    (void)err;
    fault_give_order(world, victim, ORDER_SLOW, p);
    return OK;
}

const struct fault_ops fault_slow_cpu = {
    .name = "slow-cpu",
    .help = "The client computes more slowly: it rests after each mini-batch, outside its compute slot.",
    .params = &table,
    .takes_for = FOR_OPTIONAL,
    .by_order = true,
    .strike = strike,
    .undo = fault_take_back_order,
};
