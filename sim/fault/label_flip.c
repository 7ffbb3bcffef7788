#include "sim/label_flip.h"
#include "sim/fault.h"

struct args {
    int64_t from, to;
};

#define AT(member) offsetof(struct args, member)

// clang-format off
static const struct param rows[] = {
    {.name = "from", .type = PARAM_INT, .offset = AT(from), .fallback = "-1", .min = -1, .max = 1e9,
     .help = "Only this class is taken for another one; -1: of n classes 0 becomes n - 1, 1 becomes n - 2, and so on."},
    {.name = "to", .type = PARAM_INT, .offset = AT(to), .fallback = "-1", .min = -1, .max = 1e9,
     .help = "Which other class; needed where `from` is given."},
};
// clang-format on

static const struct param_table table = {
    .name = "label-flip",
    .help = "Which labels.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static const char *obstacle(const struct fault_limits *limits, const void *args)
{
    const struct args *keys = args;

    (void)limits;
    if ((keys->from < 0) != (keys->to < 0))
        return "needs both `from` and `to`, or neither";
    return keys->from >= 0 && keys->from == keys->to ? "from a class to the same one changes nothing" : NULL;
}

static const char *data_obstacle(const struct dataset *data, const void *args)
{
    const struct args *keys = args;

    if (!data->labels)
        return "needs data with labels";
    return keys->from >= data->num_classes || keys->to >= data->num_classes
               ? "names a class that the data does not have"
               : NULL;
}

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    const struct args *keys = args;
    const double p[ORDER_VALUES] = {[FLIP_FROM] = (double)keys->from, [FLIP_TO] = (double)keys->to};

    (void)err;
    fault_give_order(world, victim, ORDER_LABEL_FLIP, p);
    return OK;
}

const struct fault_ops fault_label_flip = {
    .name = "label-flip",
    .help = "The client trains on wrong labels.",
    .params = &table,
    .takes_for = FOR_OPTIONAL,
    .by_order = true,
    .obstacle = obstacle,
    .data_obstacle = data_obstacle,
    .strike = strike,
    .undo = fault_take_back_order,
};
