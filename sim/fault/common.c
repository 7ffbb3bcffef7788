#include <signal.h>
#include <string.h>

#include "sim/fault_plan.h"

static struct server *server_of(const struct fault_world *world, const struct victim *victim)
{
    return victim->target == FAULT_BROKER ? world->broker : victim->target == FAULT_REDIS ? world->redis : NULL;
}

struct process *fault_process(const struct fault_world *world, const struct victim *victim)
{
    struct server *server = server_of(world, victim);

    if (victim->target == FAULT_CLIENTS)
        return &world->clients[victim->client];
    if (victim->target == FAULT_LEADER)
        return world->leader;
    return server ? &server->process : NULL;
}

const char *fault_target_name(enum fault_target target)
{
    static const char *const names[] = {"client", "leader", "broker", "redis"};

    return names[target];
}

/* Whether the leader sees the victim now; clients are in its roster, the broker answers it. Of itself and of Redis it
 * tells nothing. */
static bool is_seen(const struct fault_world *world, const struct victim *victim)
{
    if (victim->target == FAULT_CLIENTS)
        return atomic_load(&shared_client(world->shared, victim->client)->active);
    return atomic_load(&shared_leader(world->shared)->broker_is_up);
}

uint32_t fault_activations(const struct fault_world *world, const struct victim *victim)
{
    if (victim->target == FAULT_CLIENTS)
        return atomic_load(&shared_client(world->shared, victim->client)->activations);
    return atomic_load(&shared_leader(world->shared)->broker_connections);
}

bool fault_at_once(const struct fault_world *world, const struct victim *victim)
{
    (void)world, (void)victim;
    return true;
}

static bool is_of_the_roster(const struct victim *victim)
{
    return victim->target == FAULT_CLIENTS || victim->target == FAULT_BROKER;
}

bool fault_was_missed(const struct fault_world *world, const struct victim *victim)
{
    if (!is_of_the_roster(victim))
        return true;
    return !is_seen(world, victim) || fault_activations(world, victim) != victim->activations;
}

bool fault_leader_works(const struct fault_world *world, const struct victim *victim)
{
    (void)victim;
    return atomic_load(&shared_leader(world->shared)->working_life) == world->leader->starts;
}

bool fault_came_back(const struct fault_world *world, const struct victim *victim)
{
    if (victim->target == FAULT_LEADER)
        return fault_leader_works(world, victim);
    if (victim->target == FAULT_REDIS)
        return fault_server_is_open(world, victim);
    return is_seen(world, victim) && fault_activations(world, victim) != victim->activations;
}

bool fault_process_has_ended(const struct fault_world *world, const struct victim *victim)
{
    enum process_state state = fault_process(world, victim)->state;

    return state == PROCESS_ENDED || state == PROCESS_NONE;
}

bool fault_process_was_ended(const struct fault_world *world, const struct victim *victim)
{
    return fault_process_has_ended(world, victim) || fault_process(world, victim)->starts != victim->starts;
}

int fault_kill_process(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    struct process *process = fault_process(world, victim);

    (void)args, (void)err;
    process->end_expected = true;
    supervisor_signal(world->supervisor, process, SIGKILL);
    return OK;
}

static int start_leader(struct fault_world *world, struct error *err)
{
    static const struct leader_resume all_there_is = {0};

    return world->start_leader(world->context, &all_there_is, err);
}

int fault_start_process(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    struct server *server = server_of(world, victim);

    (void)args;
    if (!fault_process_has_ended(world, victim)) /* another fault started it already */
        return OK;
    if (victim->target == FAULT_LEADER)
        return start_leader(world, err);
    return server ? server_start_again(server, err) : world->start_client(world->context, victim->client, err);
}

/* --- servers --- */

static const struct param after_rows[] = {
    {.name = "after",
     .type = PARAM_DURATION,
     .offset = offsetof(struct fault_after, after_s),
     .fallback = "0",
     .min = 0,
     .max = 1e6,
     .help = "So long it is away; 0: it is started again at once."},
};

const struct param_table fault_after_table = {
    .name = "restart",
    .rows = after_rows,
    .num_rows = sizeof after_rows / sizeof *after_rows,
    .size = sizeof(struct fault_after),
};

double fault_after_pause_s(const void *args)
{
    return ((const struct fault_after *)args)->after_s;
}

bool fault_server_is_open(const struct fault_world *world, const struct victim *victim)
{
    return server_of(world, victim)->is_open;
}

void fault_give_order(struct fault_world *world, const struct victim *victim, enum order_kind kind, const double *p)
{
    struct order_terms terms = {
        .fault = victim->fault, .first_round = victim->first_round, .last_round = victim->last_round};

    if (p)
        memcpy(terms.p, p, sizeof terms.p);
    order_give(&shared_client(world->shared, victim->client)->orders, kind, &terms);
}

int fault_take_back_order(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    (void)args, (void)err;
    orders_take_back(&shared_client(world->shared, victim->client)->orders, victim->fault);
    return OK;
}
