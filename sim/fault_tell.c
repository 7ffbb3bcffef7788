#include "sim/fault_tell.h"

#include <inttypes.h>

static bool strikes_clients(const struct strike *strike)
{
    return strike->plan->whom.target == FAULT_CLIENTS;
}

static json_t *fault_fields(const struct strike *strike)
{
    return json_pack("{s:I, s:I, s:s}", "fault", (json_int_t)strike->index + 1, "occurrence",
                     (json_int_t)strike->occurrence, "do", strike->plan->ops->name);
}

static json_t *victim_fields(const struct strike *strike, const struct strike_victim *victim)
{
    const struct fault_world *world = strike->setting->world;

    if (!strikes_clients(strike))
        return json_pack("{s:s}", "victim", fault_target_name(victim->victim.target));
    return json_pack("{s:I, s:s}", "client", (json_int_t)victim->victim.client, "client_id",
                     shared_client(world->shared, victim->victim.client)->id);
}

static void write_event(const struct strike *strike, const char *event, json_t *more)
{
    json_t *fields = fault_fields(strike);

    json_object_update(fields, more);
    json_decref(more);
    event_log_write(strike->setting->events, event, fields);
}

void fault_tell_event(const struct strike *strike, const char *event, const struct strike_victim *victim)
{
    write_event(strike, event, victim_fields(strike, victim));
}

/* ", clients 12, 31"; of others than clients the fault's name tells enough. */
static void list_victims(const struct strike *strike, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, ", %s", strike->num_victims == 0 ? "nobody to strike" : "clients");

    for (size_t i = 0; i < strike->num_victims && used + 16 < size; i++)
        used += (size_t)snprintf(text + used, size - used, " %zu%s", strike->victims[i].victim.client,
                                 i + 1 < strike->num_victims ? "," : "");
}

static void say_whom(const struct strike *strike, char *text, size_t size)
{
    text[0] = '\0';
    if (strikes_clients(strike))
        list_victims(strike, text, size);
    else if (strike->plan->ops->target != strike->plan->whom.target)
        snprintf(text, size, ", the %s", fault_target_name(strike->plan->whom.target));
}

/* "fault 1: kill in round 3, clients 12, 31", "fault 2: leader-kill in round 4, validation" */
static void say_it(const struct strike *strike)
{
    const struct fault_world *world = strike->setting->world;
    char line[640], when[64], whom[512];

    if (strike->by_round && !strikes_clients(strike))
        snprintf(when, sizeof when, "in round %" PRId64 ", %s", strike->round + 1,
                 fault_phase_name(strike->plan->when.phase));
    else if (strike->by_round)
        snprintf(when, sizeof when, "in round %" PRId64, strike->round + 1);
    else
        snprintf(when, sizeof when, "at %.4g s", strike->at_s);
    say_whom(strike, whom, sizeof whom);
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
        bool there = strike->by_round && strike->plan->ops->by_order ? true
                     : strike->by_round ? atomic_load(&shared_client(world->shared, i)->selected_round) == strike->round
                                        : world->clients[i].state == PROCESS_RUNNING;

        n += there && (group < 0 || fleet_group_of(strike->setting->fleet, i) == group);
    }
    return n;
}

/* "fault 1: 5 clients asked for, only 3 train in round 3" */
static void warn_of_few(const struct strike *strike)
{
    const struct whom *whom = &strike->plan->whom;
    const struct fault_world *world = strike->setting->world;
    char line[256], when[64] = "";

    if (strike->by_round)
        snprintf(when, sizeof when, " in round %" PRId64, strike->round + 1);
    snprintf(line, sizeof line, "fault %zu: %zu clients%s asked for, only %zu %s%s", strike->index + 1, whom->count,
             whom->group < 0 ? "" : " of its group", strike->num_victims,
             num_there(strike) > strike->num_victims ? "are left by other faults"
             : strike->by_round                      ? "train"
                                                     : "run",
             when);
    world->warn(world->context, line);
    write_event(strike, "fault-short",
                json_pack("{s:I, s:I}", "wanted", (json_int_t)whom->count, "struck", (json_int_t)strike->num_victims));
}

void fault_tell_begin(const struct strike *strike)
{
    const struct whom *whom = &strike->plan->whom;

    if (strikes_clients(strike) && !strike->lifetime && whom->kind == WHOM_COUNT && strike->num_victims < whom->count)
        warn_of_few(strike);
    say_it(strike);
}

void fault_tell_late(const struct strike *strike)
{
    const struct fault_world *world = strike->setting->world;
    char line[160];

    snprintf(line, sizeof line, "fault %zu: round %" PRId64 " went by without its %s: %s strikes at the next",
             strike->index + 1, strike->round + 1,
             strikes_clients(strike) ? "selection" : fault_phase_name(strike->plan->when.phase),
             strike->plan->ops->name);
    world->warn(world->context, line);
    write_event(strike, "fault-late",
                json_pack("{s:I, s:s}", "round", (json_int_t)strike->round + 1, "phase",
                          fault_phase_name(strike->plan->when.phase)));
}
