#include <signal.h>

#include "sim/fault.h"

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    (void)args, (void)err;
    supervisor_signal(world->supervisor, fault_process(world, victim), SIGSTOP);
    return OK;
}

static bool struck(const struct fault_world *world, const struct victim *victim)
{
    return fault_process(world, victim)->state != PROCESS_RUNNING || fault_process_was_ended(world, victim);
}

static int undo(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    (void)args, (void)err;
    supervisor_signal(world->supervisor, fault_process(world, victim), SIGCONT);
    return OK;
}

/* Nobody misses a leader or a server that says nothing: its connections stay. */
static bool noticed(const struct fault_world *world, const struct victim *victim)
{
    return victim->target != FAULT_CLIENTS || fault_was_missed(world, victim);
}

/* A short stop ends before the leader misses enough heartbeats; then there was nothing to come back from. */
static bool recovered(const struct fault_world *world, const struct victim *victim)
{
    return victim->target != FAULT_CLIENTS || atomic_load(&shared_client(world->shared, victim->client)->active);
}

const struct fault_ops fault_stop = {
    .name = "stop",
    .help = "SIGSTOP: the connections stay open and nobody answers; SIGCONT after `for:`, or never.",
    .also = FAULT_OF_SERVERS,
    .takes_for = FOR_OPTIONAL,
    .undo_unnoticed = true,
    .strike = strike,
    .struck = struck,
    .noticed = noticed,
    .undo = undo,
    .recovered = recovered,
};
