#include "sim/availability.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>

#include "util/clock.h"
#include "util/container_of.h"

#define SHORTEST_S 0.01 /* between two looks at the clock */

struct availability {
    struct availability_setting setting;
    size_t num_clients;
    bool *is_off;         /* [num_clients]: it left, and nobody has started it since */
    bool *wanted;         /* [num_clients]: is it to be there? */
    bool by_round, moves; /* moves: somebody is on the way */
    bool runs, has_ended;
    bool is_halted; /* the leader, before its selection */
    int64_t round;  /* that the leader is awaited in, or halts before */
    int slot;       /* the leader's probe; -1: none */
    uint64_t began_ns;
    bool clock_runs;
    struct supervisor_timer clock, patience;
};

static struct leader_block *leader_of(const struct availability *a)
{
    return shared_leader(a->setting.shared);
}

static enum fleet_presence presence(const struct availability *a, size_t client)
{
    return fleet_presence(a->setting.fleet, client);
}

/* --- one client --- */

static void tell(const struct availability *a, const char *event, size_t client)
{
    event_log_write(a->setting.events, event,
                    json_pack("{s:I, s:s}", "client", (json_int_t)client, "client_id",
                              shared_client(a->setting.shared, client)->id));
}

static bool runs(const struct process *process)
{
    return process->state == PROCESS_RUNNING;
}

static void go(struct availability *a, size_t client)
{
    struct process *process = &a->setting.clients[client];

    a->is_off[client] = true;
    process->end_expected = true;
    tell(a, "device-off", client);
    supervisor_signal(a->setting.supervisor, process, SIGTERM);
}

static void come(struct availability *a, size_t client)
{
    struct error err = ERROR_INIT;

    a->is_off[client] = false;
    tell(a, "device-on", client);
    if (a->setting.start_client(a->setting.context, client, &err))
        supervisor_fail(a->setting.supervisor, &err);
}

/* Whoever a fault has killed or stopped is left to that fault. */
static void move(struct availability *a, size_t client)
{
    struct process *process = &a->setting.clients[client];

    if (a->is_off[client] && runs(process) && !process->end_expected)
        a->is_off[client] = false; /* somebody else started it */
    if (!a->wanted[client] && !a->is_off[client] && runs(process))
        go(a, client);
    else if (a->wanted[client] && a->is_off[client] && process->state == PROCESS_ENDED)
        come(a, client);
}

/* Does the leader know? What has ended although it is to be there is a fault's. */
static bool has_moved(const struct availability *a, size_t client)
{
    const struct process *process = &a->setting.clients[client];
    bool is_active = atomic_load(&shared_client(a->setting.shared, client)->active);

    if (presence(a, client) == FLEET_ALWAYS)
        return true;
    if (!a->wanted[client])
        return !is_active && !runs(process);
    return is_active ? !a->is_off[client] : !a->is_off[client] && !runs(process);
}

static void move_all(struct availability *a)
{
    bool moves = false;

    for (size_t i = 0; i < a->num_clients; i++)
        if (presence(a, i) != FLEET_ALWAYS) {
            move(a, i);
            moves |= !has_moved(a, i);
        }
    a->moves = moves;
}

/* --- by rounds --- */

static void arm(struct availability *a, int64_t round)
{
    a->round = round;
    a->slot = probe_arm(&leader_of(a)->probes, "leader.selection", round);
}

static void out_of_patience(struct supervisor_timer *timer)
{
    struct availability *a = CONTAINER_OF(timer, struct availability, patience);

    a->setting.warn(a->setting.context, "not everybody came or went in time for the round");
    a->moves = false;
    availability_step(a);
}

static void want_for_round(struct availability *a)
{
    for (size_t i = 0; i < a->num_clients; i++)
        if (presence(a, i) == FLEET_BY_ROUND)
            a->wanted[i] = fleet_is_there_in(a->setting.fleet, a->setting.seed, i, a->round);
    fleet_leave_one(a->setting.fleet, a->setting.seed, a->round, a->wanted);
}

/* A round of an asynchronous session may go by. */
static void step_round(struct availability *a)
{
    int slot = a->slot;

    if (slot < 0)
        return;
    if (probe_state(&leader_of(a)->probes, slot) != PROBE_HIT) {
        int64_t now = atomic_load(&leader_of(a)->round);

        if (now < a->round)
            return;
        probe_release(&leader_of(a)->probes, slot);
        arm(a, now + 1);
        return;
    }
    if (!a->is_halted) {
        a->is_halted = true;
        want_for_round(a);
        move_all(a);
        supervisor_timer_set(a->setting.supervisor, &a->patience, (uint64_t)(a->setting.patience_s * 1e9));
    }
    if (a->moves)
        return;
    supervisor_timer_cancel(a->setting.supervisor, &a->patience);
    a->is_halted = false;
    arm(a, a->round + 1); /* before the leader goes on, or it could pass by */
    probe_release(&leader_of(a)->probes, slot);
}

/* --- by the clock --- */

static void look_at_clock(struct supervisor_timer *timer)
{
    struct availability *a = CONTAINER_OF(timer, struct availability, clock);
    double now_s = (double)(clock_now_ns(&clock_system) - a->began_ns) * 1e-9, next_s = INFINITY;

    for (size_t i = 0; i < a->num_clients; i++)
        if (presence(a, i) == FLEET_BY_CLOCK) {
            double change_s;

            a->wanted[i] = fleet_is_there_at(a->setting.fleet, a->setting.seed, i, now_s, &change_s);
            next_s = fmin(next_s, change_s);
        }
    a->moves = true;
    if (isfinite(next_s))
        supervisor_timer_set(a->setting.supervisor, timer, (uint64_t)(fmax(next_s - now_s, SHORTEST_S) * 1e9));
}

static void start_clock(struct availability *a)
{
    if (a->clock_runs || atomic_load(&leader_of(a)->round) < 0) /* not before everybody was waited for */
        return;
    a->clock_runs = true;
    a->began_ns = clock_now_ns(&clock_system);
    look_at_clock(&a->clock);
}

static void tick(struct supervisor_timer *timer)
{
    look_at_clock(timer);
    availability_step(CONTAINER_OF(timer, struct availability, clock));
}

/* --- the whole --- */

int availability_new(struct availability **out, const struct availability_setting *setting, struct error *err)
{
    size_t n = setting->fleet->num_clients;
    bool varies = false;

    *out = NULL;
    for (size_t i = 0; i < n; i++)
        varies |= fleet_presence(setting->fleet, i) != FLEET_ALWAYS;
    if (!varies)
        return OK;
    struct availability *a = calloc(1, sizeof *a);
    if (a) {
        *a = (struct availability){.setting = *setting, .num_clients = n, .slot = -1};
        a->is_off = calloc(n, sizeof *a->is_off);
        a->wanted = calloc(n, sizeof *a->wanted);
        a->clock.fire = tick;
        a->patience.fire = out_of_patience;
    }
    if (!a || !a->is_off || !a->wanted) {
        availability_free(a);
        return FAIL(err, ERR_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        a->wanted[i] = true;
        a->by_round |= presence(a, i) == FLEET_BY_ROUND;
    }
    *out = a;
    return OK;
}

void availability_free(struct availability *a)
{
    if (!a)
        return;
    availability_end(a);
    free(a->is_off);
    free(a->wanted);
    free(a);
}

void availability_begin(struct availability *a)
{
    if (!a)
        return;
    a->runs = true;
    if (a->by_round)
        arm(a, 0);
}

void availability_step(struct availability *a)
{
    if (!a || !a->runs || a->has_ended)
        return;
    start_clock(a);
    if (a->moves)
        move_all(a);
    step_round(a);
}

void availability_end(struct availability *a)
{
    if (!a || a->has_ended)
        return;
    a->has_ended = true;
    supervisor_timer_cancel(a->setting.supervisor, &a->clock);
    supervisor_timer_cancel(a->setting.supervisor, &a->patience);
    if (a->slot >= 0)
        probe_release(&leader_of(a)->probes, a->slot);
    a->slot = -1;
}

bool availability_is_off(const struct availability *a, size_t client)
{
    return a && a->is_off[client];
}
