#include <signal.h>

#include "sim/fault.h"

bool fault_client_was_missed(const struct fault_world *world, const struct victim *victim)
{
    const struct client_block *client = shared_client(world->shared, victim->client);

    return !atomic_load(&client->active) || atomic_load(&client->activations) != victim->activations;
}

bool fault_client_came_back(const struct fault_world *world, const struct victim *victim)
{
    const struct client_block *client = shared_client(world->shared, victim->client);

    return atomic_load(&client->active) && atomic_load(&client->activations) != victim->activations;
}

bool fault_process_has_ended(const struct fault_world *world, const struct victim *victim)
{
    enum process_state state = world->clients[victim->client].state;

    return state == PROCESS_ENDED || state == PROCESS_NONE;
}

bool fault_process_was_ended(const struct fault_world *world, const struct victim *victim)
{
    return fault_process_has_ended(world, victim) ||
           atomic_load(&shared_client(world->shared, victim->client)->starts) != victim->starts;
}

int fault_kill_process(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    struct process *process = &world->clients[victim->client];

    (void)args, (void)err;
    process->end_expected = true;
    supervisor_signal(world->supervisor, process, SIGKILL);
    return OK;
}

int fault_start_process(struct fault_world *world, const struct victim *victim, struct error *err)
{
    if (!fault_process_has_ended(world, victim)) /* another fault started it already */
        return OK;
    return world->start_client(world->context, victim->client, err);
}
