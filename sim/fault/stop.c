#include <signal.h>

#include "sim/fault.h"

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    (void)args, (void)err;
    supervisor_signal(world->supervisor, &world->clients[victim->client], SIGSTOP);
    return OK;
}

static bool struck(const struct fault_world *world, const struct victim *victim)
{
    return world->clients[victim->client].state != PROCESS_RUNNING || fault_process_was_ended(world, victim);
}

static int undo(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    (void)args, (void)err;
    supervisor_signal(world->supervisor, &world->clients[victim->client], SIGCONT);
    return OK;
}

/* A short stop ends before the leader misses enough heartbeats; then there was nothing to come back from. */
static bool recovered(const struct fault_world *world, const struct victim *victim)
{
    return atomic_load(&shared_client(world->shared, victim->client)->active);
}

const struct fault_ops fault_stop = {
    .name = "stop",
    .help = "SIGSTOP: the connections stay open and nobody answers; SIGCONT after `for:`, or never.",
    .takes_for = FOR_OPTIONAL,
    .undo_unnoticed = true,
    .strike = strike,
    .struck = struck,
    .noticed = fault_was_missed,
    .undo = undo,
    .recovered = recovered,
};
