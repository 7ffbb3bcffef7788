#include "sim/fault_whom.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/fault_plan.h"
#include "util/rng.h"

#define AT(member) offsetof(struct whom_keys, member)

/* In the order of enum fault_target. */
static const char *const targets[] = {"clients", "leader", "broker", "redis", NULL};

// clang-format off
static const struct param rows[] = {
    {.name = "clients", .type = PARAM_NODE, .offset = AT(clients),
     .help = "A number (5) or share (10%) drawn by the seed from the clients that train in the round, or from all by the clock and for "
             "faults that the clients themselves carry out; a list of client numbers ([0, 3]); `all` of these; or `selected`, all that train "
             "in the round."},
    {.name = "group", .type = PARAM_STRING, .offset = AT(group),
     .help = "Only clients of this group of the fleet."},
    {.name = "whom", .type = PARAM_CHOICE, .offset = AT(target), .choices = targets, .fallback = "clients",
     .help = "Or the leader, the run's own broker or its own Redis, for the kinds that can strike these."},
};
// clang-format on

const struct param_table fault_whom_table = {
    .name = "whom",
    .help = "To whom it happens: `clients`, `group` or both, or `whom`.",
    .rows = rows,
    .num_rows = sizeof rows / sizeof *rows,
    .size = sizeof(struct whom_keys),
};

/* --- reading --- */

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
        complain_of_clients(
            node, "must be a number from 1, a share such as 10%, a list such as [0, 3], all, or selected", diags);
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
static void refuse_clients(struct yaml_node node, const struct fault_ops *ops, struct diags *diags)
{
    static const char *const keys[] = {"clients", "group"};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (yaml_get(node, keys[i]).doc)
            diag_error(diags, yaml_place(yaml_get(node, keys[i])), "`%s`: %s happens to no clients", keys[i],
                       ops->name);
}

/* The servers of others are nobody's to strike. */
static void check_target(struct yaml_node node, const struct fault_ops *ops, const struct fault_limits *limits,
                         enum fault_target target, struct diags *diags)
{
    struct yaml_node whom = yaml_get(node, "whom"), place = whom.doc ? whom : yaml_get(node, "do");

    if (target != ops->target && !(ops->also & FAULT_BIT(target)))
        diag_error(diags, yaml_place(whom), "`whom`: %s cannot happen to the %s", ops->name, targets[target]);
    else if (target == FAULT_BROKER && !limits->embedded_broker)
        diag_error(diags, yaml_place(place), "`do`: %s needs `broker: embedded`: nobody else's broker is touched",
                   ops->name);
    else if (target == FAULT_REDIS && !limits->embedded_redis)
        diag_error(diags, yaml_place(place), "`do`: %s needs `redis: embedded`: nobody else's server is touched",
                   ops->name);
}

/* Of an unknown kind of fault it is not said that it needs clients. */
static void read_clients(struct yaml_node node, const struct whom_keys *keys, bool is_known,
                         const struct fault_limits *limits, struct whom *whom, struct diags *diags)
{
    struct yaml_node clients = yaml_get(node, "clients");
    const char *text = yaml_text(clients);

    read_group(node, keys->group, limits, whom, diags);
    if (!clients.doc && !keys->group && is_known)
        diag_error(diags, yaml_place(node), "a fault needs `clients` or `group`: to whom does it happen?");
    else if (!clients.doc || (text && !strcmp(text, "all")))
        whom->kind = WHOM_ALL;
    else if (text && !strcmp(text, "selected"))
        whom->kind = WHOM_SELECTED;
    else if (yaml_kind(clients) == YAML_SEQUENCE && keys->group)
        diag_error(diags, yaml_place(yaml_get(node, "group")), "`group` and a list of `clients` exclude each other");
    else if (yaml_kind(clients) == YAML_SEQUENCE)
        read_list(clients, limits, whom, diags);
    else
        read_number(clients, limits, whom, diags);
}

void fault_whom_read(struct yaml_node node, const struct whom_keys *keys, const struct fault_ops *ops,
                     const struct fault_limits *limits, struct whom *out, struct diags *diags)
{
    bool named = yaml_get(node, "whom").doc != NULL;

    *out = (struct whom){.group = -1};
    out->target = named || !ops ? (enum fault_target)keys->target : ops->target;
    if (ops)
        check_target(node, ops, limits, out->target, diags);
    if (out->target == FAULT_CLIENTS && !(ops && ops->target != FAULT_CLIENTS))
        read_clients(node, keys, ops != NULL, limits, out, diags);
    else if (ops)
        refuse_clients(node, ops, diags);
}

void fault_whom_fini(struct whom *whom)
{
    free(whom->list);
    whom->list = NULL;
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

/* The first occurrence has no name of its own. */
static void start_rng(const struct whom_draw *draw, struct rng *rng)
{
    char occurrence[16] = "";

    if (draw->occurrence > 0)
        snprintf(occurrence, sizeof occurrence, "%" PRIu32, draw->occurrence);
    rng_init(rng, draw->seed, "fault", occurrence, draw->plan);
}

size_t fault_whom_choose(const struct whom *whom, const struct whom_draw *draw, const struct fleet *fleet,
                         const uint32_t *candidates, size_t n, uint32_t *out)
{
    struct rng rng;

    if (whom->kind == WHOM_LIST)
        return take_list(whom, out);
    size_t eligible = take_group(whom->group, fleet, candidates, n, out);
    size_t wanted = how_many(whom, eligible);
    start_rng(draw, &rng);
    rng_shuffle_u32(&rng, out, eligible);
    qsort(out, wanted, sizeof *out, compare_u32);
    return wanted;
}
