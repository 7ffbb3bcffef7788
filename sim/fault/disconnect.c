#include "sim/fault/network.h"
#include "sim/link_process.h"

static int strike(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    (void)args, (void)err;
    atomic_fetch_add(&shared_client(world->shared, victim->client)->link.disconnects, 1);
    link_changed(world->shared, victim->client, world->link_fd);
    return OK;
}

/* Nothing stands in its way. */
static int undo(struct fault_world *world, const struct victim *victim, const void *args, struct error *err)
{
    (void)world, (void)victim, (void)args, (void)err;
    return OK;
}

const struct fault_ops fault_disconnect = {
    .name = "disconnect",
    .help = "All connections of the client are reset (RST to both ends), once; it connects again by itself, which is "
            "waited for.",
    .undo_at_once = true,
    .needs_link = true,
    .strike = strike,
    .struck = fault_at_once,
    .noticed = fault_was_missed,
    .undo = undo,
    .recovered = fault_came_back,
};
