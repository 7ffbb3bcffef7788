#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/fault_runner_internal.h"
#include "util/container_of.h"

int fault_runner_new(struct fault_runner **out, const struct fault_setting *setting, struct error *err)
{
    struct fault_runner *runner = calloc(1, sizeof *runner);

    if (!runner)
        return FAIL(err, ERR_MEMORY, "out of memory");
    runner->setting = *setting;
    barrier_init(runner);
    runner->faults = calloc(setting->num_plans ? setting->num_plans : 1, sizeof *runner->faults);
    runner->clients = calloc(setting->world->num_clients, sizeof *runner->clients);
    if (!runner->faults || !runner->clients || fault_halts_init(&runner->halts, setting->world, NULL)) {
        fault_runner_free(runner);
        return FAIL(err, ERR_MEMORY, "out of memory");
    }
    *out = runner;
    return OK;
}

void fault_runner_free(struct fault_runner *runner)
{
    if (!runner)
        return;
    if (runner->faults)
        fault_runner_end(runner);
    for (size_t i = 0; runner->faults && i < runner->setting.num_plans; i++)
        if (runner->faults[i].chosen)
            strike_fini(&runner->faults[i].strike);
    fault_halts_fini(&runner->halts);
    free(runner->faults);
    free(runner->clients);
    free(runner);
}

int fault_runner_choose(struct fault_runner *runner, size_t i, size_t num_candidates)
{
    struct scheduled *fault = &runner->faults[i];
    struct error err = ERROR_INIT;
    int status =
        strike_init(&fault->strike, runner, &runner->setting, &runner->halts, i, runner->clients, num_candidates, &err);

    fault->chosen = true;
    if (status)
        supervisor_fail(runner->setting.world->supervisor, &err);
    return status;
}

/* --- faults by time --- */

static size_t list_running(struct fault_runner *runner)
{
    const struct fault_world *world = runner->setting.world;
    size_t n = 0;

    for (size_t i = 0; i < world->num_clients; i++)
        if (world->clients[i].state == PROCESS_RUNNING)
            runner->clients[n++] = (uint32_t)i;
    return n;
}

static void time_has_come(struct supervisor_timer *timer)
{
    struct scheduled *fault = CONTAINER_OF(timer, struct scheduled, timer);

    if (fault_runner_choose(fault->runner, fault->index, list_running(fault->runner)))
        return;
    strike_begin(&fault->strike);
    fault_runner_step(fault->runner); /* a leader that is dead already is started now */
}

/* `at:` counts from the leader's word that the session began: before it there is nothing to disturb. */
static void start_clock(struct fault_runner *runner)
{
    if (runner->clock_runs || atomic_load(&fault_runner_leader(runner)->session_stage) != STAGE_RUNNING)
        return;
    runner->clock_runs = true;
    for (size_t i = 0; i < runner->setting.num_plans; i++)
        if (!runner->setting.plans[i].by_round)
            supervisor_timer_set(runner->setting.world->supervisor, &runner->faults[i].timer,
                                 (uint64_t)(runner->setting.plans[i].at_s * 1e9));
}

/* --- a leader that is gone --- */

/* Will this fault start one? Rounds do not come without a leader, times do. */
static bool will_start_leader(const struct fault_runner *runner, size_t i)
{
    const struct fault_plan *plan = &runner->setting.plans[i];
    const struct strike *strike = &runner->faults[i].strike;

    if (plan->ops->target != FAULT_LEADER || (!plan->ops->undo_at_once && plan->for_s <= 0))
        return false;
    return strike->began ? strike->victims[0].stage < STRIKE_RECOVERING : !plan->by_round;
}

static void check_leader(const struct fault_runner *runner)
{
    const struct process *leader = runner->setting.world->leader;
    struct error err = ERROR_INIT;

    if (leader->state != PROCESS_ENDED || !leader->end_expected)
        return;
    for (size_t i = 0; i < runner->setting.num_plans; i++)
        if (will_start_leader(runner, i))
            return;
    error_set(&err, ERR_UNAVAILABLE, __FILE__, __LINE__, "a fault killed the leader, and none starts another");
    supervisor_fail(runner->setting.world->supervisor, &err);
}

/* --- the whole --- */

void fault_runner_begin(struct fault_runner *runner)
{
    for (size_t i = 0; i < runner->setting.num_plans; i++) {
        runner->faults[i].runner = runner;
        runner->faults[i].index = i;
        runner->faults[i].timer.fire = time_has_come;
    }
    barrier_begin(runner);
}

void fault_runner_step(struct fault_runner *runner)
{
    if (runner->has_ended)
        return;
    start_clock(runner);
    do {
        for (size_t i = 0; i < runner->setting.num_plans; i++)
            if (runner->faults[i].strike.began)
                strike_step(&runner->faults[i].strike);
    } while (barrier_step(runner));
    check_leader(runner);
}

size_t fault_runner_end(struct fault_runner *runner)
{
    size_t missed = 0;

    for (size_t i = 0; i < runner->setting.num_plans; i++) {
        supervisor_timer_cancel(runner->setting.world->supervisor, &runner->faults[i].timer);
        strike_end(&runner->faults[i].strike);
        missed += !runner->faults[i].strike.began;
    }
    barrier_end(runner);
    runner->has_ended = true;
    return missed;
}
