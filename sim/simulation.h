/* One run of a scenario, from the checked file to the exit code. What the parts of a run share; after a fork the roles
 * see a copy of it. */
#ifndef FLOSIM_SIM_SIMULATION_H
#define FLOSIM_SIM_SIMULATION_H

#include <sys/socket.h>

#include "sim/availability.h"
#include "sim/fault_runner.h"
#include "sim/progress.h"
#include "sim/run_folder.h"
#include "sim/scenario.h"
#include "sim/server.h"
#include "sim/shared.h"
#include "sim/supervisor.h"
#include "util/event_log.h"
#include "util/log.h"

struct run_options {
    const char *path;             /* of the scenario */
    const char *const *overrides; /* "a.b=c", NULL-terminated; or NULL */
    const char *out_dir;          /* NULL: runs/<name>-<time> */
    bool quiet;                   /* only what went wrong */
    enum log_level log_level;     /* of the roles' logs */
};

struct simulation;

struct client_start { /* what a client's process begins with */
    struct simulation *simulation;
    size_t index;
    struct data_view view; /* its part of the data */
};

struct client_number { /* to find a client by its id */
    const char *id;
    size_t index;
};

struct simulation {
    const struct run_options *options;
    struct scenario scenario;
    struct scenario_data data;
    struct run_folder folder;
    struct supervisor *supervisor;
    struct shared *shared;
    struct event_log events;
    struct server broker, redis; /* all zeros: not ours */
    const char *broker_host;
    int broker_port;
    bool servers_run; /* they have started: one that ends from now on is missed */

    int link_wake_fd;    /* an eventfd; -1: there is no link */
    int *link_listeners; /* [num_link_listeners], until its process has them; owned */
    size_t num_link_listeners;
    struct sockaddr_storage link_broker; /* where it finds the broker */
    socklen_t link_broker_size;

    size_t num_clients;
    struct process leader, submitter, link;
    struct process *clients;     /* [num_clients] */
    struct client_start *starts; /* [num_clients] */
    struct client_number *by_id; /* [num_clients], by id */
    bool *is_late;               /* [num_clients]: not there until a fault starts it */
    size_t num_late;
    bool heeds_permissions; /* what runs in the children (struct fault_ops) */
    char *checkpoint_folder;
    bool *has_died;     /* [num_clients]: its process ended during the session */
    size_t num_crashed; /* clients that ended although nobody asked for it */

    struct fault_world world;
    struct fault_runner *faults;
    struct availability *availability; /* NULL: everybody is always there */
    bool has_crash_loops;              /* among the faults */
    struct progress progress;

    uint32_t recovered_life; /* the last leader process that counts as a recovery */
    size_t num_recoveries;
    double recovery_s_max;

    double backdoor_success; /* percent; NAN: no such fault, or no model */

    bool session_runs;
    uint64_t first_fork_ns, registered_ns, session_began_ns, session_ended_ns; /* clock_system; 0: did not happen */
    int64_t pss_idle_kb;                                                       /* the largest of the sampled clients */
};

/* Run it; everything that a person needs to know is on the terminal, everything else in the folder. Returns the exit
 * code. */
int simulation_run(const struct run_options *options);

/* What runs in the children (process_entry). */
int leader_process_run(void *context /* struct simulation */);
int client_process_run(void *context /* struct client_start */);
int submit_process_run(void *context /* struct simulation */);

/* The leader's observer: from events to shared memory. */
void leader_observer(void *context /* struct simulation */, const char *event, const json_t *fields);

/* In a child, first of all: what only the supervisor needs, and rights that a fault wants it not to have. */
void simulation_enter_child(const struct simulation *simulation);

/* -1: no client of this simulation. */
long simulation_client_number(const struct simulation *simulation, const char *id);

/* Figures of what happened so far. */
void simulation_metrics(const struct simulation *simulation, struct run_metrics *out);

#endif
