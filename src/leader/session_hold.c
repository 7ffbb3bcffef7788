/* Points at which an observer (the simulator) may halt the session without blocking the loop. */
#include "leader/session_internal.h"

#define AGAIN_NS ((uint64_t)2000000)

static bool holds(const struct session_hold *hold)
{
    const struct leader_host *host = hold->session->env.host;

    return host && probe_holds(host->probes, hold->name, hold->round);
}

static void go_on(struct session_hold *hold)
{
    void (*then)(struct session * session) = hold->then;

    hold->name = NULL;
    then(hold->session);
}

static void ask_again(struct loop_timer *timer)
{
    struct session_hold *hold = CONTAINER_OF(timer, struct session_hold, timer);
    struct loop *loop = hold->session->env.loop;

    /* Without memory for a timer the point is passed: going on is better than hanging. */
    if (!holds(hold) || loop_timer_set(loop, timer, AGAIN_NS, NULL) != OK)
        go_on(hold);
}

void session_hold_init(struct session_hold *hold, struct session *session)
{
    *hold = (struct session_hold){.session = session};
    loop_timer_init(&hold->timer, ask_again);
}

void session_pass(struct session_hold *hold, const char *name, int64_t round, void (*then)(struct session *session))
{
    /* Already waiting: two flows of an asynchronous session meet at once. Barriers are for synchronous rounds. */
    if (hold->name) {
        then(hold->session);
        return;
    }
    hold->name = name;
    hold->round = round;
    hold->then = then;
    ask_again(&hold->timer);
}

void session_hold_cancel(struct session_hold *hold)
{
    loop_timer_cancel(hold->session->env.loop, &hold->timer);
    hold->name = NULL;
}
