#include <linux/capability.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sim/broker.h"
#include "sim/pss_sample.h"
#include "sim/redis.h"
#include "sim/simulation_internal.h"
#include "util/fs.h"

enum {
    LEADER_START_LIMIT_S = 30,
    REGISTRATION_LIMIT_S = 60, /* and a tenth of a second for each client */
    PSS_SAMPLES = 20,
};

static int start_broker(struct simulation *s, struct error *err)
{
    if (!s->scenario.embedded_broker) {
        s->broker_host = s->scenario.broker.host;
        s->broker_port = (int)s->scenario.broker.port;
        return OK;
    }
    int status = server_start(&s->broker, &broker_kind, s->supervisor, s->folder.logs, s->folder.temp, err);
    s->broker_host = "127.0.0.1";
    s->broker_port = status == OK ? s->broker.port : 0;
    return status;
}

static int start_redis(struct simulation *s, struct error *err)
{
    char *folder = fs_join(s->folder.temp, "redis");
    int status = folder ? server_start(&s->redis, &redis_kind, s->supervisor, s->folder.logs, folder, err)
                        : FAIL(err, ERR_MEMORY, "out of memory");

    free(folder);
    return status;
}

int simulation_start_servers(struct simulation *s, struct error *err)
{
    int status = start_broker(s, err);

    if (status == OK && s->scenario.embedded_redis)
        status = start_redis(s, err);
    s->servers_run = status == OK;
    return status;
}

static bool leader_is_ready(void *context)
{
    const struct simulation *s = context;

    return atomic_load(&shared_leader(s->shared)->rest_port) != 0;
}

/* Its probes stay as they are armed: a new process is to meet what the one before did not. */
static int fork_leader(struct simulation *s, struct error *err)
{
    struct process_entry entry = {.run = leader_process_run, .context = s};

    atomic_fetch_add(&shared_leader(s->shared)->life, 1);
    return supervisor_start(s->supervisor, &s->leader, entry, err);
}

int simulation_start_leader(struct simulation *s, struct error *err)
{
    int status = fork_leader(s, err);

    if (status == OK)
        status = supervisor_wait(s->supervisor, leader_is_ready, s, LEADER_START_LIMIT_S * SECOND, err);
    if (status == ERR_DEADLINE)
        FAIL(err, status, "the leader did not open its port within %d s; see %s", LEADER_START_LIMIT_S,
             s->leader.log_path);
    return status;
}

int simulation_start_leader_again(void *context, const struct leader_resume *how, struct error *err)
{
    struct simulation *s = context;

    atomic_store(&shared_leader(s->shared)->resume_revives, how->revive);
    atomic_store(&shared_leader(s->shared)->resume_from_file, how->from_file);
    return fork_leader(s, err);
}

int simulation_start_client(void *context, size_t client, struct error *err)
{
    struct simulation *s = context;
    struct client_block *block = shared_client(s->shared, client);
    struct process_entry entry = {.run = client_process_run, .context = &s->starts[client]};

    probes_init(&block->probes, supervisor_notify_fd(s->supervisor));
    atomic_fetch_add(&block->starts, 1);
    return supervisor_start(s->supervisor, &s->clients[client], entry, err);
}

static bool all_are_active(void *context)
{
    const struct simulation *s = context;

    return atomic_load(&shared_leader(s->shared)->active_clients) >= s->num_clients - s->num_late;
}

static int complain_of_missing(const struct simulation *s, struct error *err)
{
    size_t missing = 0, first = 0;

    for (size_t i = s->num_clients; i-- > 0;)
        if (!s->is_late[i] && !atomic_load(&shared_client(s->shared, i)->active)) {
            missing++;
            first = i;
        }
    return FAIL(err, ERR_UNAVAILABLE, "%zu of %zu clients did not register in time; see %s", missing, s->num_clients,
                s->clients[first].log_path);
}

int simulation_start_clients(struct simulation *s, struct error *err)
{
    uint64_t limit = REGISTRATION_LIMIT_S * SECOND + s->num_clients * (SECOND / 10);
    int status = OK;

    s->first_fork_ns = simulation_now_ns();
    for (size_t i = 0; i < s->num_clients && status == OK; i++)
        status = s->is_late[i] ? OK : simulation_start_client(s, i, err);
    if (status == OK)
        status = supervisor_wait(s->supervisor, all_are_active, s, limit, err);
    if (status == ERR_DEADLINE)
        return complain_of_missing(s, err);
    if (status)
        return status;
    s->registered_ns = simulation_now_ns();
    event_log_write(&s->events, "registered",
                    json_pack("{s:I, s:f}", "clients", (json_int_t)(s->num_clients - s->num_late), "seconds",
                              (double)(s->registered_ns - s->first_fork_ns) * 1e-9));
    progress_say(&s->progress, "%zu clients registered in %.2f s", s->num_clients - s->num_late,
                 (double)(s->registered_ns - s->first_fork_ns) * 1e-9);
    return OK;
}

void simulation_sample_memory(struct simulation *s)
{
    size_t step = s->num_clients > PSS_SAMPLES ? s->num_clients / PSS_SAMPLES : 1;

    for (size_t i = 0; i < s->num_clients; i += step) {
        int64_t kb = s->is_late[i] ? 0 : pss_sample_kb(s->clients[i].pid);

        atomic_store(&shared_client(s->shared, i)->pss_idle_kb, kb);
        if (kb > s->pss_idle_kb)
            s->pss_idle_kb = kb;
    }
}

/* Root's right to ignore the permissions of files; no error without it. */
static void heed_permissions(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    const uint32_t rights = 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH;

    if (syscall(SYS_capget, &header, data))
        return;
    data[0].effective &= ~rights;
    data[0].permitted &= ~rights;
    data[0].inheritable &= ~rights;
    syscall(SYS_capset, &header, data);
}

void simulation_enter_child(const struct simulation *s)
{
    for (size_t i = 0; s->world.held_ports && i < s->num_clients; i++)
        if (s->world.held_ports[i].fd >= 0)
            close(s->world.held_ports[i].fd);
    if (s->heeds_permissions)
        heed_permissions();
}
