#include "sim/fault_plan.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/rng.h"

struct fault_keys { /* what every entry has */
    int64_t round;
    int phase;
    double at_s;
    char *kind;
    struct yaml_node clients;
    char *group;
    double for_s;
};

#define AT(member) offsetof(struct fault_keys, member)

/* In the order of enum fault_phase. */
static const char *const phases[] = {"selection", "distribution", "training", "aggregation", "validation", "end", NULL};
static const char *const points[] = {"leader.selection",   "leader.selected",   "leader.training",
                                     "leader.aggregation", "leader.validation", "leader.end"};

// clang-format off
static const struct param rows[] = {
    {.name = "round", .type = PARAM_INT, .offset = AT(round), .min = 1, .max = 1e9,
     .help = "Strike in this round (the first is 1): a barrier, so that it repeats exactly."},
    {.name = "phase", .type = PARAM_CHOICE, .offset = AT(phase), .choices = phases, .fallback = "training",
     .help = "Where in the round. `selection`: before clients are chosen; `distribution`: they are chosen, nothing has been sent; `training`: "
             "the requests are sent, and a victim has run its first mini-batch and not answered; `aggregation`: before an update is "
             "merged; `validation`: before the new model is validated; `end`: the round is over and on record. Clients are struck in "
             "`training`; the leader, the broker and Redis in any of them."},
    {.name = "at", .type = PARAM_DURATION, .offset = AT(at_s), .min = 0, .max = 1e9,
     .help = "Or strike so long after the session began."},
    {.name = "do", .type = PARAM_STRING, .offset = AT(kind), .flags = PARAM_REQUIRED,
     .help = "What happens: a kind of fault."},
    {.name = "clients", .type = PARAM_NODE, .offset = AT(clients),
     .help = "To whom, where it happens to clients: a number (5) or share (10%) drawn by the seed from the clients that train in the round, or from all "
             "with `at:` and for corrupt-update; a list of client numbers ([0, 3]); or all."},
    {.name = "group", .type = PARAM_STRING, .offset = AT(group),
     .help = "Only clients of this group of the fleet."},
    {.name = "for", .type = PARAM_DURATION, .offset = AT(for_s), .min = 0.001, .max = 1e9,
     .help = "Take it back after this time; absent: it lasts."},
};
// clang-format on

const struct param_table fault_common_table = {
    .name = "fault",
    .help = "Something that goes wrong: when, what, to whom, for how long.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct fault_keys),
};

const char *fault_phase_point(enum fault_phase phase)
{
    return points[phase];
}

const char *fault_phase_name(enum fault_phase phase)
{
    return phases[phase];
}

/* --- whom --- */

static void complain_of_clients(struct yaml_node node, const char *why, struct diags *diags)
{
    diag_error(diags, yaml_place(node), "`clients` %s", why);
}

static bool is_listed(const struct whom *whom, int64_t number)
{
    for (size_t i = 0; i < whom->num_list; i++)
        if (whom->list[i] == number)
            return true;
    return false;
}

static void read_list_item(struct yaml_node node, const struct fault_limits *limits, struct whom *whom,
                           struct diags *diags)
{
    const char *text = yaml_text(node);
    int64_t number = -1;

    if (!text || param_parse_scalar(PARAM_INT, text, &number, NULL) || number < 0 ||
        (uint64_t)number >= limits->num_clients)
        diag_error(diags, yaml_place(node), "`clients`: `%s` is no client; they are 0 to %zu", text ? text : "this",
                   limits->num_clients - 1);
    else if (is_listed(whom, number))
        diag_error(diags, yaml_place(node), "`clients`: %s is named twice", text);
    else
        whom->list[whom->num_list++] = (uint32_t)number;
}

/* So bounded, however long the list is: no more than there are clients. */
static void read_list(struct yaml_node node, const struct fault_limits *limits, struct whom *whom, struct diags *diags)
{
    whom->kind = WHOM_LIST;
    if (yaml_size(node) == 0)
        complain_of_clients(node, "is an empty list: to whom does it happen?", diags);
    whom->list = calloc(limits->num_clients, sizeof *whom->list);
    if (!whom->list)
        complain_of_clients(node, "out of memory", diags);
    for (size_t i = 0; whom->list && i < yaml_size(node); i++)
        read_list_item(yaml_item(node, i), limits, whom, diags);
}

/* Nothing is known of a group's size where the fleet was not dealt or the number of clients is wrong. */
static size_t num_eligible(const struct fault_limits *limits, int group)
{
    const struct fleet *fleet = limits->fleet;
    bool is_known = group >= 0 && fleet->first && fleet->num_clients == limits->num_clients;

    return is_known ? fleet->first[group + 1] - fleet->first[group] : limits->num_clients;
}

static void read_number(struct yaml_node node, const struct fault_limits *limits, struct whom *whom,
                        struct diags *diags)
{
    const char *text = yaml_text(node);
    int64_t number = 0;

    if (text && strchr(text, '%')) {
        whom->kind = WHOM_SHARE;
        if (param_parse_scalar(PARAM_FRACTION, text, &whom->share, NULL) || whom->share < 0 || whom->share > 1)
            complain_of_clients(node, "must be a share between 0% and 100%", diags);
        return;
    }
    whom->kind = WHOM_COUNT;
    if (!text || param_parse_scalar(PARAM_INT, text, &number, NULL) || number < 1)
        complain_of_clients(node, "must be a number from 1, a share such as 10%, a list such as [0, 3], or all", diags);
    else if ((uint64_t)number > num_eligible(limits, whom->group))
        diag_error(diags, yaml_place(node), "`clients`: %" PRId64 " victims, but there are %zu clients%s", number,
                   num_eligible(limits, whom->group), whom->group < 0 ? "" : " in the group");
    else
        whom->count = (size_t)number;
}

static void read_group(struct yaml_node node, const char *group, const struct fault_limits *limits, struct whom *whom,
                       struct diags *diags)
{
    whom->group = group ? fleet_find(limits->fleet, group) : -1;
    if (group && whom->group < 0)
        diag_error(diags, yaml_place(yaml_get(node, "group")), "`group`: the fleet has no group `%s`", group);
}

/* Who is struck by a fault of the leader or a server need not be said. */
static bool out_of_place(struct yaml_node node, const struct fault_ops *ops, struct diags *diags)
{
    static const char *const keys[] = {"clients", "group"};

    if (!ops || ops->target == FAULT_CLIENTS)
        return false;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (yaml_get(node, keys[i]).doc)
            diag_error(diags, yaml_place(yaml_get(node, keys[i])), "`%s`: %s happens to no clients", keys[i],
                       ops->name);
    return true;
}

static void read_whom(struct yaml_node node, const struct fault_keys *keys, const struct fault_ops *ops,
                      const struct fault_limits *limits, struct whom *whom, struct diags *diags)
{
    struct yaml_node clients = yaml_get(node, "clients");
    const char *text = yaml_text(clients);

    if (out_of_place(node, ops, diags))
        return;
    read_group(node, keys->group, limits, whom, diags);
    if (!clients.doc && !keys->group)
        diag_error(diags, yaml_place(node), "a fault needs `clients` or `group`: to whom does it happen?");
    else if (!clients.doc || (text && !strcmp(text, "all")))
        whom->kind = WHOM_ALL;
    else if (yaml_kind(clients) == YAML_SEQUENCE && keys->group)
        diag_error(diags, yaml_place(yaml_get(node, "group")), "`group` and a list of `clients` exclude each other");
    else if (yaml_kind(clients) == YAML_SEQUENCE)
        read_list(clients, limits, whom, diags);
    else
        read_number(clients, limits, whom, diags);
}

/* --- the whole entry --- */

static void read_when(struct yaml_node node, const struct fault_keys *keys, const struct fault_limits *limits,
                      struct fault_plan *out, struct diags *diags)
{
    struct yaml_node round = yaml_get(node, "round"), at = yaml_get(node, "at");

    out->by_round = round.doc != NULL;
    out->round = keys->round - 1;
    out->phase = (enum fault_phase)keys->phase;
    out->at_s = keys->at_s;
    if (!round.doc == !at.doc)
        diag_error(diags, yaml_place(node), "a fault needs one of `round` and `at`: when does it happen?");
    if (round.doc && limits->num_rounds > 0 && keys->round > limits->num_rounds)
        diag_error(diags, yaml_place(round), "`round`: %" PRId64 " lies beyond num_training_rounds (%" PRId64 ")",
                   keys->round, limits->num_rounds);
    if (out->ops && out->ops->target == FAULT_CLIENTS && out->phase != PHASE_TRAINING)
        diag_error(diags, yaml_place(yaml_get(node, "phase")), "`phase`: %s strikes clients, and these in `training`",
                   out->ops->name);
}

static void read_for(struct yaml_node node, const struct fault_keys *keys, struct fault_plan *out, struct diags *diags)
{
    struct yaml_node duration = yaml_get(node, "for");

    out->for_s = out->ops->pause_s ? out->ops->pause_s(out->args) : keys->for_s;
    if (duration.doc && out->ops->takes_for == FOR_REFUSED)
        diag_error(diags, yaml_place(duration), "`for`: %s takes none", out->ops->name);
    if (!duration.doc && out->ops->takes_for == FOR_REQUIRED)
        diag_error(diags, yaml_place(node), "%s needs `for`: how long does it last?", out->ops->name);
}

static void check_obstacle(struct yaml_node node, const struct fault_limits *limits, const struct fault_plan *plan,
                           struct diags *diags)
{
    const char *why = plan->ops->obstacle ? plan->ops->obstacle(limits, plan->args) : NULL;

    if (why)
        diag_error(diags, yaml_place(yaml_get(node, "do")), "`do`: %s %s", plan->ops->name, why);
}

static const struct fault_ops *read_kind(struct yaml_node node, struct diags *diags)
{
    struct yaml_node kind = yaml_get(node, "do");
    const char *name = yaml_text(kind);
    const struct fault_ops *ops = name ? fault_find(name) : NULL;
    char text[WORDS_TEXT];

    if (name && !ops)
        diag_error(diags, yaml_place(kind), "`do`: %s", fault_unknown(name, text));
    return ops;
}

int fault_plan_read(struct yaml_node node, const struct fault_limits *limits, struct fault_plan *out,
                    struct diags *diags)
{
    size_t before = diags_errors(diags);
    struct error err = ERROR_INIT;

    memset(out, 0, sizeof *out);
    out->whom.group = -1;
    out->ops = read_kind(node, diags);
    out->place = yaml_place(yaml_get(node, "do"));
    const struct joined_part parts[] = {{"fault", &fault_common_table}, {"kind", out->ops ? out->ops->params : NULL}};
    if (joined_table_init(&out->table, "fault", parts, 2, &err) || !(out->keys = calloc(1, out->table.table.size))) {
        diag_error(diags, yaml_place(node), "out of memory");
        return ERR_MEMORY;
    }
    params_read(&out->table.table, node, out->keys, diags);
    out->args = (const char *)out->keys + out->table.at[1];
    if (yaml_kind(node) == YAML_MAPPING) {
        read_when(node, out->keys, limits, out, diags);
        read_whom(node, out->keys, out->ops, limits, &out->whom, diags);
        if (out->ops) {
            read_for(node, out->keys, out, diags);
            check_obstacle(node, limits, out, diags);
        }
    }
    return diags_errors(diags) == before ? OK : ERR_INVALID;
}

void fault_plan_fini(struct fault_plan *plan)
{
    if (plan->keys)
        params_free(&plan->table.table, plan->keys);
    free(plan->keys);
    free(plan->whom.list);
    joined_table_fini(&plan->table);
    memset(plan, 0, sizeof *plan);
}

/* --- the choice --- */

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static size_t take_list(const struct whom *whom, uint32_t *out)
{
    memcpy(out, whom->list, whom->num_list * sizeof *out);
    qsort(out, whom->num_list, sizeof *out, compare_u32);
    return whom->num_list;
}

static size_t take_group(int group, const struct fleet *fleet, const uint32_t *candidates, size_t n, uint32_t *out)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        if (group < 0 || fleet_group_of(fleet, candidates[i]) == group)
            out[kept++] = candidates[i];
    return kept;
}

/* A share of few clients is at least one of them, unless it is 0. */
static size_t how_many(const struct whom *whom, size_t n)
{
    double wanted = whom->kind == WHOM_COUNT   ? (double)whom->count
                    : whom->kind == WHOM_SHARE ? round(whom->share * (double)n)
                                               : (double)n;

    if (whom->kind == WHOM_SHARE && whom->share > 0 && wanted < 1)
        wanted = 1;
    return wanted < (double)n ? (size_t)wanted : n;
}

size_t fault_plan_choose(const struct fault_plan *plan, size_t index, uint64_t seed, const struct fleet *fleet,
                         const uint32_t *candidates, size_t n, uint32_t *out)
{
    struct rng rng;

    if (plan->whom.kind == WHOM_LIST)
        return take_list(&plan->whom, out);
    size_t eligible = take_group(plan->whom.group, fleet, candidates, n, out);
    size_t wanted = how_many(&plan->whom, eligible);
    rng_init(&rng, seed, "fault", "", index);
    rng_shuffle_u32(&rng, out, eligible);
    qsort(out, wanted, sizeof *out, compare_u32);
    return wanted;
}
