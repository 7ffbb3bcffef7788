#include <stdlib.h>
#include <string.h>

#include "sim/simulation_internal.h"

enum {
    REASON_LIMIT_S = 5,
    HALT_LIMIT_S = 660, /* the leader's own patience with a request (grpc.timeout_s) and some more */
};

static void say(void *context, const char *line)
{
    struct simulation *s = context;

    progress_say(&s->progress, "%s", line);
}

static void warn(void *context, const char *line)
{
    struct simulation *s = context;

    progress_warn(&s->progress, "%s", line);
}

static void measure(void *context, struct run_metrics *out)
{
    simulation_metrics(context, out);
}

/* The leader takes so long at most to miss somebody who says nothing; and a minute for a busy machine. */
static double notice_limit_s(const struct heartbeat_keys *heartbeat)
{
    return heartbeat->interval_s * (double)heartbeat->misses + 62;
}

static void server_opened(void *context)
{
    struct simulation *s = context;

    if (s->faults)
        fault_runner_step(s->faults);
}

static int make_held_ports(struct simulation *s)
{
    bool needed = false;

    for (size_t i = 0; i < s->scenario.num_faults; i++)
        needed |= s->scenario.faults[i].ops->takes_ports;
    s->world.held_ports = needed ? calloc(s->num_clients, sizeof *s->world.held_ports) : NULL;
    for (size_t i = 0; s->world.held_ports && i < s->num_clients; i++)
        s->world.held_ports[i].fd = -1;
    return needed && !s->world.held_ports ? ERR_MEMORY : OK;
}

static int make_faults(struct simulation *s, struct error *err)
{
    s->world = (struct fault_world){
        .supervisor = s->supervisor,
        .shared = s->shared,
        .clients = s->clients,
        .num_clients = s->num_clients,
        .leader = &s->leader,
        .broker = s->scenario.embedded_broker ? &s->broker : NULL,
        .redis = s->scenario.embedded_redis ? &s->redis : NULL,
        .link_fd = s->link_wake_fd,
        .start_client = simulation_start_client,
        .start_leader = simulation_start_leader_again,
        .measure = measure,
        .say = say,
        .warn = warn,
        .context = s,
        .temp_folder = s->folder.temp,
        .checkpoint_folder = s->checkpoint_folder,
        .halt_limit_s = HALT_LIMIT_S,
        .notice_limit_s = notice_limit_s(&s->scenario.keys.heartbeat),
    };
    for (size_t i = 0; i < s->scenario.num_faults; i++)
        s->has_crash_loops |= s->scenario.faults[i].ops->dies_again;
    if (make_held_ports(s))
        return FAIL(err, ERR_MEMORY, "out of memory");
    s->broker.opened = s->redis.opened = server_opened;
    s->broker.context = s->redis.context = s;
    struct fault_setting setting = {
        .plans = s->scenario.faults,
        .num_plans = s->scenario.num_faults,
        .seed = (uint64_t)s->scenario.keys.seed,
        .fleet = &s->scenario.fleet,
        .world = &s->world,
        .events = &s->events,
    };
    return fault_runner_new(&s->faults, &setting, err);
}

static int make_availability(struct simulation *s, struct error *err)
{
    struct availability_setting setting = {
        .fleet = &s->scenario.fleet,
        .seed = (uint64_t)s->scenario.keys.seed,
        .supervisor = s->supervisor,
        .shared = s->shared,
        .clients = s->clients,
        .events = &s->events,
        .start_client = simulation_start_client,
        .warn = warn,
        .context = s,
        .patience_s = notice_limit_s(&s->scenario.keys.heartbeat),
    };
    return availability_new(&s->availability, &setting, err);
}

static bool session_is_over(void *context)
{
    const struct simulation *s = context;

    return s->submitter.state == PROCESS_ENDED;
}

static int judge_submitter(const struct simulation *s, struct error *err)
{
    if (s->submitter.exit_code == 0)
        return OK;
    char *tail = process_log_tail(&s->submitter, LOG_TAIL_LINES);
    size_t length = tail ? strlen(tail) : 0;
    if (length > 0 && tail[length - 1] == '\n')
        tail[length - 1] = '\0';
    if (length > 0)
        FAIL(err, ERR_UNAVAILABLE, "the session failed: %s", tail);
    else
        FAIL(err, ERR_UNAVAILABLE, "the session failed, and %s does not say why; is there space left for it?",
             s->submitter.log_path);
    free(tail);
    return ERR_UNAVAILABLE;
}

static bool leader_has_ended(void *context)
{
    const struct simulation *s = context;

    return s->leader.state == PROCESS_ENDED;
}

/* A leader that dies breaks the submitter's connection first: its end, which says more, is on its way to us. */
static int await_better_reason(struct simulation *s, struct error *err)
{
    uint32_t stage = atomic_load(&shared_leader(s->shared)->session_stage);
    bool leader_spoke = stage == STAGE_FINISHED || stage == STAGE_FAILED ||
                        s->submitter.exit_code == status_exit_code(ERR_INVALID); /* it refused */

    if (s->submitter.exit_code == 0 || leader_spoke)
        return OK;
    int status = supervisor_wait(s->supervisor, leader_has_ended, s, REASON_LIMIT_S * SECOND, err);
    return status == ERR_DEADLINE ? OK : status;
}

int simulation_run_session(struct simulation *s, struct error *err)
{
    struct process_entry entry = {.run = submit_process_run, .context = s};
    int status = make_faults(s, err);

    if (status == OK)
        status = make_availability(s, err);
    if (status)
        return status;
    s->session_runs = true;
    s->session_began_ns = simulation_now_ns();
    fault_runner_begin(s->faults);
    availability_begin(s->availability);
    status = supervisor_start(s->supervisor, &s->submitter, entry, err);
    if (status == OK)
        status = supervisor_wait(s->supervisor, session_is_over, s, 0, err);
    if (status == OK)
        status = await_better_reason(s, err);
    s->session_ended_ns = simulation_now_ns();
    s->session_runs = false;
    availability_end(s->availability);
    size_t missed = fault_runner_end(s->faults);
    if (status)
        return status;
    if (missed > 0)
        progress_warn(&s->progress, "%zu fault(s) never struck: the session ended before", missed);
    return judge_submitter(s, err);
}
