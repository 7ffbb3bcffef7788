#include "sim/fault.h"

struct args {
    int kind;
    double sigma, factor;
};

#define AT(member) offsetof(struct args, member)

/* In the order of enum corruption_kind, without CORRUPT_NOT. */
static const char *const kinds[] = {"gaussian", "sign-flip", "scale", "nan", "zero", NULL};

// clang-format off
static const struct param rows[] = {
    {.name = "kind", .type = PARAM_CHOICE, .offset = AT(kind), .choices = kinds, .flags = PARAM_REQUIRED,
     .help = "`gaussian` sends the global model plus noise N(0, sigma^2), `sign-flip` the global model minus factor times "
             "the client's update, `scale` plus factor times it, `nan` no numbers, `zero` zeros."},
    {.name = "sigma", .type = PARAM_DOUBLE, .offset = AT(sigma), .fallback = "1", .min = 0, .max = 1e30,
     .help = "Standard deviation of `gaussian`, of each weight."},
    {.name = "factor", .type = PARAM_DOUBLE, .offset = AT(factor), .fallback = "10", .min = 0, .max = 1e30,
     .help = "Of `sign-flip` and `scale`."},
};
// clang-format on

static const struct param_table table = {
    .name = "corrupt-update",
    .help = "What it sends instead.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static struct corruption *order_of(struct fault_world *world, const struct victim *victim)
{
    return &shared_client(world->shared, victim->client)->corruption;
}

/* The client reads the order when a training begins and when it ends. */
static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    struct corruption *order = order_of(world, victim);
    const struct args *keys = args;

    (void)err;
    atomic_store(&order->fault, victim->fault);
    atomic_store(&order->sigma, keys->sigma);
    atomic_store(&order->factor, keys->factor);
    atomic_store(&order->kind, (uint32_t)keys->kind + 1);
    return OK;
}

static int undo(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    struct corruption *order = order_of(world, victim);

    (void)args, (void)err;
    if (atomic_load(&order->fault) == victim->fault)
        atomic_store(&order->kind, CORRUPT_NOT);
    return OK;
}

const struct fault_ops fault_corrupt_update = {
    .name = "corrupt-update",
    .help = "The client trains and then sends garbage instead, in every round from this one on; with `for:` until that "
            "time is over. Victims are drawn from all clients.",
    .params = &table,
    .takes_for = FOR_OPTIONAL,
    .by_order = true,
    .strike = strike,
    .undo = undo,
};
