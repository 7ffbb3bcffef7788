#include "sim/fault.h"

struct args {
    int64_t rounds_back;
};

#define AT(member) offsetof(struct args, member)

// clang-format off
static const struct param rows[] = {
    {.name = "rounds_back", .type = PARAM_INT, .offset = AT(rounds_back), .fallback = "1", .min = 1, .max = 64,
     .help = "It takes the model that it was sent so many of its trainings ago."},
};
// clang-format on

static const struct param_table table = {
    .name = "stale-update",
    .help = "How old.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static void needs_memory(const void *args, struct client_memory *needs)
{
    const struct args *keys = args;

    if ((size_t)keys->rounds_back > needs->models)
        needs->models = (size_t)keys->rounds_back;
}

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    const struct args *keys = args;
    const double p[ORDER_VALUES] = {(double)keys->rounds_back};

    (void)err;
    fault_give_order(world, victim, ORDER_STALE, p);
    return OK;
}

const struct fault_ops fault_stale_update = {
    .name = "stale-update",
    .help =
        "The client trains on the model of an earlier round, and its answer says that it is this round's: the leader "
        "cannot tell. Where it was not there so long it takes the oldest that it has had.",
    .params = &table,
    .takes_for = FOR_OPTIONAL,
    .by_order = true,
    .needs_memory = needs_memory,
    .strike = strike,
    .undo = fault_take_back_order,
};
