#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "sim/broker.h"
#include "sim/fault_late.h"
#include "sim/redis.h"
#include "sim/simulation_internal.h"
#include "util/uuid.h"

enum {
    DESCRIPTORS_PER_CLIENT = 6, /* in leader and broker: a connection each, and some to spare */
    DESCRIPTORS_WITH_LINK = 12, /* in the link: two ports, and two sockets a connection */
    SPARE_DESCRIPTORS = 512,
};

/* Everybody inherits it: a thousand clients are more connections than the usual soft limit of 1,024 allows. */
static int raise_descriptors(size_t num_clients, bool has_link, struct error *err)
{
    size_t each = has_link ? DESCRIPTORS_WITH_LINK : DESCRIPTORS_PER_CLIENT;
    rlim_t wanted = (rlim_t)(num_clients * each + SPARE_DESCRIPTORS);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return OK;
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < wanted) {
        struct rlimit more = {wanted, wanted};

        if (!setrlimit(RLIMIT_NOFILE, &more))
            return OK;
        if (limit.rlim_max < (rlim_t)num_clients + SPARE_DESCRIPTORS)
            return FAIL(err, ERR_SETUP,
                        "%zu clients need some %llu descriptors, the limit is %llu; raise it "
                        "(`ulimit -Hn`) or take fewer clients",
                        num_clients, (unsigned long long)wanted, (unsigned long long)limit.rlim_max);
        wanted = limit.rlim_max;
    }
    if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < wanted) {
        limit.rlim_cur = wanted;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    return OK;
}

static int compare_numbers(const void *a, const void *b)
{
    return strcmp(((const struct client_number *)a)->id, ((const struct client_number *)b)->id);
}

long simulation_client_number(const struct simulation *s, const char *id)
{
    struct client_number key = {.id = id};
    const struct client_number *found =
        id ? bsearch(&key, s->by_id, s->num_clients, sizeof *s->by_id, compare_numbers) : NULL;

    return found ? (long)found->index : -1;
}

static void name_client(struct simulation *s, size_t i)
{
    struct client_block *block = shared_client(s->shared, i);
    struct process *process = &s->clients[i];
    struct rng rng;

    rng_init(&rng, (uint64_t)s->scenario.keys.seed, "client-id", "", i);
    uuid_from_rng(block->id, &rng);
    snprintf(process->name, sizeof process->name, "client-%03zu", i);
    snprintf(process->log_path, sizeof process->log_path, "%s/%s.log", s->folder.logs, process->name);
    s->starts[i] = (struct client_start){s, i, partition_view(&s->data.partition, &s->data.pair.train, i)};
    s->by_id[i] = (struct client_number){block->id, i};
}

static int find_late(struct simulation *s)
{
    const struct scenario *scenario = &s->scenario;
    long late = fault_late_clients(scenario->faults, scenario->num_faults, (uint64_t)scenario->keys.seed,
                                   &scenario->fleet, s->num_clients, s->is_late);

    s->num_late = late > 0 ? (size_t)late : 0;
    return late < 0 ? ERR_MEMORY : OK;
}

static int make_clients(struct simulation *s, struct error *err)
{
    s->clients = calloc(s->num_clients, sizeof *s->clients);
    s->starts = calloc(s->num_clients, sizeof *s->starts);
    s->by_id = calloc(s->num_clients, sizeof *s->by_id);
    s->has_died = calloc(s->num_clients, sizeof *s->has_died);
    s->is_late = calloc(s->num_clients, sizeof *s->is_late);
    s->checkpoint_folder = run_folder_file(&s->folder, "checkpoints");
    if (!s->clients || !s->starts || !s->by_id || !s->has_died || !s->is_late || !s->checkpoint_folder || find_late(s))
        return FAIL(err, ERR_MEMORY, "out of memory for %zu clients", s->num_clients);
    for (size_t i = 0; i < s->scenario.num_faults; i++)
        s->heeds_permissions |= s->scenario.faults[i].ops->heeds_permissions;
    for (size_t i = 0; i < s->num_clients; i++)
        name_client(s, i);
    qsort(s->by_id, s->num_clients, sizeof *s->by_id, compare_numbers);
    return OK;
}

static int make_shared(struct simulation *s, const struct supervisor_hooks *hooks, struct error *err)
{
    struct shared_sizes sizes = {
        .num_clients = s->num_clients,
        .num_slots = (size_t)s->scenario.keys.slots,
        .max_rounds = (size_t)s->scenario.session.server_training_config.num_training_rounds,
    };
    int status = supervisor_new(&s->supervisor, hooks, err);

    return status ? status : shared_new(&s->shared, &sizes, supervisor_notify_fd(s->supervisor), err);
}

static int write_resolved(const struct simulation *s, struct error *err)
{
    char *path = run_folder_file(&s->folder, "scenario.resolved.yaml");
    int status = path ? scenario_write_resolved(&s->scenario, path, err) : FAIL(err, ERR_MEMORY, "out of memory");

    free(path);
    return status;
}

static int open_events(struct simulation *s, struct error *err)
{
    char *path = run_folder_file(&s->folder, "events.jsonl");
    int status = path ? event_log_open(&s->events, path, &clock_system, err) : FAIL(err, ERR_MEMORY, "out of memory");

    free(path);
    return status;
}

static void name_role(const struct simulation *s, struct process *process, const char *name)
{
    snprintf(process->name, sizeof process->name, "%s", name);
    snprintf(process->log_path, sizeof process->log_path, "%s/%s.log", s->folder.logs, name);
}

/* Looked at before there is a folder: what is missing then leaves nothing behind. */
static int check_servers(const struct simulation *s, struct error *err)
{
    const struct scenario *scenario = &s->scenario;
    const struct state_config *state = &scenario->keys.state;
    int status = scenario->embedded_broker
                     ? server_is_installed(&broker_kind, err)
                     : server_probe("broker", scenario->broker.host, (int)scenario->broker.port, err);

    if (status || state->state_location == 0 || state->state_fallback)
        return status;
    return scenario->embedded_redis ? server_is_installed(&redis_kind, err)
                                    : server_probe("redis", state->state_hostname, (int)state->state_port, err);
}

int simulation_prepare(struct simulation *s, const struct supervisor_hooks *hooks, struct error *err)
{
    int status = raise_descriptors(s->num_clients, s->scenario.needs_link, err);

    if (status == OK)
        status = check_servers(s, err);
    if (status == OK)
        status = run_folder_make(&s->folder, s->options->out_dir, s->scenario.keys.name, err);
    if (status == OK)
        status = open_events(s, err);
    if (status == OK)
        status = write_resolved(s, err);
    if (status == OK)
        status = make_shared(s, hooks, err);
    if (status == OK)
        status = make_clients(s, err);
    if (status)
        return status;
    name_role(s, &s->leader, "leader");
    name_role(s, &s->submitter, "submit");
    name_role(s, &s->link, "link");
    return OK;
}
