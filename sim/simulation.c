#include "sim/simulation.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "sim/link_process.h"
#include "sim/simulation_internal.h"
#include "sim/simulation_report.h"

enum { END_GRACE_S = 15, MAX_WORDS = 400 };

/* --- what the supervisor hears --- */

/* Whatever happens is news to those who wait for something. */
static void step(struct simulation *s)
{
    availability_step(s->availability);
    if (s->faults)
        fault_runner_step(s->faults);
}

/* The last words that fit into an error's message, from the beginning of a line. */
static const char *last_words(const char *tail)
{
    size_t length = tail ? strlen(tail) : 0;
    const char *from = length > MAX_WORDS ? strchr(tail + length - MAX_WORDS, '\n') : NULL;

    return length == 0 ? "" : from ? from + 1 : tail;
}

static void fail_with_tail(struct simulation *s, const struct process *process, const char *what)
{
    struct error err = ERROR_INIT;
    char how[64];
    char *tail = process_log_tail(process, LOG_TAIL_LINES);
    const char *words = last_words(tail);

    process_end_text(process, how, sizeof how);
    error_set(&err, ERR_UNAVAILABLE, __FILE__, __LINE__, "%s (%s); see %s%s%s", what, how, process->log_path,
              *words ? ":\n" : "", words);
    supervisor_fail(s->supervisor, &err);
    free(tail);
}

static size_t number_of(const struct simulation *s, const struct process *process)
{
    return (size_t)(process - s->clients);
}

static bool is_client(const struct simulation *s, const struct process *process)
{
    return process >= s->clients && process < s->clients + s->num_clients;
}

/* Is it to die as often as it comes? */
static bool dies_again(struct simulation *s, size_t client)
{
    return order_holds(&shared_client(s->shared, client)->orders, ORDER_CRASH,
                       atomic_load(&shared_leader(s->shared)->round), NULL);
}

static void start_again(struct simulation *s, size_t client)
{
    struct error err = ERROR_INIT;
    bool follow = s->clients[client].follow; /* even if the order was taken back since it was killed */

    s->clients[client].follow = false;
    if (!s->session_runs)
        return;
    if (fault_try_held_port(&s->world, client, &err) ||
        (s->has_crash_loops && (follow || dies_again(s, client)) && simulation_start_client(s, client, &err)))
        supervisor_fail(s->supervisor, &err);
}

/* Those that the leader has seen come. */
static void kill_again(struct simulation *s)
{
    for (size_t i = 0; i < s->num_clients && s->has_crash_loops; i++) {
        struct process *process = &s->clients[i];

        if (process->state != PROCESS_RUNNING || !atomic_load(&shared_client(s->shared, i)->active) ||
            !dies_again(s, i))
            continue;
        process->end_expected = true;
        process->follow = true;
        supervisor_signal(s->supervisor, process, SIGKILL);
    }
}

static void client_ended(struct simulation *s, struct process *process)
{
    size_t client = number_of(s, process);
    char how[64];

    slots_reclaim(shared_slots(s->shared), shared_slot_owner(shared_client(s->shared, client), client));
    process_end_text(process, how, sizeof how);
    if (s->session_runs && !availability_is_off(s->availability, client))
        s->has_died[client] = true;
    if (process->end_expected) {
        start_again(s, client);
        return;
    }
    s->num_crashed++;
    event_log_write(&s->events, "client-ended", json_pack("{s:I, s:s}", "client", (json_int_t)client, "how", how));
    if (s->session_runs)
        progress_warn(&s->progress, "%s ended by itself (%s); see %s", process->name, how, process->log_path);
    else
        fail_with_tail(s, process, process->name);
}

static void server_ended(struct simulation *s, struct server *server, const char *by_itself)
{
    bool is_starting = !s->servers_run;

    server_has_ended(server);
    if (!server->process.end_expected && !is_starting)
        fail_with_tail(s, &server->process, by_itself);
}

static void leader_ended(struct simulation *s)
{
    shared_forget_leader(s->shared);
    if (!s->leader.end_expected)
        fail_with_tail(s, &s->leader, "the leader ended by itself");
}

static void ended(void *context, struct process *process)
{
    struct simulation *s = context;

    if (is_client(s, process))
        client_ended(s, process);
    else if (process == &s->leader)
        leader_ended(s);
    else if (process == &s->link && !s->link.end_expected)
        fail_with_tail(s, process, "the link ended by itself");
    else if (process == &s->broker.process)
        server_ended(s, &s->broker, "the broker ended by itself");
    else if (process == &s->redis.process)
        server_ended(s, &s->redis, "the state store ended by itself");
    step(s);
}

/* A stopped client computes nothing: somebody else may. */
static void stopped(void *context, struct process *process)
{
    struct simulation *s = context;
    size_t client = number_of(s, process);

    if (is_client(s, process))
        slots_reclaim(shared_slots(s->shared), shared_slot_owner(shared_client(s->shared, client), client));
    step(s);
}

/* A new leader is at work: how long was there none? */
static void note_recovery(struct simulation *s)
{
    const struct leader_block *leader = shared_leader(s->shared);
    uint32_t life = atomic_load(&leader->working_life);

    if (life <= 1 || life == s->recovered_life || life != s->leader.starts)
        return;
    double seconds = (double)(atomic_load(&leader->working_since_ns) - s->leader.killed_ns) * 1e-9;
    s->recovered_life = life;
    s->num_recoveries++;
    s->recovery_s_max = seconds > s->recovery_s_max ? seconds : s->recovery_s_max;
    event_log_write(&s->events, "leader-restored", json_pack("{s:f}", "seconds", seconds));
    progress_say(&s->progress, "the session goes on %.3f s after the leader's end", seconds);
}

static void notified(void *context)
{
    struct simulation *s = context;

    if (!s->shared)
        return;
    note_recovery(s);
    step(s);
    kill_again(s);
    progress_update(&s->progress, s->shared);
}

/* --- the end --- */

static void end_one(struct simulation *s, struct process *process)
{
    struct process *one[] = {process};

    if (supervisor_end(s->supervisor, one, 1, END_GRACE_S * SECOND) > 0)
        progress_warn(&s->progress, "%s had to be killed", process->name);
}

static void end_clients(struct simulation *s)
{
    struct process **all = calloc(s->num_clients, sizeof(struct process *));

    for (size_t i = 0; all && i < s->num_clients; i++)
        all[i] = &s->clients[i];
    size_t killed = all ? supervisor_end(s->supervisor, all, s->num_clients, END_GRACE_S * SECOND) : 0;
    if (killed > 0)
        progress_warn(&s->progress, "%zu client(s) had to be killed", killed);
    free(all);
}

/* The leader first, so that it does not take the clients' leaving for failures; the broker last, but for the state
 * store, which has nothing left to keep. */
static void end_processes(struct simulation *s)
{
    if (!s->supervisor || !s->clients)
        return;
    link_process_heal(s);
    end_one(s, &s->leader);
    end_one(s, &s->submitter);
    end_clients(s);
    end_one(s, &s->link);
    end_one(s, &s->broker.process);
    end_one(s, &s->redis.process);
    if (s->heeds_permissions)
        fault_lift_read_only(&s->world);
}

static int run_processes(struct simulation *s, struct error *err)
{
    int status = link_process_start(s, err);

    if (status == OK)
        status = simulation_start_leader(s, err);
    if (status == OK)
        status = simulation_start_clients(s, err);
    if (status)
        return status;
    simulation_sample_memory(s);
    return simulation_run_session(s, err);
}

static void fini(struct simulation *s)
{
    availability_free(s->availability);
    fault_runner_free(s->faults);
    supervisor_free(s->supervisor);
    link_process_fini(s);
    shared_free(s->shared);
    server_fini(&s->broker);
    server_fini(&s->redis);
    event_log_close(&s->events);
    run_folder_fini(&s->folder);
    free(s->clients);
    free(s->starts);
    free(s->by_id);
    free(s->has_died);
    free(s->is_late);
    free(s->checkpoint_folder);
    free(s->world.held_ports);
    scenario_data_fini(&s->data);
    scenario_fini(&s->scenario);
}

static int load(struct simulation *s, struct diags *diags)
{
    int status = scenario_load(s->options->path, s->options->overrides, &s->scenario, diags);

    int data = scenario_load_data(&s->scenario, &s->data, diags);
    diags_print(diags, stderr);
    return status ? status : data;
}

/* From a checked scenario to the exit code. */
static int run_checked(struct simulation *s)
{
    const struct supervisor_hooks hooks = {s, ended, stopped, notified};
    struct error err = ERROR_INIT;

    s->num_clients = (size_t)s->scenario.keys.clients;
    progress_init(&s->progress, stdout, s->options->quiet,
                  s->scenario.session.server_training_config.num_training_rounds);
    int status = simulation_prepare(s, &hooks, &err);
    if (status == OK)
        status = simulation_start_servers(s, &err);
    if (status) {
        fprintf(stderr, "flosim: %s\n", err.message);
        return status == ERR_CANCELLED ? status_exit_code(status) : status_exit_code(ERR_SETUP);
    }
    simulation_report_begin(s);
    status = run_processes(s, &err);
    progress_end(&s->progress, s->shared);
    end_processes(s);
    if (status)
        err.status = status;
    return simulation_report_end(s, &err);
}

int simulation_run(const struct run_options *options)
{
    struct simulation s = {.options = options, .events.fd = -1, .link_wake_fd = -1};
    struct diags *diags = diags_new();

    if (!diags)
        return status_exit_code(ERR_MEMORY);
    int code = load(&s, diags) == OK ? run_checked(&s) : status_exit_code(ERR_INVALID);
    diags_free(diags);
    fini(&s);
    return code;
}
