#include "sim/fault.h"

static bool is_there(const struct fault_world *world, const struct victim *victim)
{
    return atomic_load(&shared_client(world->shared, victim->client)->active);
}

const struct fault_ops fault_join = {
    .name = "join",
    .help = "The client is not there when the run begins, and is started now: the leader takes it from the next round "
            "on. It is drawn "
            "of all clients at the beginning; until it joins nobody waits for it.",
    .joins = true,
    .strike = fault_start_process,
    .struck = is_there,
    .noticed = is_there,
};
