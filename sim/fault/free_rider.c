#include "sim/fault.h"

struct args {
    double noise;
};

#define AT(member) offsetof(struct args, member)

// clang-format off
static const struct param rows[] = {
    {.name = "noise", .type = PARAM_DOUBLE, .offset = AT(noise), .fallback = "0.001", .min = 0, .max = 1e30,
     .help = "Standard deviation of what it adds to each weight; 0: nothing."},
};
// clang-format on

static const struct param_table table = {
    .name = "free-rider",
    .help = "How it hides.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    const struct args *keys = args;
    const double p[ORDER_VALUES] = {keys->noise};

    (void)err;
    fault_give_order(world, victim, ORDER_FREE_RIDER, p);
    return OK;
}

const struct fault_ops fault_free_rider = {
    .name = "free-rider",
    .help = "The client contributes nothing: it sends the model back as it came, with a little noise, and figures as "
            "if it had "
            "trained (Lin et al. 2019).",
    .params = &table,
    .takes_for = FOR_OPTIONAL,
    .by_order = true,
    .strike = strike,
    .undo = fault_take_back_order,
};
