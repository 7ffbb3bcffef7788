/* Faults by the clock: at times, after lifetimes, after other faults. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/fault_runner_internal.h"
#include "util/clock.h"
#include "util/container_of.h"

#define SHORTEST_S 0.001 /* of a drawn time */

static struct supervisor *supervisor_of(const struct fault_runner *runner)
{
    return runner->setting.world->supervisor;
}

static void set_timer(struct fault_runner *runner, struct supervisor_timer *timer, double seconds)
{
    supervisor_timer_set(supervisor_of(runner), timer, (uint64_t)(seconds > 0 ? seconds * 1e9 : 0));
}

double clock_now_s(const struct fault_runner *runner)
{
    return (double)(clock_now_ns(&clock_system) - runner->clock_began_ns) * 1e-9;
}

/* --- whom --- */

static bool is_candidate(const struct fault_runner *runner, const struct whom *whom, size_t client)
{
    const struct fault_world *world = runner->setting.world;
    int64_t selected = atomic_load(&shared_client(world->shared, client)->selected_round);

    return world->clients[client].state == PROCESS_RUNNING &&
           (whom->kind != WHOM_SELECTED || selected == atomic_load(&fault_runner_leader(runner)->selected_round));
}

/* Of all for those who are to join, as they were drawn at the beginning. */
static size_t list_candidates(struct fault_runner *runner, const struct fault_plan *plan)
{
    size_t n = 0;

    for (size_t i = 0; i < runner->setting.world->num_clients; i++)
        if (plan->ops->joins || is_candidate(runner, &plan->whom, i))
            runner->clients[n++] = (uint32_t)i;
    return n;
}

static void strike_now(struct fault_runner *runner, struct strike *strike)
{
    strike->round = fault_runner_round(runner);
    strike->at_s = clock_now_s(runner);
    if (!strike->chosen && fault_runner_choose(runner, strike, list_candidates(runner, strike->plan)))
        return;
    fault_runner_strike(runner, strike);
    fault_runner_step(runner); /* a leader that is dead already is started now */
}

/* --- at times --- */

static const struct fault_when *when_of(const struct fault_runner *runner, size_t index)
{
    return &runner->setting.plans[index].when;
}

/* Due times count from the session's begin, so that they do not drift. */
static void set_next(struct planned *planned)
{
    const struct fault_when *when = when_of(planned->runner, planned->index);
    double due_s = when->at_s + planned->ticks * when->every_s;

    if (planned->ticks == 0 || when->every_s > 0)
        set_timer(planned->runner, &planned->timer, due_s - clock_now_s(planned->runner));
    planned->ticks++;
}

static void time_has_come(struct supervisor_timer *timer)
{
    struct planned *planned = CONTAINER_OF(timer, struct planned, timer);
    struct strike *strike = fault_runner_open(planned->runner, planned->index);

    set_next(planned);
    if (strike)
        strike_now(planned->runner, strike);
}

/* --- lifetimes --- */

static double draw(struct lifetime *life, double mean)
{
    double seconds = rng_exponential(&life->rng, mean);

    return seconds < SHORTEST_S ? SHORTEST_S : seconds;
}

static void life_ends(struct supervisor_timer *timer)
{
    struct lifetime *life = CONTAINER_OF(timer, struct lifetime, timer);
    struct fault_runner *runner = life->runner;
    struct strike *strike = fault_runner_open(runner, life->index);
    struct error err = ERROR_INIT;

    if (!strike)
        return;
    strike->lifetime = life;
    if (when_of(runner, life->index)->mttr_s > 0)
        strike->for_s = draw(life, when_of(runner, life->index)->mttr_s);
    if (strike_take(strike, life->client, &err))
        supervisor_fail(supervisor_of(runner), &err);
    else
        strike_now(runner, strike);
}

static void life_begins(struct lifetime *life)
{
    life->timer.fire = life_ends;
    set_timer(life->runner, &life->timer, draw(life, when_of(life->runner, life->index)->mttf_s));
}

/* One of a lifetime that is not repaired was its last. */
void clock_repaired(struct fault_runner *runner, struct strike *strike)
{
    if (fault_plan_ends(strike->plan) && !runner->has_ended)
        life_begins(strike->lifetime);
}

static void start_life(struct planned *planned, size_t i, uint32_t client)
{
    struct lifetime *life = &planned->lives[i];
    char name[16];

    *life = (struct lifetime){.runner = planned->runner, .index = planned->index, .client = client};
    snprintf(name, sizeof name, "%" PRIu32, client);
    rng_init(&life->rng, planned->runner->setting.seed, "mttf", name, planned->index);
    life_begins(life);
}

/* Whoever is chosen at the begin has lives; the leader or a server has one. */
static void start_lives(struct planned *planned)
{
    struct fault_runner *runner = planned->runner;
    const struct fault_setting *setting = &runner->setting;
    const struct whom *whom = &setting->plans[planned->index].whom;
    const struct whom_draw choice = {setting->seed, planned->index, 0};
    struct error err = ERROR_INIT;
    size_t n = list_candidates(runner, &setting->plans[planned->index]);

    uint32_t *chosen = calloc(setting->world->num_clients, sizeof *chosen);
    planned->lives = calloc(setting->world->num_clients, sizeof *planned->lives);
    if (!chosen || !planned->lives) {
        error_set(&err, ERR_MEMORY, __FILE__, __LINE__, "out of memory");
        supervisor_fail(supervisor_of(runner), &err);
    } else {
        n = whom->target == FAULT_CLIENTS ? fault_whom_choose(whom, &choice, setting->fleet, runner->clients, n, chosen)
                                          : 1;
        planned->num_lives = n;
        for (size_t i = 0; i < n; i++)
            start_life(planned, i, chosen[i]);
    }
    free(chosen);
}

/* --- after another one --- */

static void delay_is_over(struct supervisor_timer *timer)
{
    struct strike *strike = CONTAINER_OF(timer, struct strike, delay);

    strike_now(strike->runner, strike);
}

void clock_follow(struct fault_runner *runner, struct strike *strike)
{
    strike->delay.fire = delay_is_over;
    set_timer(runner, &strike->delay, strike->plan->when.delay.s);
}

/* --- the whole --- */

/* It counts from the leader's word that the session began: before it there is nothing to disturb. */
void clock_step(struct fault_runner *runner)
{
    if (runner->clock_runs || atomic_load(&fault_runner_leader(runner)->session_stage) != STAGE_RUNNING)
        return;
    runner->clock_runs = true;
    runner->clock_began_ns = clock_now_ns(&clock_system);
    for (size_t i = 0; i < runner->setting.num_plans; i++) {
        runner->plans[i].timer.fire = time_has_come;
        if (when_of(runner, i)->kind == WHEN_TIME)
            set_next(&runner->plans[i]);
        else if (when_of(runner, i)->kind == WHEN_MTTF)
            start_lives(&runner->plans[i]);
    }
}

bool clock_will_strike(const struct fault_runner *runner, size_t index)
{
    const struct planned *planned = &runner->plans[index];

    for (size_t i = 0; i < planned->num_lives; i++)
        if (planned->lives[i].timer.set)
            return true;
    return planned->timer.set || (when_of(runner, index)->kind == WHEN_TIME && !runner->clock_runs);
}

void clock_end(struct fault_runner *runner)
{
    for (size_t i = 0; i < runner->setting.num_plans; i++) {
        struct planned *planned = &runner->plans[i];

        supervisor_timer_cancel(supervisor_of(runner), &planned->timer);
        for (size_t k = 0; k < planned->num_lives; k++)
            supervisor_timer_cancel(supervisor_of(runner), &planned->lives[k].timer);
    }
}
