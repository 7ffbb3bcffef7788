#include "sim/fault_strike.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/container_of.h"

static bool strikes_clients(const struct strike *strike)
{
    return strike->plan->ops->target == FAULT_CLIENTS;
}

static void time_is_over(struct supervisor_timer *timer)
{
    struct strike_victim *victim = CONTAINER_OF(timer, struct strike_victim, timer);

    victim->time_is_over = true;
    fault_runner_step(victim->strike->runner); /* the barrier may wait for this */
}

int strike_init(struct strike *strike, struct fault_runner *runner, const struct fault_setting *setting,
                struct fault_halts *halts, size_t index, const uint32_t *candidates, size_t n, struct error *err)
{
    bool of_clients = setting->plans[index].ops->target == FAULT_CLIENTS;
    uint32_t *chosen = calloc(setting->world->num_clients, sizeof *chosen);

    *strike = (struct strike){
        .runner = runner,
        .setting = setting,
        .halts = halts,
        .index = index,
        .plan = &setting->plans[index],
    };
    if (!chosen)
        return FAIL(err, ERR_MEMORY, "out of memory");
    strike->num_victims =
        of_clients ? fault_plan_choose(strike->plan, index, setting->seed, setting->fleet, candidates, n, chosen) : 1;
    strike->victims = calloc(strike->num_victims ? strike->num_victims : 1, sizeof *strike->victims);
    for (size_t i = 0; strike->victims && i < strike->num_victims; i++) {
        strike->victims[i].victim.target = strike->plan->ops->target;
        strike->victims[i].victim.client = chosen[i];
        strike->victims[i].victim.fault = (uint32_t)index + 1;
        strike->victims[i].victim.first_round = strike->plan->by_round ? strike->plan->round : 0;
        strike->victims[i].victim.last_round = INT64_MAX;
        strike->victims[i].timer.fire = time_is_over;
        strike->victims[i].strike = strike;
    }
    free(chosen);
    return strike->victims ? OK : FAIL(err, ERR_MEMORY, "out of memory");
}

static void let_go(struct strike *strike, struct strike_victim *victim)
{
    if (victim->is_held)
        fault_halt_release(strike->halts, victim->victim.client);
    victim->is_held = false;
}

void strike_end(struct strike *strike)
{
    for (size_t i = 0; strike->victims && i < strike->num_victims; i++) {
        supervisor_timer_cancel(strike->setting->world->supervisor, &strike->victims[i].timer);
        let_go(strike, &strike->victims[i]);
    }
}

void strike_fini(struct strike *strike)
{
    strike_end(strike);
    free(strike->victims);
    memset(strike, 0, sizeof *strike);
}

void strike_arm(struct strike *strike, int64_t round)
{
    if (!strikes_clients(strike))
        return;
    for (size_t i = 0; i < strike->num_victims; i++) {
        fault_halt_hold(strike->halts, strike->victims[i].victim.client, round);
        strike->victims[i].is_held = true;
    }
}

bool strike_is_ready(struct strike *strike)
{
    bool ready = true;

    for (size_t i = 0; strikes_clients(strike) && i < strike->num_victims; i++)
        ready &= fault_halt_is_over(strike->halts, &strike->victims[i].victim);
    return ready;
}

static json_t *victim_fields(const struct strike *strike, const struct strike_victim *victim)
{
    const struct fault_world *world = strike->setting->world;

    if (!strikes_clients(strike))
        return json_pack("{s:s}", "victim", fault_target_name(victim->victim.target));
    return json_pack("{s:I, s:s}", "client", (json_int_t)victim->victim.client, "client_id",
                     shared_client(world->shared, victim->victim.client)->id);
}

static void tell_event(const struct strike *strike, const char *event, const struct strike_victim *victim)
{
    json_t *fields = json_pack("{s:I, s:s}", "fault", (json_int_t)strike->index + 1, "do", strike->plan->ops->name);
    json_t *whom = victim_fields(strike, victim);

    json_object_update(fields, whom);
    json_decref(whom);
    event_log_write(strike->setting->events, event, fields);
}

/* ", clients 12, 31"; of others than clients the fault's name tells enough. */
static void list_victims(const struct strike *strike, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, ", %s", strike->num_victims == 0 ? "nobody to strike" : "clients");

    for (size_t i = 0; i < strike->num_victims && used + 16 < size; i++)
        used += (size_t)snprintf(text + used, size - used, " %zu%s", strike->victims[i].victim.client,
                                 i + 1 < strike->num_victims ? "," : "");
}

/* "fault 1: kill in round 3, clients 12, 31", "fault 2: leader-kill in round 4, validation" */
static void say_it(const struct strike *strike)
{
    const struct fault_world *world = strike->setting->world;
    char line[640], when[64], whom[512] = "";

    if (strike->plan->by_round && !strikes_clients(strike))
        snprintf(when, sizeof when, "in round %" PRId64 ", %s", strike->plan->round + 1,
                 fault_phase_name(strike->plan->phase));
    else if (strike->plan->by_round)
        snprintf(when, sizeof when, "in round %" PRId64, strike->plan->round + 1);
    else
        snprintf(when, sizeof when, "at %g s", strike->plan->at_s);
    if (strikes_clients(strike))
        list_victims(strike, whom, sizeof whom);
    snprintf(line, sizeof line, "fault %zu: %s %s%s", strike->index + 1, strike->plan->ops->name, when, whom);
    world->say(world->context, line);
}

/* Clients of the fault's round, or that run, whom it might have struck if no other fault had them. */
static size_t num_there(const struct strike *strike)
{
    const struct fault_world *world = strike->setting->world;
    int group = strike->plan->whom.group;
    size_t n = 0;

    for (size_t i = 0; i < world->num_clients; i++) {
        bool there = strike->plan->by_round && strike->plan->ops->by_order ? true
                     : strike->plan->by_round
                         ? atomic_load(&shared_client(world->shared, i)->selected_round) == strike->plan->round
                         : world->clients[i].state == PROCESS_RUNNING;

        n += there && (group < 0 || fleet_group_of(strike->setting->fleet, i) == group);
    }
    return n;
}

/* "fault 1: 5 clients asked for, only 3 train in round 3" */
static void warn_of_few(const struct strike *strike, size_t num_there)
{
    const struct fault_plan *plan = strike->plan;
    const struct fault_world *world = strike->setting->world;
    char line[256], when[64] = "";

    if (!strikes_clients(strike) || plan->whom.kind != WHOM_COUNT || strike->num_victims >= plan->whom.count)
        return;
    if (plan->by_round)
        snprintf(when, sizeof when, " in round %" PRId64, plan->round + 1);
    snprintf(line, sizeof line, "fault %zu: %zu clients%s asked for, only %zu %s%s", strike->index + 1,
             plan->whom.count, plan->whom.group < 0 ? "" : " of its group", strike->num_victims,
             num_there > strike->num_victims ? "are left by other faults"
             : plan->by_round                ? "train"
                                             : "run",
             when);
    world->warn(world->context, line);
    event_log_write(strike->setting->events, "fault-short",
                    json_pack("{s:I, s:s, s:I, s:I}", "fault", (json_int_t)strike->index + 1, "do", plan->ops->name,
                              "wanted", (json_int_t)plan->whom.count, "struck", (json_int_t)strike->num_victims));
}

static void strike_one(struct strike *strike, struct strike_victim *victim)
{
    struct fault_world *world = strike->setting->world;
    struct error err = ERROR_INIT;

    victim->victim.activations = fault_activations(world, &victim->victim);
    victim->victim.starts = fault_process(world, &victim->victim)->starts;
    victim->stage = STRIKE_STRIKING;
    tell_event(strike, "fault-strikes", victim);
    if (strike->plan->ops->strike(world, &victim->victim, strike->plan->args, &err))
        supervisor_fail(world->supervisor, &err);
    if (strike->plan->for_s > 0)
        supervisor_timer_set(world->supervisor, &victim->timer, (uint64_t)(strike->plan->for_s * 1e9));
}

void strike_begin(struct strike *strike)
{
    strike->began = true;
    warn_of_few(strike, num_there(strike));
    say_it(strike);
    for (size_t i = 0; i < strike->num_victims; i++)
        strike_one(strike, &strike->victims[i]);
}

/* The next stage of one victim, or the same one. */
static enum strike_stage struck_next(const struct strike *strike, const struct strike_victim *victim)
{
    const struct fault_ops *ops = strike->plan->ops;

    if (ops->by_order || ops->noticed(strike->setting->world, &victim->victim) ||
        (victim->time_is_over && ops->undo_unnoticed))
        return STRIKE_NOTICED;
    return STRIKE_STRUCK;
}

static enum strike_stage noticed_next(struct strike *strike, struct strike_victim *victim)
{
    const struct fault_ops *ops = strike->plan->ops;
    struct error err = ERROR_INIT;

    if (!ops->undo_at_once && strike->plan->for_s <= 0)
        return STRIKE_OVER;
    if (strike->plan->for_s > 0 && !victim->time_is_over)
        return STRIKE_NOTICED;
    tell_event(strike, "fault-undone", victim);
    if (ops->undo(strike->setting->world, &victim->victim, strike->plan->args, &err))
        supervisor_fail(strike->setting->world->supervisor, &err);
    return STRIKE_RECOVERING;
}

static enum strike_stage next_stage(struct strike *strike, struct strike_victim *victim)
{
    const struct fault_ops *ops = strike->plan->ops;
    const struct fault_world *world = strike->setting->world;

    switch (victim->stage) {
    case STRIKE_STRIKING:
        return ops->by_order || ops->struck(world, &victim->victim) ? STRIKE_STRUCK : STRIKE_STRIKING;
    case STRIKE_STRUCK:
        return struck_next(strike, victim);
    case STRIKE_NOTICED:
        return noticed_next(strike, victim);
    case STRIKE_RECOVERING:
        return ops->by_order || ops->recovered(world, &victim->victim) ? STRIKE_OVER : STRIKE_RECOVERING;
    default:
        return victim->stage;
    }
}

static void enter(struct strike *strike, struct strike_victim *victim, enum strike_stage stage)
{
    const struct fault_ops *ops = strike->plan->ops;
    enum strike_stage before = victim->stage;

    victim->stage = stage;
    if (stage == STRIKE_STRUCK)
        let_go(strike, victim); /* its thread wakes up into the fault, not past it */
    if (stage == STRIKE_NOTICED && !ops->by_order && ops->noticed(strike->setting->world, &victim->victim))
        tell_event(strike, "fault-noticed", victim);
    if (stage == STRIKE_OVER && before == STRIKE_RECOVERING && !ops->by_order)
        tell_event(strike, "fault-recovered", victim);
}

void strike_step(struct strike *strike)
{
    for (size_t i = 0; i < strike->num_victims; i++) {
        struct strike_victim *victim = &strike->victims[i];

        for (;;) {
            enum strike_stage next = next_stage(strike, victim);

            if (next == victim->stage)
                break;
            enter(strike, victim, next);
        }
    }
}

bool strike_lets_go(const struct strike *strike)
{
    const struct fault_ops *ops = strike->plan->ops;
    enum strike_stage wanted = ops->target == FAULT_LEADER ? STRIKE_STRUCK
                               : ops->undo_at_once         ? STRIKE_OVER
                                                           : STRIKE_NOTICED;

    for (size_t i = 0; i < strike->num_victims; i++)
        if (strike->victims[i].stage < wanted)
            return false;
    return true;
}
