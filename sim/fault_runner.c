#include <stdlib.h>

#include "sim/fault_runner_internal.h"

int fault_runner_new(struct fault_runner **out, const struct fault_setting *setting, struct error *err)
{
    struct fault_runner *runner = calloc(1, sizeof *runner);

    if (!runner)
        return FAIL(err, ERR_MEMORY, "out of memory");
    runner->setting = *setting;
    runner->watched_round = -1;
    barrier_init(runner);
    runner->plans = calloc(setting->num_plans ? setting->num_plans : 1, sizeof *runner->plans);
    runner->clients = calloc(setting->world->num_clients, sizeof *runner->clients);
    if (!runner->plans || !runner->clients || fault_halts_init(&runner->halts, setting->world, NULL)) {
        fault_runner_free(runner);
        return FAIL(err, ERR_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < setting->num_plans; i++) {
        runner->plans[i].runner = runner;
        runner->plans[i].index = i;
    }
    *out = runner;
    return OK;
}

void fault_runner_free(struct fault_runner *runner)
{
    if (!runner)
        return;
    if (runner->plans)
        fault_runner_end(runner);
    for (size_t i = 0; runner->plans && i < runner->setting.num_plans; i++)
        free(runner->plans[i].lives);
    fault_halts_fini(&runner->halts);
    free(runner->plans);
    free(runner->clients);
    free(runner);
}

struct leader_block *fault_runner_leader(const struct fault_runner *runner)
{
    return shared_leader(runner->setting.world->shared);
}

int64_t fault_runner_round(const struct fault_runner *runner)
{
    int64_t round = atomic_load(&fault_runner_leader(runner)->round);

    return round < 0 ? 0 : round;
}

static void fail(const struct fault_runner *runner, enum status status, const char *why)
{
    struct error err = ERROR_INIT;

    error_set(&err, status, __FILE__, __LINE__, "%s", why);
    supervisor_fail(runner->setting.world->supervisor, &err);
}

/* --- open strikes --- */

static void insert(struct fault_runner *runner, struct strike *strike)
{
    struct strike **at = &runner->open;

    while (*at &&
           ((*at)->index < strike->index || ((*at)->index == strike->index && (*at)->occurrence < strike->occurrence)))
        at = &(*at)->next;
    strike->next = *at;
    *at = strike;
    runner->num_open++;
}

static void remove_strike(struct fault_runner *runner, struct strike *strike)
{
    struct strike **at = &runner->open;

    while (*at != strike)
        at = &(*at)->next;
    *at = strike->next;
    runner->num_open--;
    strike_free(strike);
}

struct strike *fault_runner_open(struct fault_runner *runner, size_t index)
{
    struct strike *strike = NULL;

    if (runner->num_open >= MAX_OPEN_STRIKES)
        fail(runner, ERR_UNAVAILABLE, "more than 4096 faults are under way at once");
    else if (!(strike = strike_new(runner, &runner->setting, &runner->halts, index)))
        fail(runner, ERR_MEMORY, "out of memory");
    if (!strike)
        return NULL;
    strike->occurrence = runner->plans[index].num_strikes++;
    strike->number = ++runner->num_strikes;
    insert(runner, strike);
    return strike;
}

void fault_runner_open_in(struct fault_runner *runner, size_t index, int64_t round)
{
    struct strike *strike = fault_runner_open(runner, index);

    if (!strike)
        return;
    strike->by_round = true;
    strike->round = round;
    runner->replan = true;
}

int fault_runner_choose(struct fault_runner *runner, struct strike *strike, size_t n)
{
    struct error err = ERROR_INIT;
    int status = strike_choose(strike, runner->clients, n, &err);

    if (status)
        supervisor_fail(runner->setting.world->supervisor, &err);
    return status;
}

static void open_next_round(struct fault_runner *runner, const struct strike *strike)
{
    const struct fault_when *when = &strike->plan->when;
    int64_t next = when->kind == WHEN_ROUND ? fault_when_next(when, strike->round + 1) : -1;

    if (next >= 0)
        fault_runner_open_in(runner, strike->index, next);
}

void fault_runner_strike(struct fault_runner *runner, struct strike *strike)
{
    runner->plans[strike->index].has_struck = true;
    strike_begin(strike);
    runner->replan |= strike->undo_round >= 0;
    open_next_round(runner, strike);
}

/* --- one after another --- */

/* The round that a fault's end belongs to; -1: it has not ended, nor is its last round known. */
static int64_t end_round(const struct fault_runner *runner, const struct strike *strike, const struct fault_plan *next)
{
    int64_t last = strike_last_round(strike), now = fault_runner_round(runner);

    if (last >= 0 && next->when.delay.rounds > 0)
        return last;
    if (!strike_is_over(strike))
        return -1;
    return strike->round > now ? strike->round : now;
}

static void follow(struct fault_runner *runner, struct strike *strike)
{
    const struct fault_plan *next = strike->plan->next >= 0 ? &runner->setting.plans[strike->plan->next] : NULL;
    int64_t round = next && strike->began && !strike->followed ? end_round(runner, strike, next) : -1;

    if (round < 0)
        return;
    strike->followed = true;
    if (next->when.delay.rounds > 0) {
        fault_runner_open_in(runner, (size_t)strike->plan->next, round + next->when.delay.rounds);
        return;
    }
    struct strike *follower = fault_runner_open(runner, (size_t)strike->plan->next);
    if (follower)
        clock_follow(runner, follower);
}

/* Lets followers go, frees what is over. */
static void sweep(struct fault_runner *runner)
{
    struct strike *next;

    for (struct strike *strike = runner->open; strike; strike = strike->next)
        follow(runner, strike);
    for (struct strike *strike = runner->open; strike; strike = next) {
        next = strike->next;
        if (!strike_is_over(strike))
            continue;
        if (strike->lifetime)
            clock_repaired(runner, strike);
        remove_strike(runner, strike);
    }
}

/* --- a leader that is gone --- */

static bool starts_leader(const struct fault_plan *plan)
{
    return plan->whom.target == FAULT_LEADER && !plan->ops->leader_works && fault_plan_ends(plan);
}

/* The plan, or one that follows it by the clock, however far behind. */
static bool chain_starts_leader(const struct fault_plan *plans, long i)
{
    for (bool first = true; i >= 0; i = plans[i].next, first = false) {
        if (!first && plans[i].when.delay.rounds > 0)
            return false;
        if (starts_leader(&plans[i]))
            return true;
    }
    return false;
}

/* Rounds do not come without a leader, times do. */
static bool will_start_leader(const struct fault_runner *runner, const struct strike *strike)
{
    const struct fault_plan *plans = runner->setting.plans;
    long next = strike->plan->next;

    if (!strike->began)
        return !strike->by_round && chain_starts_leader(plans, (long)strike->index);
    if (starts_leader(strike->plan) && strike->victims[0].stage < STRIKE_RECOVERING)
        return true;
    return !strike->followed && next >= 0 && plans[next].when.delay.rounds == 0 && chain_starts_leader(plans, next);
}

static void check_leader(const struct fault_runner *runner)
{
    const struct process *leader = runner->setting.world->leader;

    if (leader->state != PROCESS_ENDED || !leader->end_expected)
        return;
    for (const struct strike *strike = runner->open; strike; strike = strike->next)
        if (will_start_leader(runner, strike))
            return;
    for (size_t i = 0; i < runner->setting.num_plans; i++)
        if (clock_will_strike(runner, i) && chain_starts_leader(runner->setting.plans, (long)i))
            return;
    fail(runner, ERR_UNAVAILABLE, "a fault killed the leader, and none starts another");
}

/* --- the whole --- */

void fault_runner_begin(struct fault_runner *runner)
{
    for (size_t i = 0; i < runner->setting.num_plans; i++)
        if (runner->setting.plans[i].when.kind == WHEN_ROUND)
            fault_runner_open_in(runner, i, fault_when_next(&runner->setting.plans[i].when, 0));
    rounds_watch(runner);
    barrier_begin(runner);
}

void fault_runner_step(struct fault_runner *runner)
{
    if (runner->has_ended)
        return;
    clock_step(runner);
    do {
        for (struct strike *strike = runner->open; strike; strike = strike->next)
            if (strike->began)
                strike_step(strike);
        sweep(runner);
    } while (barrier_step(runner));
    check_leader(runner);
}

size_t fault_runner_end(struct fault_runner *runner)
{
    size_t missed = 0;

    runner->has_ended = true;
    clock_end(runner);
    while (runner->open)
        remove_strike(runner, runner->open);
    for (size_t i = 0; i < runner->setting.num_plans; i++)
        missed += !runner->plans[i].has_struck;
    barrier_end(runner);
    return missed;
}
