/* Faults tied to a round: the leader, and victims among the clients, are halted where they are to be struck. */
#include <assert.h>
#include <inttypes.h>

#include "sim/fault_runner_internal.h"
#include "sim/fault_tell.h"
#include "util/container_of.h"

enum { ANY_ROUND = -1 }; /* of a probe */

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

/* --- which is the next --- */

static void arm_next(struct fault_runner *runner)
{
    struct barrier *barrier = &runner->barrier;
    struct barrier next = rounds_next(runner);

    runner->replan = false;
    barrier->stage = BARRIER_NONE;
    barrier->round = next.round;
    barrier->phase = next.phase;
    barrier->late = next.late;
    if (next.round < 0)
        return;
    if (next.late)
        next.late->round = next.round;
    rounds_look_at(runner, barrier);
    barrier->stage = barrier->has_clients ? BARRIER_ARMED : BARRIER_HALTING;
    if (barrier->has_clients)
        barrier->at_selected = arm(runner, "leader.selected", next.late ? ANY_ROUND : next.round);
    else
        barrier->at_point = arm(runner, fault_phase_point(next.phase), next.late ? ANY_ROUND : next.round);
}

static bool is_hit(const struct fault_runner *runner, int slot)
{
    return slot >= 0 && probe_state(&fault_runner_leader(runner)->probes, slot) == PROBE_HIT;
}

/* A strike came to wait for a round while the leader is on its way to another barrier: which is the first now? A
 * barrier at which somebody halts already is held before. */
static void plan_again(struct fault_runner *runner)
{
    struct barrier *barrier = &runner->barrier;
    bool is_on_its_way = barrier->stage == BARRIER_NONE || barrier->stage == BARRIER_ARMED ||
                         (barrier->stage == BARRIER_HALTING && !barrier->has_clients);

    if (!runner->replan || !is_on_its_way || is_hit(runner, barrier->at_selected) || is_hit(runner, barrier->at_point))
        return;
    release(runner, &barrier->at_selected);
    release(runner, &barrier->at_point);
    arm_next(runner);
}

/* --- victims --- */

static bool strikes_clients(const struct strike *strike)
{
    return strike->plan->whom.target == FAULT_CLIENTS;
}

static bool has_victim(const struct strike *strike, size_t client)
{
    for (size_t v = 0; v < strike->num_victims; v++)
        if (strikes_clients(strike) && strike->victims[v].victim.client == client)
            return true;
    return false;
}

/* Is it a victim of an earlier fault of the same barrier? */
static bool is_taken(const struct fault_runner *runner, size_t client)
{
    for (const struct strike *strike = runner->open; strike; strike = strike->next)
        if (rounds_has(runner, strike) && has_victim(strike, client))
            return true;
    return false;
}

/* Selected in this round (or any client, for faults by order), and not taken. */
static size_t list_candidates(struct fault_runner *runner, const struct fault_plan *plan)
{
    const struct fault_world *world = runner->setting.world;
    bool of_all = plan->ops->by_order && plan->whom.kind != WHOM_SELECTED;
    size_t n = 0;

    for (size_t i = 0; i < world->num_clients; i++) {
        bool trains = fault_halt_is_due(world, i, runner->barrier.round);

        if (plan->ops->joins || ((of_all || trains) && !is_taken(runner, i)))
            runner->clients[n++] = (uint32_t)i;
    }
    return n;
}

/* Victims are chosen and halt; an order is given at once, before the leader sends the round's first request. */
static int begin_strike(struct fault_runner *runner, struct strike *strike)
{
    int status = fault_runner_choose(runner, strike, list_candidates(runner, strike->plan));

    if (status)
        return status;
    if (strike->plan->ops->by_order)
        fault_runner_strike(runner, strike);
    else
        strike_arm(strike);
    return OK;
}

/* --- its stages --- */

static void end_strikes(struct fault_runner *runner)
{
    for (struct strike *strike = runner->open; strike; strike = strike->next)
        if (rounds_ends(runner, strike))
            strike_undo(strike);
}

static bool begins_here(const struct fault_runner *runner, const struct strike *strike)
{
    return rounds_has(runner, strike) && !strike->began;
}

static bool lasts_by_order(const struct strike *strike)
{
    return strike->plan->ops->by_order && strike->plan->for_rounds == 0;
}

/* An asynchronous session may have a round without a selection: then what was to be over by then is, an order that
 * lasts is given, and the others are late. */
static bool skip_missed(struct fault_runner *runner)
{
    struct barrier *barrier = &runner->barrier;
    struct strike *strike = runner->open;

    rounds_look_at_figures(runner);
    end_strikes(runner);
    while (strike) {
        struct strike *next = strike->next;

        if (begins_here(runner, strike) && lasts_by_order(strike) && begin_strike(runner, strike))
            return false;
        if (begins_here(runner, strike)) {
            fault_tell_late(strike);
            strike->is_late = true;
        }
        strike = next;
    }
    release(runner, &barrier->at_selected);
    release(runner, &barrier->at_point);
    arm_next(runner);
    return true;
}

/* The leader is where one that is late can happen: this is its round now. */
static void settle(struct fault_runner *runner, int64_t round)
{
    struct barrier *barrier = &runner->barrier;

    if (!barrier->late)
        return;
    barrier->late->is_late = false;
    barrier->late->round = barrier->round = round;
    barrier->late = NULL;
}

/* Is the leader past this point? The end of a round comes when it is on record. */
static bool has_gone_by(const struct fault_runner *runner)
{
    struct leader_block *leader = fault_runner_leader(runner);
    const struct barrier *barrier = &runner->barrier;
    int64_t finished = atomic_load(&leader->rounds_finished);

    if (barrier->late)
        return false;
    return atomic_load(&leader->selected_round) > barrier->round ||
           finished > barrier->round + (barrier->phase == PHASE_END);
}

/* ARMED -> HALTING once the leader halts with its selection made. */
static bool step_armed(struct fault_runner *runner)
{
    struct barrier *barrier = &runner->barrier;

    if (is_hit(runner, barrier->at_selected))
        settle(runner, atomic_load(&fault_runner_leader(runner)->selected_round));
    if (!is_hit(runner, barrier->at_selected) ||
        atomic_load(&fault_runner_leader(runner)->selected_round) != barrier->round)
        return has_gone_by(runner) && skip_missed(runner);
    for (struct strike *strike = runner->open; strike; strike = strike->next)
        if (begins_here(runner, strike) && begin_strike(runner, strike))
            return false;
    /* The next is of this selection, whatever round an asynchronous session has come to by then. */
    barrier->at_point = arm(runner, fault_phase_point(barrier->phase), ANY_ROUND);
    release(runner, &barrier->at_selected);
    be_patient(runner, runner->setting.world->halt_limit_s);
    barrier->stage = BARRIER_HALTING;
    return true;
}

static bool victims_are_there(struct fault_runner *runner)
{
    bool ready = true;

    for (struct strike *strike = runner->open; strike; strike = strike->next)
        if (rounds_has(runner, strike) && strike->chosen)
            ready &= strike_is_ready(strike);
    return ready;
}

/* The leader waits for whoever is to be back by this round. */
static void apply(struct fault_runner *runner)
{
    rounds_look_at_figures(runner);
    for (struct strike *strike = runner->open; strike; strike = strike->next)
        strike->holds_leader = rounds_ends(runner, strike);
    end_strikes(runner);
    for (struct strike *strike = runner->open; strike; strike = strike->next) {
        if (!begins_here(runner, strike) || (!strike->chosen && fault_runner_choose(runner, strike, 0)))
            continue;
        fault_runner_strike(runner, strike);
    }
}

/* HALTING -> STRIKING once everybody has halted. Who halts already is struck even if the leader, in an asynchronous
 * session, did not wait. */
static bool step_halting(struct fault_runner *runner)
{
    struct barrier *barrier = &runner->barrier;

    if (is_hit(runner, barrier->at_point))
        settle(runner, fault_runner_round(runner));
    if (barrier->needs_leader && !is_hit(runner, barrier->at_point)) {
        if (!has_gone_by(runner))
            return false;
        if (!barrier->has_clients)
            return skip_missed(runner);
    }
    if (!victims_are_there(runner))
        return false;
    apply(runner);
    be_patient(runner, runner->setting.world->notice_limit_s);
    barrier->stage = BARRIER_STRIKING;
    return true;
}

/* STRIKING -> the next barrier once the leader shows it all, or has ended itself. */
static bool step_striking(struct fault_runner *runner)
{
    struct barrier *barrier = &runner->barrier;
    int at_point = barrier->at_point;

    for (const struct strike *strike = runner->open; strike; strike = strike->next)
        if ((rounds_has(runner, strike) || strike->holds_leader) && !strike_lets_go(strike))
            return false;
    supervisor_timer_cancel(runner->setting.world->supervisor, &barrier->patience);
    barrier->at_point = -1;
    arm_next(runner); /* before the leader goes on, or it could pass by */
    release(runner, &at_point);
    return true;
}

void barrier_init(struct fault_runner *runner)
{
    runner->barrier = (struct barrier){.at_selected = -1, .at_point = -1, .patience = {.fire = out_of_patience}};
}

void barrier_begin(struct fault_runner *runner)
{
    arm_next(runner);
}

bool barrier_step(struct fault_runner *runner)
{
    plan_again(runner);
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
