#include "sim/fault_halt.h"

#include <assert.h>
#include <stdlib.h>

static struct client_block *block_of(const struct fault_halts *halts, size_t client)
{
    return shared_client(halts->world->shared, client);
}

int fault_halts_init(struct fault_halts *halts, struct fault_world *world, struct error *err)
{
    *halts = (struct fault_halts){.world = world, .of = calloc(world->num_clients, sizeof *halts->of)};
    for (size_t i = 0; halts->of && i < world->num_clients; i++)
        halts->of[i].probe = -1;
    return halts->of ? OK : FAIL(err, ERR_MEMORY, "out of memory");
}

void fault_halts_fini(struct fault_halts *halts)
{
    free(halts->of);
    *halts = (struct fault_halts){0};
}

bool fault_halt_is_due(const struct fault_world *world, size_t client, int64_t round)
{
    const struct client_block *block = shared_client(world->shared, client);

    return atomic_load(&block->selected_round) == round && atomic_load(&block->is_asked) &&
           atomic_load(&block->answers) == atomic_load(&block->answers_when_asked);
}

void fault_halt_hold(struct fault_halts *halts, size_t client, int64_t round)
{
    struct client_block *block = block_of(halts, client);
    struct fault_halt *halt = &halts->of[client];

    if (halt->holders++ > 0)
        return;
    halt->answers = atomic_load(&block->answers_when_asked);
    halt->activations = atomic_load(&block->activations);
    if (!fault_halt_is_due(halts->world, client, round))
        return;
    halt->probe = probe_arm(&block->probes, "worker.training", round);
    assert(halt->probe >= 0); /* a client has one halt at a time */
}

void fault_halt_release(struct fault_halts *halts, size_t client)
{
    struct fault_halt *halt = &halts->of[client];

    if (--halt->holders > 0)
        return;
    if (halt->probe >= 0)
        probe_release(&block_of(halts, client)->probes, halt->probe);
    halt->probe = -1;
}

bool fault_halt_is_over(struct fault_halts *halts, const struct victim *victim)
{
    const struct fault_world *world = halts->world;
    struct fault_halt *halt = &halts->of[victim->client];
    struct client_block *block = block_of(halts, victim->client);
    const struct victim since_armed = {.client = victim->client, .activations = halt->activations};

    if (halt->probe < 0)
        return true;
    switch (probe_state(&block->probes, halt->probe)) {
    case PROBE_HIT:
        slots_reclaim(shared_slots(world->shared), shared_slot_owner(block, victim->client));
        return true;
    case PROBE_ARMED:
        return fault_process_has_ended(world, victim) || fault_was_missed(world, &since_armed) ||
               atomic_load(&block->answers) != halt->answers;
    default:
        return true; /* another fault has started its process anew */
    }
}
