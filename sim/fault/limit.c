#include "sim/fault/limit.h"

#include <errno.h>
#include <string.h>

static int limit(struct process *process, __rlimit_resource_t resource, const rlim_t *soft, struct error *err)
{
    struct rlimit now;

    if (prlimit(process->pid, resource, NULL, &now) == 0) {
        now.rlim_cur = !soft || *soft > now.rlim_max ? now.rlim_max : *soft;
        if (prlimit(process->pid, resource, &now, NULL) == 0)
            return OK;
    }
    if (errno == ESRCH) /* it is about to be told as ended */
        return OK;
    return FAIL(err, ERR_UNAVAILABLE, "cannot limit %s: %s", process->name, strerror(errno));
}

int fault_limit_set(struct fault_world *world, const struct victim *victim, __rlimit_resource_t resource, rlim_t soft,
                    struct error *err)
{
    struct process *process = fault_process(world, victim);

    if (fault_process_has_ended(world, victim))
        return OK;
    process->end_expected = true;
    return limit(process, resource, &soft, err);
}

int fault_limit_lift(struct fault_world *world, const struct victim *victim, __rlimit_resource_t resource,
                     struct error *err)
{
    struct process *process = fault_process(world, victim);

    if (fault_process_has_ended(world, victim))
        return fault_start_process(world, victim, NULL, err);
    process->end_expected = false;
    return limit(process, resource, NULL, err);
}

bool fault_limit_is_over(const struct fault_world *world, const struct victim *victim)
{
    return atomic_load(&shared_client(world->shared, victim->client)->active);
}
