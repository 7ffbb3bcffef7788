#include "sim/corruption.h"
#include "sim/fault.h"

struct args {
    int kind;
    double sigma, factor;
    int64_t bits;
};

#define AT(member) offsetof(struct args, member)

/* In the order of enum corruption_kind. */
static const char *const kinds[] = {"gaussian", "sign-flip", "scale",     "nan", "zero",
                                    "inf",      "bit-flip",  "truncated", NULL};

// clang-format off
static const struct param rows[] = {
    {.name = "kind", .type = PARAM_CHOICE, .offset = AT(kind), .choices = kinds, .flags = PARAM_REQUIRED,
     .help = "`gaussian` sends the global model plus noise N(0, sigma^2), `sign-flip` the global model minus factor times "
             "the client's update, `scale` plus factor times it, `nan` no numbers, `zero` zeros, `inf` infinity, `bit-flip` its "
             "weights with some bits turned over, `truncated` their bytes cut off in the middle."},
    {.name = "sigma", .type = PARAM_DOUBLE, .offset = AT(sigma), .fallback = "1", .min = 0, .max = 1e30,
     .help = "Standard deviation of `gaussian`, of each weight."},
    {.name = "factor", .type = PARAM_DOUBLE, .offset = AT(factor), .fallback = "10", .min = 0, .max = 1e30,
     .help = "Of `sign-flip` and `scale`."},
    {.name = "bits", .type = PARAM_INT, .offset = AT(bits), .fallback = "1", .min = 1, .max = 1e6,
     .help = "How many `bit-flip` turns over, anywhere in the weights."},
};
// clang-format on

static const struct param_table table = {
    .name = "corrupt-update",
    .help = "What it sends instead.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct args),
};

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    const struct args *keys = args;
    const double p[ORDER_VALUES] = {
        [CORRUPT_KIND] = keys->kind,
        [CORRUPT_SIGMA] = keys->sigma,
        [CORRUPT_FACTOR] = keys->factor,
        [CORRUPT_BITS] = (double)keys->bits,
    };

    (void)err;
    fault_give_order(world, victim, ORDER_CORRUPT, p);
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
    .undo = fault_take_back_order,
};
