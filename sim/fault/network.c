#include "sim/fault/network.h"

#include "sim/link_process.h"

static struct link_block *block_of(struct fault_world *world, const struct victim *victim)
{
    return &shared_client(world->shared, victim->client)->link;
}

int network_strike(struct fault_world *world, const struct victim *victim, enum link_effect effect, double p0,
                   double p1)
{
    link_set(block_of(world, victim), effect, victim->fault, p0, p1);
    link_changed(world->shared, victim->client, world->link_fd);
    return OK;
}

int network_undo(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    (void)args, (void)err;
    for (enum link_effect effect = 0; effect < NUM_LINK_EFFECTS; effect++)
        link_unset(block_of(world, victim), effect, victim->fault);
    link_changed(world->shared, victim->client, world->link_fd);
    return OK;
}

bool network_is_back(const struct fault_world *world, const struct victim *victim)
{
    return atomic_load(&shared_client(world->shared, victim->client)->active);
}
