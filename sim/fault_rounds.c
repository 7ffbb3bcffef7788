/* What waits for a round, and which of it comes first. */
#include <math.h>

#include "sim/fault_runner_internal.h"

static bool is_before(int64_t round, enum fault_phase phase, const struct barrier *barrier)
{
    return round < barrier->round || (round == barrier->round && phase < barrier->phase);
}

bool rounds_has(const struct fault_runner *runner, const struct strike *strike)
{
    const struct barrier *barrier = &runner->barrier;

    return strike->by_round && strike->round == barrier->round && strike->plan->when.phase == barrier->phase &&
           (!strike->is_late || strike == barrier->late);
}

bool rounds_ends(const struct fault_runner *runner, const struct strike *strike)
{
    return strike->began && strike->undo_round == runner->barrier.round && runner->barrier.phase == PHASE_SELECTION;
}

static bool strikes_clients(const struct strike *strike)
{
    return strike->plan->whom.target == FAULT_CLIENTS;
}

/* Are figures looked at here? */
static bool is_watched(const struct fault_runner *runner)
{
    return runner->watched_round >= 0 && runner->watched_round == runner->barrier.round &&
           runner->barrier.phase == PHASE_END;
}

/* Let `barrier` be no later than this. */
static void take_earlier(struct barrier *barrier, int64_t round, enum fault_phase phase)
{
    if (barrier->round < 0 || is_before(round, phase, barrier)) {
        barrier->round = round;
        barrier->phase = phase;
    }
}

static struct strike *find_late(const struct fault_runner *runner)
{
    for (struct strike *strike = runner->open; strike; strike = strike->next)
        if (strike->is_late && !strike->began)
            return strike;
    return NULL;
}

/* One that is late goes first, alone: a selection of an asynchronous session may be of a single client. */
struct barrier rounds_next(const struct fault_runner *runner)
{
    struct barrier next = {.round = -1, .at_selected = -1, .at_point = -1, .late = find_late(runner)};

    if (next.late) {
        next.round = fault_runner_round(runner);
        next.phase = next.late->plan->when.phase;
        return next;
    }
    for (const struct strike *strike = runner->open; strike; strike = strike->next) {
        if (strike->by_round && !strike->began)
            take_earlier(&next, strike->round, strike->plan->when.phase);
        else if (strike->undo_round >= 0)
            take_earlier(&next, strike->undo_round, PHASE_SELECTION);
    }
    if (runner->watched_round >= 0)
        take_earlier(&next, runner->watched_round, PHASE_END);
    return next;
}

void rounds_look_at(const struct fault_runner *runner, struct barrier *barrier)
{
    barrier->has_clients = false;
    barrier->needs_leader = is_watched(runner);
    for (const struct strike *strike = runner->open; strike; strike = strike->next) {
        bool begins = rounds_has(runner, strike) && !strike->began;

        barrier->has_clients |= begins && strikes_clients(strike);
        barrier->needs_leader |= (begins && !strikes_clients(strike)) || rounds_ends(runner, strike);
    }
}

/* --- figures --- */

static bool holds(const struct expectation *condition, const struct run_metrics *run)
{
    double found = metric_value(condition->metric, run);

    return !isnan(found) && comparison_holds(found, condition->comparison, condition->value);
}

/* Those whose condition holds strike in the next round; is one left that waits? */
static bool look(struct fault_runner *runner, const struct run_metrics *run, int64_t next_round)
{
    bool waits = false;

    for (size_t i = 0; i < runner->setting.num_plans; i++) {
        const struct fault_when *when = &runner->setting.plans[i].when;

        if (when->kind != WHEN_METRIC || runner->plans[i].num_strikes > 0)
            continue;
        if (run && holds(&when->condition, run))
            fault_runner_open_in(runner, i, next_round);
        else
            waits = true;
    }
    return waits;
}

void rounds_watch(struct fault_runner *runner)
{
    runner->watched_round = look(runner, NULL, 0) ? 0 : -1;
}

void rounds_look_at_figures(struct fault_runner *runner)
{
    const struct fault_world *world = runner->setting.world;
    int64_t finished = atomic_load(&fault_runner_leader(runner)->rounds_finished);
    struct run_metrics run;

    if (!is_watched(runner))
        return;
    world->measure(world->context, &run);
    runner->watched_round = look(runner, &run, finished) ? finished : -1;
}
