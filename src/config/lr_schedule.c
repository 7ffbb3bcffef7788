#include "config/lr_schedule.h"

#include <math.h>
#include <string.h>

#include "util/words.h"

static double constant(const struct lr_schedule_args *args, int64_t round, int64_t num_rounds)
{
    (void)args, (void)round, (void)num_rounds;
    return 1;
}

static double step(const struct lr_schedule_args *args, int64_t round, int64_t num_rounds)
{
    (void)num_rounds;
    return pow(args->factor, (double)(round / args->every));
}

static double exponential(const struct lr_schedule_args *args, int64_t round, int64_t num_rounds)
{
    (void)num_rounds;
    return pow(args->factor, (double)round);
}

/* Loshchilov & Hutter 2017 without restarts: half a cosine from 1 in the first round to final_share in the last. */
static double cosine(const struct lr_schedule_args *args, int64_t round, int64_t num_rounds)
{
    int64_t last = (args->rounds > 0 ? args->rounds : num_rounds) - 1;
    double done = last > 0 && round < last ? (double)round / (double)last : last > 0 || round > 0;

    return args->final_share + (1 - args->final_share) * (1 + cos(acos(-1.0) * done)) / 2;
}

#define ARG(member) offsetof(struct lr_schedule_args, member)
#define TABLE(of, text)                                                                                                \
    {                                                                                                                  \
        .name = #of, .help = text, .rows = of##_rows, .num_rows = sizeof of##_rows / sizeof *of##_rows,                \
        .size = sizeof(struct lr_schedule_args),                                                                       \
    }

// clang-format off
static const struct param step_rows[] = {
    {.name = "every", .alias = "step_size", .type = PARAM_INT, .offset = ARG(every), .flags = PARAM_REQUIRED, .min = 1, .max = 1e9,
     .help = "Rounds between two steps."},
    {.name = "factor", .alias = "gamma", .type = PARAM_DOUBLE, .offset = ARG(factor), .fallback = "0.1", .min = PARAM_ABOVE_0, .max = 1,
     .help = "What the rate is multiplied with at each step."},
};

static const struct param exponential_rows[] = {
    {.name = "factor", .alias = "gamma", .type = PARAM_DOUBLE, .offset = ARG(factor), .flags = PARAM_REQUIRED, .min = PARAM_ABOVE_0, .max = 1,
     .help = "What the rate is multiplied with after each round."},
};

static const struct param cosine_rows[] = {
    {.name = "rounds", .alias = "T_max", .type = PARAM_INT, .offset = ARG(rounds), .fallback = "0", .min = 0, .max = 1e9,
     .help = "Rounds until the end of the curve; 0: num_training_rounds. Later rounds stay at the end."},
    {.name = "final_share", .type = PARAM_DOUBLE, .offset = ARG(final_share), .fallback = "0", .min = 0, .max = 1,
     .help = "Share of the learning rate that the last round has."},
};
// clang-format on

static const struct param_table constant_table = {
    .name = "constant", .help = "The same rate in every round.", .size = sizeof(struct lr_schedule_args)};
static const struct param_table step_table = TABLE(step, "The rate falls every few rounds.");
static const struct param_table exponential_table = TABLE(exponential, "The rate falls after every round.");
static const struct param_table cosine_table = TABLE(cosine, "The rate falls along half a cosine.");

const struct lr_schedule_ops lr_schedules[] = {
    {"constant", &constant_table, constant},
    {"step", &step_table, step},
    {"exponential", &exponential_table, exponential},
    {"cosine", &cosine_table, cosine},
    {NULL, NULL, NULL},
};

static const struct lr_schedule_ops *find(const char *name)
{
    for (const struct lr_schedule_ops *ops = lr_schedules; ops->name; ops++)
        if (strcmp(ops->name, name) == 0)
            return ops;
    return NULL;
}

static int unknown(struct yaml_node node, const char *name, struct diags *diags)
{
    const char *names[sizeof lr_schedules / sizeof *lr_schedules];
    char text[WORDS_TEXT];
    size_t n = 0;

    for (; lr_schedules[n].name; n++)
        names[n] = lr_schedules[n].name;
    diag_error(diags, yaml_place(node), "%s", unknown_word("lr_schedule", name, names, n, text));
    return ERR_INVALID;
}

static void check_keys(struct yaml_node node, struct diags *diags)
{
    for (size_t i = 0; i < yaml_size(node); i++) {
        const char *key = yaml_text(yaml_key(node, i));

        if (strcmp(key, "name") != 0 && strcmp(key, "args") != 0)
            diag_error(diags, yaml_place(yaml_key(node, i)),
                       "unknown key `%.80s` in `lr_schedule`; there are: name, args", key);
    }
}

int lr_schedule_read(struct yaml_node node, struct lr_schedule *out, struct diags *diags)
{
    bool mapping = yaml_kind(node) == YAML_MAPPING;
    struct yaml_node named = mapping ? yaml_get(node, "name") : node;

    *out = (struct lr_schedule){0};
    if (!node.doc || yaml_is_null(node))
        return OK;
    if (mapping)
        check_keys(node, diags);
    if (!yaml_text(named)) {
        diag_error(diags, yaml_place(node), "`lr_schedule` must be a name, or {name: step, args: {every: 10}}");
        return ERR_INVALID;
    }
    out->ops = find(yaml_text(named));
    if (!out->ops)
        return unknown(named, yaml_text(named), diags);
    return params_read(out->ops->params, mapping ? yaml_get(node, "args") : (struct yaml_node){0}, &out->args, diags);
}

double lr_schedule_factor(const struct lr_schedule *schedule, int64_t round, int64_t num_rounds)
{
    return schedule->ops ? schedule->ops->factor(&schedule->args, round, num_rounds) : 1;
}
