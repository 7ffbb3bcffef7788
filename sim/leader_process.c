/* The leader's process: the role of src/leader, lent what the simulation has in memory. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "leader/leader.h"
#include "leader/session_check.h"
#include "leader/session_plugins.h"
#include "sim/role_config.h"

static const struct data_view *validation_data(void *context, const char *dataset)
{
    const struct simulation *simulation = context;
    const char *name = session_validation_dataset(&simulation->scenario.session);

    if (simulation->data.validation.num_items == 0 || !name || strcmp(name, dataset))
        return NULL;
    return &simulation->data.validation;
}

/* The session that is posted is the scenario's: it may name the files that the scenario does. */
static bool may_load(void *context, const char *path)
{
    const struct simulation *simulation = context;

    return session_names_plugin(&simulation->scenario.session, path);
}

static void stop(void *leader)
{
    leader_stop(leader);
}

static struct leader_host make_host(struct simulation *simulation)
{
    const struct scenario_keys *keys = &simulation->scenario.keys;

    return (struct leader_host){
        .probes = &shared_leader(simulation->shared)->probes,
        .context = simulation,
        .observe = leader_observer,
        .validation_data = validation_data,
        .may_load = may_load,
        .run_dir = simulation->folder.path,
        .origin_ns = simulation->events.origin_ns,
        .slots = (int)keys->slots,
        .threads = (int)keys->threads,
        .modelled_time = keys->time == 0,
    };
}

static int run(struct simulation *simulation, const struct leader_config *config, const struct log *log,
               struct error *err)
{
    struct leader_host host = make_host(simulation);
    struct leader *leader = NULL;
    struct stop_waiter *waiter = NULL;
    int status = leader_new(&leader, config, &host, simulation->leader.starts > 1, log, err);

    if (status)
        return status;
    status = stop_waiter_new(&waiter, stop, leader, err);
    if (status == OK) {
        atomic_store(&shared_leader(simulation->shared)->rest_port, leader_rest_port(leader));
        shared_notify(simulation->shared);
        status = leader_run(leader, err);
    }
    stop_waiter_free(waiter);
    leader_free(leader);
    return status;
}

int leader_process_run(void *context)
{
    struct simulation *simulation = context;
    struct leader_config config;
    struct error err = ERROR_INIT;
    struct log log;

    simulation_enter_child(simulation);
    log_init(&log, STDERR_FILENO, simulation->options->log_level, "leader", NULL);
    int status = role_config_leader(simulation, &config, &err);
    if (status == OK) {
        status = run(simulation, &config, &log, &err);
        params_free(&leader_config_table, &config);
    }
    if (status)
        log_write(&log, LOG_ERROR, "simulation", "%s", err.message);
    return status_exit_code(status);
}
