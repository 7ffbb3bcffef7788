#include "sim/fault_plan.h"

#include <stdlib.h>
#include <string.h>

struct fault_keys { /* what every event has */
    char *kind;
    char *duration, *delay;
    struct yaml_node then;
};

#define AT(member) offsetof(struct fault_keys, member)

// clang-format off
static const struct param rows[] = {
    {.name = "do", .type = PARAM_STRING, .offset = AT(kind),
     .help = "What happens: a kind of fault."},
    {.name = "for", .type = PARAM_STRING, .offset = AT(duration),
     .help = "Take it back after this time (5s), or after rounds (2 rounds: this one and the next), which repeats exactly; absent: it lasts."},
    {.name = "then", .type = PARAM_NODE, .offset = AT(then),
     .help = "What follows: a list of events, each with `do` and what belongs to it. Each happens when the one before it is over: taken back "
             "and recovered; where it lasts, noticed. Without a `do` beside it the first of the list happens at the entry's time."},
    {.name = "delay", .type = PARAM_STRING, .offset = AT(delay),
     .help = "In `then`: so long after the one before is over (1s); or so many rounds later (1 round), which repeats exactly if that one does; "
             "absent: at once."},
};
// clang-format on

const struct param_table fault_common_table = {
    .name = "fault",
    .help = "Something that goes wrong: what, for how long, and what follows.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct fault_keys),
};

enum { PART_WHEN, PART_WHOM, PART_COMMON, PART_KIND, NUM_PARTS };

bool fault_plan_ends(const struct fault_plan *plan)
{
    return plan->ops->undo_at_once || plan->for_s > 0 || plan->for_rounds > 0 || plan->when.mttr_s > 0;
}

/* --- one plan --- */

static bool has(struct yaml_node node, const char *key)
{
    return yaml_get(node, key).doc != NULL;
}

static void refuse(struct yaml_node node, const char *const *keys, const char *why, struct diags *diags)
{
    for (; *keys; keys++)
        if (has(node, *keys))
            diag_error(diags, yaml_place(yaml_get(node, *keys)), "`%s`: %s", *keys, why);
}

static const void *part(const struct fault_plan *plan, int number)
{
    return (const char *)plan->keys + plan->table.at[number];
}

static const struct fault_ops *read_kind(struct yaml_node node, struct diags *diags)
{
    struct yaml_node kind = yaml_get(node, "do");
    const char *name = yaml_text(kind);
    const struct fault_ops *ops = name ? fault_find(name) : NULL;
    char text[WORDS_TEXT];

    if (!kind.doc && yaml_kind(node) == YAML_MAPPING)
        diag_error(diags, yaml_place(node), "a fault needs `do`: what happens?");
    if (name && !ops)
        diag_error(diags, yaml_place(kind), "`do`: %s", fault_unknown(name, text));
    return ops;
}

/* Everything that stands in the mapping, into plan->keys. */
static int read_keys(struct yaml_node node, struct fault_plan *plan, struct diags *diags)
{
    const struct joined_part parts[NUM_PARTS] = {{"when", &fault_when_table},
                                                 {"whom", &fault_whom_table},
                                                 {"fault", &fault_common_table},
                                                 {"kind", plan->ops ? plan->ops->params : NULL}};

    plan->place = yaml_place(yaml_get(node, "do"));
    if (joined_table_init(&plan->table, "fault", parts, NUM_PARTS, NULL) ||
        !(plan->keys = calloc(1, plan->table.table.size))) {
        diag_error(diags, yaml_place(node), "out of memory");
        return ERR_MEMORY;
    }
    params_read(&plan->table.table, node, plan->keys, diags);
    plan->args = part(plan, PART_KIND);
    return OK;
}

static void plan_fini(struct fault_plan *plan)
{
    if (plan->keys)
        params_free(&plan->table.table, plan->keys);
    free(plan->keys);
    fault_whom_fini(&plan->whom);
    joined_table_fini(&plan->table);
}

static bool takes_no_for(const struct fault_plan *plan)
{
    return plan->ops->takes_for == FOR_REFUSED;
}

static void read_for(struct yaml_node node, struct fault_plan *plan, struct diags *diags)
{
    struct diag_place place = yaml_place(has(node, "for") ? yaml_get(node, "for") : node);
    struct fault_span span;

    fault_span_read(node, "for", &span, diags);
    plan->for_s = plan->ops->pause_s ? plan->ops->pause_s(plan->args) : span.s;
    plan->for_rounds = span.rounds;
    if (has(node, "for") && takes_no_for(plan))
        diag_error(diags, place, "`for`: %s takes none", plan->ops->name);
    else if (has(node, "for") && plan->when.kind == WHEN_MTTF)
        diag_error(diags, place, "`for`: with `mttf` it is called `mttr`, and is drawn");
    else if (has(node, "mttr") && takes_no_for(plan))
        diag_error(diags, yaml_place(yaml_get(node, "mttr")), "`mttr`: %s takes none", plan->ops->name);
    else if (span.rounds > 0 && plan->whom.target == FAULT_LEADER && !plan->ops->leader_works)
        diag_error(diags, place, "`for`: there are no rounds without a leader; say a duration");
    else if (plan->ops->takes_for == FOR_REQUIRED && !has(node, "for") && !has(node, "mttr"))
        diag_error(diags, place, "%s needs `for`: how long does it last?", plan->ops->name);
    else if (plan->whom.target == FAULT_LEADER && (plan->ops->also & FAULT_BIT(FAULT_LEADER)) &&
             !plan->ops->leader_works && !fault_plan_ends(plan))
        diag_error(diags, place, "%s of the leader needs `for`: without a leader nothing goes on", plan->ops->name);
}

static void check_event(struct yaml_node node, const struct fault_limits *limits, const struct fault_plan *plan,
                        struct diags *diags)
{
    const char *why = plan->ops->obstacle ? plan->ops->obstacle(limits, plan->args) : NULL;

    if (why)
        diag_error(diags, yaml_place(yaml_get(node, "do")), "`do`: %s %s", plan->ops->name, why);
    if (plan->ops->joins && (plan->whom.kind == WHOM_SELECTED || plan->when.kind == WHEN_MTTF ||
                             plan->when.every_s > 0 || plan->when.last > plan->when.first))
        diag_error(diags, yaml_place(node), "%s happens once, and its clients are drawn at the beginning",
                   plan->ops->name);
    if (plan->whom.target == FAULT_CLIENTS && plan->when.phase != PHASE_TRAINING)
        diag_error(diags, yaml_place(yaml_get(node, "phase")), "`phase`: %s strikes clients, and these in `training`",
                   plan->ops->name);
}

/* What happens, to whom, for how long; plan->when stands already. */
static void read_event(struct yaml_node node, const struct fault_limits *limits, struct fault_plan *plan,
                       struct diags *diags)
{
    if (yaml_kind(node) != YAML_MAPPING)
        return;
    fault_whom_read(node, part(plan, PART_WHOM), plan->ops, limits, &plan->whom, diags);
    if (!plan->ops)
        return;
    read_for(node, plan, diags);
    check_event(node, limits, plan, diags);
}

/* --- entries --- */

static const char *const no_delay[] = {"delay", NULL};
static const char *const of_events[] = {"clients", "group", "whom", "for", "delay", NULL};
static const char *const of_entries[] = {"round", "at", "every", "when", "mttf", "mttr", "then", NULL};

/* An entry of the list with a `do` of its own. */
static void read_entry(struct yaml_node node, const struct fault_limits *limits, struct fault_plan *plan,
                       struct diags *diags)
{
    plan->ops = read_kind(node, diags);
    if (read_keys(node, plan, diags) || yaml_kind(node) != YAML_MAPPING)
        return;
    refuse(node, no_delay, "nothing comes before this one", diags);
    fault_when_read(node, part(plan, PART_WHEN), limits, &plan->when, diags);
    read_event(node, limits, plan, diags);
}

/* The time of an entry that says what happens in `then` alone. */
static void read_time(struct yaml_node entry, const struct fault_limits *limits, struct fault_when *out,
                      struct diags *diags)
{
    struct fault_plan time = {0};

    refuse(entry, of_events, "of what event? Say `do` here too, or say this in `then`", diags);
    if (!read_keys(entry, &time, diags))
        fault_when_read(entry, part(&time, PART_WHEN), limits, out, diags);
    plan_fini(&time);
}

static void read_first(struct yaml_node entry, struct yaml_node event, const struct fault_limits *limits,
                       struct fault_plan *plan, struct diags *diags)
{
    read_time(entry, limits, &plan->when, diags);
    plan->ops = read_kind(event, diags);
    if (read_keys(event, plan, diags))
        return;
    refuse(event, of_entries, "the first event of `then` happens at the entry's time", diags);
    refuse(event, no_delay, "nothing comes before this one", diags);
    read_event(event, limits, plan, diags);
}

static void read_follower(struct yaml_node event, const struct fault_limits *limits, struct fault_plan *plan,
                          struct diags *diags)
{
    plan->ops = read_kind(event, diags);
    if (read_keys(event, plan, diags))
        return;
    refuse(event, of_entries, "an event of `then` happens when the one before it is over", diags);
    plan->when.kind = WHEN_AFTER;
    plan->when.phase = (enum fault_phase)((const struct when_keys *)part(plan, PART_WHEN))->phase;
    fault_span_read(event, "delay", &plan->when.delay, diags);
    read_event(event, limits, plan, diags);
}

/* --- the list --- */

/* The events of an entry that follow its first one begin here in its `then`. */
static size_t first_follower(struct yaml_node entry)
{
    return has(entry, "do") ? 0 : 1;
}

static size_t num_events(struct yaml_node entry)
{
    struct yaml_node then = yaml_get(entry, "then");

    return yaml_kind(then) == YAML_SEQUENCE ? yaml_size(then) : 0;
}

static size_t num_plans(struct yaml_node list)
{
    size_t n = yaml_size(list);

    for (size_t i = 0; i < yaml_size(list); i++) {
        struct yaml_node entry = yaml_item(list, i);

        if (num_events(entry) > first_follower(entry))
            n += num_events(entry) - first_follower(entry);
    }
    return n;
}

/* The entry becomes plans[i], what follows it plans[*end], … */
static void read_chain(struct yaml_node entry, const struct fault_limits *limits, struct fault_plan *plans, size_t i,
                       size_t *end, struct diags *diags)
{
    struct yaml_node then = yaml_get(entry, "then");
    struct fault_plan *before = &plans[i];

    if (then.doc && num_events(entry) == 0)
        diag_error(diags, yaml_place(then), "`then` must be a list of events");
    if (has(entry, "do") || num_events(entry) == 0)
        read_entry(entry, limits, &plans[i], diags);
    else
        read_first(entry, yaml_item(then, 0), limits, &plans[i], diags);
    for (size_t k = first_follower(entry); k < num_events(entry); k++) {
        read_follower(yaml_item(then, k), limits, &plans[*end], diags);
        before->next = (long)*end;
        before = &plans[(*end)++];
    }
}

int fault_plans_read(struct yaml_node list, const struct fault_limits *limits, struct fault_plan **out, size_t *n,
                     struct diags *diags)
{
    size_t before = diags_errors(diags), total = num_plans(list), end = yaml_size(list);
    struct fault_plan *plans = calloc(total ? total : 1, sizeof *plans);

    *out = plans;
    *n = 0;
    if (!plans) {
        diag_error(diags, yaml_place(list), "out of memory");
        return ERR_MEMORY;
    }
    *n = total;
    for (size_t i = 0; i < total; i++) {
        plans[i].next = -1;
        plans[i].whom.group = -1;
    }
    for (size_t i = 0; i < yaml_size(list); i++)
        read_chain(yaml_item(list, i), limits, plans, i, &end, diags);
    return diags_errors(diags) == before ? OK : ERR_INVALID;
}

void fault_plans_free(struct fault_plan *plans, size_t n)
{
    for (size_t i = 0; plans && i < n; i++)
        plan_fini(&plans[i]);
    free(plans);
}
