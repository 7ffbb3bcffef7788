/* The leader's term: who has the highest one leads the cluster, and whoever learns of a higher one stops. */
#include <stdio.h>
#include <unistd.h>

#include "leader/leader_internal.h"
#include "state/checkpoint.h"

/* A leader that keeps nothing knows of its predecessors by the broker alone, and one that left properly took its advert
 * away; the workers still remember its term. Milliseconds since 1970 grow from one leader to the next. */
static uint64_t least_term(const struct leader *leader)
{
    uint64_t now_ms = (uint64_t)(clock_wall_s(&clock_system) * 1e3);
    uint64_t next = discovery_heard_term(leader->discovery) + 1;

    return next > now_ms ? next : now_ms;
}

int leader_take_term(struct leader *leader, struct error *err)
{
    const struct leader_config *config = leader->config;
    uint64_t in_folder = 0;
    int status = state_take_term(leader->state, least_term(leader), &leader->term, err);

    if (status != OK || access(config->checkpoint_dir_path, W_OK | X_OK) != 0)
        return status;
    status = checkpoint_take_term(config->checkpoint_dir_path, config->cluster, leader->term, &in_folder, err);
    if (status == OK && in_folder > leader->term) /* the folder knew of a later one than the store did */
        status = state_take_term(leader->state, in_folder, &leader->term, err);
    return status;
}

void leader_hears_of_another(void *leader, const char *who)
{
    leader_replaced(leader, 0, who);
}

/* On the state's thread, which may be at it before there is a loop to tell. */
static void state_says_replaced(void *context, const char *reason)
{
    struct leader *leader = context;

    (void)reason;
    if (leader->loop && !atomic_exchange(&leader->replaced_posted, true))
        loop_post(leader->loop, &leader->replaced_event);
}

static void take_replaced(struct loop_event *event)
{
    leader_replaced(CONTAINER_OF(event, struct leader, replaced_event), 0, "the state's store");
}

void leader_watch_state(struct leader *leader, struct state_options *options)
{
    leader->replaced_event.handle = take_replaced;
    options->tell.replaced = state_says_replaced;
    options->tell.context = leader;
}

bool leader_is_replaced(const struct leader *leader)
{
    return leader->failure.status != OK;
}

void leader_replaced(struct leader *leader, uint64_t term, const char *who)
{
    char of_term[40] = "";

    if (leader_is_replaced(leader))
        return;
    if (term)
        snprintf(of_term, sizeof of_term, " of term %llu", (unsigned long long)term);
    FAIL(&leader->failure, ERR_UNAVAILABLE,
         "another leader%s has taken the place of this one (term %llu), says %s: leaving to it; nothing more is "
         "written",
         of_term, (unsigned long long)leader->term, who);
    log_write(leader->log, LOG_ERROR, "leader", "%s", leader->failure.message);
    if (leader->leaving)
        return;
    leader->leaving = true;
    sessions_leave(leader);
}
