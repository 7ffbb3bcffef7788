/* Faults tied to a round: the leader, and victims among the clients, are halted where they are to be struck. */
#include <assert.h>
#include <inttypes.h>

#include "sim/fault_runner_internal.h"
#include "util/container_of.h"

struct leader_block *fault_runner_leader(const struct fault_runner *runner)
{
    return shared_leader(runner->setting.world->shared);
}

/* Nothing may hold a run for ever: neither a victim that does not get to its halt nor a leader that notices nothing. */
static void out_of_patience(struct supervisor_timer *timer)
{
    struct fault_runner *runner = CONTAINER_OF(timer, struct fault_runner, barrier.patience);
    const struct fault_world *world = runner->setting.world;
    int64_t round = runner->barrier.round + 1;
    struct error err = ERROR_INIT;

    if (runner->barrier.stage == BARRIER_HALTING)
        error_set(&err, ERR_DEADLINE, __FILE__, __LINE__,
                  "the victims of round %" PRId64 " did not come to their first mini-batch within %.0f s", round,
                  world->halt_limit_s);
    else
        error_set(&err, ERR_DEADLINE, __FILE__, __LINE__,
                  "the leader did not notice the faults of round %" PRId64 " within %.0f s; see logs/leader.log", round,
                  world->notice_limit_s);
    supervisor_fail(world->supervisor, &err);
}

static void be_patient(struct fault_runner *runner, double limit_s)
{
    supervisor_timer_set(runner->setting.world->supervisor, &runner->barrier.patience, (uint64_t)(limit_s * 1e9));
}

/* Three points at a time at most: one of a barrier that ends and two of the next. */
static int arm(struct fault_runner *runner, const char *point, int64_t round)
{
    int slot = probe_arm(&fault_runner_leader(runner)->probes, point, round);

    assert(slot >= 0);
    return slot;
}

static void release(struct fault_runner *runner, int *slot)
{
    if (*slot >= 0)
        probe_release(&fault_runner_leader(runner)->probes, *slot);
    *slot = -1;
}

/* --- which faults --- */

static bool is_before(int64_t round, enum fault_phase phase, const struct fault_plan *plan)
{
    return round < plan->round || (round == plan->round && phase < plan->phase);
}

static bool is_of_barrier(const struct fault_runner *runner, size_t i)
{
    const struct fault_plan *plan = &runner->setting.plans[i];

    return plan->by_round && plan->round == runner->barrier.round && plan->phase == runner->barrier.phase;
}

/* The earliest after (round, phase); NULL: there is none. */
static const struct fault_plan *find_next(const struct fault_runner *runner, int64_t round, enum fault_phase phase)
{
    const struct fault_plan *next = NULL;

    for (size_t i = 0; i < runner->setting.num_plans; i++) {
        const struct fault_plan *plan = &runner->setting.plans[i];

        if (plan->by_round && is_before(round, phase, plan) && (!next || is_before(plan->round, plan->phase, next)))
            next = plan;
    }
    return next;
}

/* Arm what comes after (round, phase). */
static void arm_next(struct fault_runner *runner, int64_t round, enum fault_phase phase)
{
    const struct fault_plan *next = find_next(runner, round, phase);
    struct barrier *barrier = &runner->barrier;

    barrier->stage = BARRIER_NONE;
    barrier->has_clients = barrier->needs_leader = false;
    if (!next)
        return;
    barrier->round = next->round;
    barrier->phase = next->phase;
    for (size_t i = 0; i < runner->setting.num_plans; i++) {
        bool of_clients = runner->setting.plans[i].ops->target == FAULT_CLIENTS;

        barrier->has_clients |= is_of_barrier(runner, i) && of_clients;
        barrier->needs_leader |= is_of_barrier(runner, i) && !of_clients;
    }
    barrier->stage = barrier->has_clients ? BARRIER_ARMED : BARRIER_HALTING;
    if (barrier->has_clients)
        barrier->at_selected = arm(runner, "leader.selected", next->round);
    else
        barrier->at_point = arm(runner, fault_phase_point(next->phase), next->round);
}

/* Selected in this round (or any client, for faults by order), and not a victim of an earlier fault of the same
 * barrier. */
static size_t list_candidates(struct fault_runner *runner, const struct fault_ops *ops)
{
    const struct fault_world *world = runner->setting.world;
    size_t n = 0;

    for (size_t i = 0; i < world->num_clients; i++) {
        bool free_to_take =
            ops->by_order || atomic_load(&shared_client(world->shared, i)->selected_round) == runner->barrier.round;

        for (size_t f = 0; f < runner->setting.num_plans && free_to_take; f++)
            for (size_t v = 0; is_of_barrier(runner, f) && v < runner->faults[f].strike.num_victims; v++)
                free_to_take &= runner->faults[f].strike.victims[v].victim.target != FAULT_CLIENTS ||
                                runner->faults[f].strike.victims[v].victim.client != i;
        if (free_to_take)
            runner->clients[n++] = (uint32_t)i;
    }
    return n;
}

/* Victims are chosen and halt; an order is given at once, before the leader sends the round's first request. */
static int begin_fault(struct fault_runner *runner, size_t i)
{
    struct scheduled *fault = &runner->faults[i];
    const struct fault_ops *ops = runner->setting.plans[i].ops;
    int status = fault_runner_choose(runner, i, list_candidates(runner, ops));

    if (status)
        return status;
    if (ops->by_order)
        strike_begin(&fault->strike);
    else
        strike_arm(&fault->strike, runner->barrier.round);
    return OK;
}

/* --- its stages --- */

/* An asynchronous session may have a round without a selection: then nothing strikes in it but orders. */
static bool skip_missed(struct fault_runner *runner)
{
    struct barrier *barrier = &runner->barrier;

    for (size_t i = 0; i < runner->setting.num_plans; i++)
        if (is_of_barrier(runner, i) && runner->setting.plans[i].ops->by_order && begin_fault(runner, i))
            return false;
    release(runner, &barrier->at_selected);
    release(runner, &barrier->at_point);
    event_log_write(
        runner->setting.events, "fault-missed",
        json_pack("{s:I, s:s}", "round", (json_int_t)barrier->round + 1, "phase", fault_phase_name(barrier->phase)));
    arm_next(runner, barrier->round, barrier->phase);
    return true;
}

static bool has_gone_by(const struct fault_runner *runner)
{
    return atomic_load(&fault_runner_leader(runner)->selected_round) > runner->barrier.round;
}

/* ARMED -> HALTING once the leader halts with its selection made. */
static bool step_armed(struct fault_runner *runner)
{
    struct leader_block *leader = fault_runner_leader(runner);
    struct barrier *barrier = &runner->barrier;

    if (has_gone_by(runner))
        return skip_missed(runner);
    if (probe_state(&leader->probes, barrier->at_selected) != PROBE_HIT ||
        atomic_load(&leader->selected_round) != barrier->round)
        return false;
    for (size_t i = 0; i < runner->setting.num_plans; i++)
        if (is_of_barrier(runner, i) && begin_fault(runner, i))
            return false;
    barrier->at_point = arm(runner, fault_phase_point(barrier->phase), barrier->round);
    release(runner, &barrier->at_selected);
    be_patient(runner, runner->setting.world->halt_limit_s);
    barrier->stage = BARRIER_HALTING;
    return true;
}

static bool leader_is_there(const struct fault_runner *runner)
{
    return !runner->barrier.needs_leader ||
           probe_state(&fault_runner_leader(runner)->probes, runner->barrier.at_point) == PROBE_HIT;
}

static bool victims_are_there(struct fault_runner *runner)
{
    bool ready = true;

    for (size_t i = 0; i < runner->setting.num_plans; i++)
        if (is_of_barrier(runner, i) && runner->faults[i].chosen)
            ready &= strike_is_ready(&runner->faults[i].strike);
    return ready;
}

/* HALTING -> STRIKING once everybody has halted. */
static bool step_halting(struct fault_runner *runner)
{
    struct barrier *barrier = &runner->barrier;

    if (!leader_is_there(runner))
        return !barrier->has_clients && has_gone_by(runner) && skip_missed(runner);
    if (!victims_are_there(runner))
        return false;
    for (size_t i = 0; i < runner->setting.num_plans; i++) {
        struct scheduled *fault = &runner->faults[i];

        if (!is_of_barrier(runner, i) || (!fault->chosen && fault_runner_choose(runner, i, 0)))
            continue;
        if (!fault->strike.began)
            strike_begin(&fault->strike);
    }
    be_patient(runner, runner->setting.world->notice_limit_s);
    barrier->stage = BARRIER_STRIKING;
    return true;
}

/* STRIKING -> the next barrier once the leader shows it all, or has ended itself. */
static bool step_striking(struct fault_runner *runner)
{
    struct barrier *barrier = &runner->barrier;
    int at_point = barrier->at_point;

    for (size_t i = 0; i < runner->setting.num_plans; i++)
        if (is_of_barrier(runner, i) && !strike_lets_go(&runner->faults[i].strike))
            return false;
    supervisor_timer_cancel(runner->setting.world->supervisor, &barrier->patience);
    barrier->at_point = -1;
    arm_next(runner, barrier->round, barrier->phase); /* before the leader goes on, or it could pass by */
    release(runner, &at_point);
    return true;
}

void barrier_init(struct fault_runner *runner)
{
    runner->barrier = (struct barrier){.at_selected = -1, .at_point = -1, .patience = {.fire = out_of_patience}};
}

void barrier_begin(struct fault_runner *runner)
{
    arm_next(runner, -1, PHASE_END);
}

bool barrier_step(struct fault_runner *runner)
{
    switch (runner->barrier.stage) {
    case BARRIER_ARMED:
        return step_armed(runner);
    case BARRIER_HALTING:
        return step_halting(runner);
    case BARRIER_STRIKING:
        return step_striking(runner);
    default:
        return false;
    }
}

void barrier_end(struct fault_runner *runner)
{
    supervisor_timer_cancel(runner->setting.world->supervisor, &runner->barrier.patience);
    release(runner, &runner->barrier.at_selected);
    release(runner, &runner->barrier.at_point);
    runner->barrier.stage = BARRIER_NONE;
}
