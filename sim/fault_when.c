#include "sim/fault_when.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/fault_plan.h"

#define AT(member) offsetof(struct when_keys, member)

enum { LONGEST_S = 1000000000, MOST_ROUNDS = 1000000000 };

/* In the order of enum fault_phase. */
static const char *const phases[] = {"selection", "distribution", "training", "aggregation", "validation", "end", NULL};
static const char *const points[] = {"leader.selection",   "leader.selected",   "leader.training",
                                     "leader.aggregation", "leader.validation", "leader.end"};

// clang-format off
static const struct param rows[] = {
    {.name = "round", .type = PARAM_STRING, .offset = AT(round),
     .help = "Strike in this round (the first is 1), or in each round of a range (3-7): a barrier, so that it repeats exactly."},
    {.name = "phase", .type = PARAM_CHOICE, .offset = AT(phase), .choices = phases, .fallback = "training",
     .help = "Where in the round. `selection`: before clients are chosen; `distribution`: they are chosen, nothing has been sent; `training`: "
             "the requests are sent, and a victim has run its first mini-batch and not answered; `aggregation`: before an update is "
             "merged; `validation`: before the new model is validated; `end`: the round is over and on record. Clients are struck in "
             "`training`; the leader, the broker and Redis in any of them."},
    {.name = "at", .type = PARAM_DURATION, .offset = AT(at_s), .min = 0, .max = LONGEST_S,
     .help = "Or strike so long after the session began."},
    {.name = "every", .type = PARAM_STRING, .offset = AT(every),
     .help = "Again and again: `2 rounds` is rounds 2, 4, 6 and so on, with `round: 3-9` rounds 3, 5, 7, 9, with `round: 3` from 3 on; `10s` is at 10 s, "
             "20 s and so on, with `at: 5s` at 5 s, 15 s and so on. Victims are drawn anew each time."},
    {.name = "when", .type = PARAM_STRING, .offset = AT(condition),
     .help = "Or strike in the round after the first at whose end this holds, once: a figure that each round has, as in `accuracy >= 70`; "
             "`flosim help expect` lists them. The leader waits while it is looked at, so that it repeats exactly."},
    {.name = "mttf", .type = PARAM_DURATION, .offset = AT(mttf_s), .min = 0.001, .max = LONGEST_S,
     .help = "Or strike each of these clients by itself, after an exponential time of this mean, drawn by the seed, and again after each repair."},
    {.name = "mttr", .type = PARAM_DURATION, .offset = AT(mttr_s), .min = 0.001, .max = LONGEST_S,
     .help = "With `mttf`: repaired after an exponential time of this mean; absent: it lasts."},
};
// clang-format on

const struct param_table fault_when_table = {
    .name = "when",
    .help = "When it happens: one of `round`, `at`, `every`, `when` and `mttf`.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct when_keys),
};

const char *fault_phase_point(enum fault_phase phase)
{
    return points[phase];
}

const char *fault_phase_name(enum fault_phase phase)
{
    return phases[phase];
}

/* --- words --- */

/* "12" and what follows it; NULL: no number from 1. */
static const char *read_number(const char *text, int64_t *out)
{
    char *end;

    if (*text < '0' || *text > '9')
        return NULL;
    *out = strtoll(text, &end, 10);
    return *out >= 1 && *out <= MOST_ROUNDS ? end : NULL;
}

/* "2 rounds", "1 round". */
static bool read_rounds(const char *text, int64_t *out)
{
    const char *rest = read_number(text, out);

    while (rest && *rest == ' ')
        rest++;
    return rest && (!strcmp(rest, "rounds") || !strcmp(rest, "round"));
}

/* "3", "3-7". */
static bool read_range(const char *text, int64_t *first, int64_t *last)
{
    const char *rest = read_number(text, first);

    *last = *first;
    if (rest && *rest == '-')
        rest = read_number(rest + 1, last);
    return rest && !*rest;
}

void fault_span_read(struct yaml_node node, const char *key, struct fault_span *out, struct diags *diags)
{
    struct yaml_node value = yaml_get(node, key);
    const char *text = yaml_text(value);

    *out = (struct fault_span){0};
    if (!value.doc || yaml_is_null(value) || !text || read_rounds(text, &out->rounds))
        return;
    out->rounds = 0;
    if (param_parse_scalar(PARAM_DURATION, text, &out->s, NULL) || out->s < 0.001 || out->s > LONGEST_S) {
        diag_error(diags, yaml_place(value),
                   "`%s` must be a duration such as 5s, or rounds such as `2 rounds`; found `%s`", key, text);
        *out = (struct fault_span){0};
    }
}

/* --- the kinds --- */

static bool has(struct yaml_node node, const char *key)
{
    return yaml_get(node, key).doc != NULL;
}

static void read_round(struct yaml_node node, const struct fault_limits *limits, struct fault_when *out,
                       struct diags *diags)
{
    struct yaml_node value = yaml_get(node, "round");
    const char *text = yaml_text(value);
    int64_t first = 1, last = 1;

    if (!text)
        return; /* said already */
    if (!read_range(text, &first, &last))
        diag_error(diags, yaml_place(value), "`round` must be a round from 1, or a range such as 3-7; found `%s`",
                   text);
    else if (last < first)
        diag_error(diags, yaml_place(value), "`round`: %s ends before it begins", text);
    else if (limits->num_rounds > 0 && last > limits->num_rounds)
        diag_error(diags, yaml_place(value), "`round`: %" PRId64 " lies beyond num_training_rounds (%" PRId64 ")", last,
                   limits->num_rounds);
    out->first = first - 1;
    out->last = last - 1;
}

/* One round and `every`: from that round on. */
static void read_in_rounds(struct yaml_node node, const struct fault_span *every, const struct fault_limits *limits,
                           struct fault_when *out, struct diags *diags)
{
    out->kind = WHEN_ROUND;
    out->step = every->rounds > 0 ? every->rounds : 1;
    out->first = out->step - 1;
    if (has(node, "round"))
        read_round(node, limits, out, diags);
    if (every->rounds > 0 && out->last <= out->first)
        out->last = INT64_MAX;
    if (every->s > 0)
        diag_error(diags, yaml_place(yaml_get(node, "every")),
                   "`every`: with `round` it counts rounds, as in `2 rounds`");
    else if (limits->num_rounds > 0 && !has(node, "round") && out->first >= limits->num_rounds)
        diag_error(diags, yaml_place(yaml_get(node, "every")), "`every`: there are %" PRId64 " rounds only",
                   limits->num_rounds);
}

static void read_by_clock(struct yaml_node node, const struct when_keys *keys, const struct fault_span *every,
                          struct fault_when *out, struct diags *diags)
{
    out->kind = WHEN_TIME;
    out->at_s = has(node, "at") ? keys->at_s : every->s;
    out->every_s = every->s;
    if (every->rounds > 0)
        diag_error(diags, yaml_place(yaml_get(node, "every")), "`every`: with `at` it is a duration, as in `10s`");
}

static void read_lifetimes(const struct when_keys *keys, struct fault_when *out)
{
    out->kind = WHEN_MTTF;
    out->mttf_s = keys->mttf_s;
    out->mttr_s = keys->mttr_s;
}

static void read_condition(struct yaml_node node, struct fault_when *out, struct diags *diags)
{
    struct yaml_node value = yaml_get(node, "when");
    struct expectation *condition = &out->condition;

    out->kind = WHEN_METRIC;
    if (!yaml_text(value) || expectation_parse(yaml_text(value), yaml_place(value), condition, diags))
        return;
    if (condition->kind != EXPECT_FIGURE)
        diag_error(diags, yaml_place(value),
                   "`when` must be a figure and what it is compared with, as in `accuracy >= 70`");
    else if (!condition->metric->each_round)
        diag_error(diags, yaml_place(value), "`when`: `%s` is not known at the end of each round",
                   condition->metric->name);
}

/* The phase that was asked for counts only in a round. */
static void check_phase(struct yaml_node node, const struct fault_when *when, struct diags *diags)
{
    if (has(node, "phase") && !fault_when_is_by_round(when))
        diag_error(diags, yaml_place(yaml_get(node, "phase")), "`phase` is of a round: a fault by the clock has none");
}

void fault_when_read(struct yaml_node node, const struct when_keys *keys, const struct fault_limits *limits,
                     struct fault_when *out, struct diags *diags)
{
    bool round = has(node, "round"), at = has(node, "at"), mttf = has(node, "mttf"), when = has(node, "when");
    struct fault_span every;

    *out = (struct fault_when){.phase = (enum fault_phase)keys->phase};
    fault_span_read(node, "every", &every, diags);
    if (round + at + mttf + when > 1 || (!round && !at && !mttf && !when && !has(node, "every")))
        diag_error(diags, yaml_place(node),
                   "a fault needs one of `round`, `at`, `every`, `when` and `mttf`: when does it happen?");
    else if (mttf)
        read_lifetimes(keys, out);
    else if (when)
        read_condition(node, out, diags);
    else if (round || (!at && every.rounds > 0))
        read_in_rounds(node, &every, limits, out, diags);
    else
        read_by_clock(node, keys, &every, out, diags);
    if (has(node, "every") && (mttf || when))
        diag_error(diags, yaml_place(yaml_get(node, "every")), "`every` goes with `round` or `at`, or alone");
    if (has(node, "mttr") && !mttf)
        diag_error(diags, yaml_place(yaml_get(node, "mttr")), "`mttr` goes with `mttf`");
    check_phase(node, out, diags);
}

int64_t fault_when_next(const struct fault_when *when, int64_t round)
{
    int64_t steps = round <= when->first ? 0 : (round - when->first + when->step - 1) / when->step;
    int64_t next = when->first + steps * when->step;

    return next <= when->last ? next : -1;
}

bool fault_when_is_by_round(const struct fault_when *when)
{
    return when->kind == WHEN_ROUND || when->kind == WHEN_METRIC ||
           (when->kind == WHEN_AFTER && when->delay.rounds > 0);
}
