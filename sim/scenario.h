/* A scenario file: what to simulate, what goes wrong, what must hold. Read and checked as a whole before anything
 * starts; everything that is wrong is reported at once. */
#ifndef FLOSIM_SIM_SCENARIO_H
#define FLOSIM_SIM_SCENARIO_H

#include "config/check.h"
#include "config/leader_config.h"
#include "config/session_config.h"
#include "data/partition.h"
#include "data/source.h"
#include "sim/expect.h"
#include "sim/fault_plan.h"
#include "sim/fleet.h"
#include "sim/joined_table.h"

struct broker_keys { /* `broker:`, where it is a mapping */
    char *host;
    int64_t port;
    char *username, *password_file, *topic_prefix;
};

struct redis_keys { /* `redis:`, where it is a mapping */
    char *host;
    int64_t port;
};

struct heartbeat_keys { /* how soon the leader misses a client that says nothing */
    double interval_s;
    int64_t misses;
};

struct recorded_keys { /* what a resolved scenario ran with; NULL: not said */
    char *flosim, *openblas, *kernels, *grpc, *machine;
};

enum must_fail { MUST_HOLD, MUST_FAIL_AN_EXPECTATION, MUST_FAIL_THE_RUN };
enum links_kind { LINKS_MODELLED, LINKS_SHAPED };

struct scenario_keys { /* the file */
    char *name;
    int64_t seed, clients, slots, threads;
    struct yaml_node data, broker, redis;
    struct state_config state; /* `redis: {host, port}` stands here too once the file is read */
    struct heartbeat_keys heartbeat;
    struct param_list fleet; /* of struct fleet_group */
    struct traces_keys traces;
    struct yaml_node session;
    char *session_file;
    struct yaml_node faults, expect;
    int must_fail; /* enum must_fail */
    char *fail_reason;
    int clock, time; /* 0 real; 0 modelled, 1 measured */
    int links;       /* enum links_kind */
    struct recorded_keys recorded;
};

struct data_keys { /* the keys of `data:` that every source and scheme has */
    char *source, *scheme;
    int64_t samples_per_client, validation_samples;
    double local_validation_fraction;
};

struct data_plan {
    const struct source_ops *source;
    const struct partition_ops *scheme;
    struct joined_table table; /* data_keys, the source's, the scheme's */
    struct data_keys *keys;    /* the joined struct; NULL where the section could not be read */
    const void *source_args, *scheme_args;
    struct diag_place place;
    bool usable; /* nothing is wrong with the section itself */
};

struct scenario {
    char *path;   /* of the file */
    char *folder; /* that it lies in */
    struct scenario_keys keys;
    bool embedded_broker;
    struct broker_keys broker; /* where it is not embedded */
    bool embedded_redis;
    struct data_plan data;
    struct fleet fleet;
    struct device_trace *devices;  /* [clients] from `traces`, or NULL */
    struct session_config session; /* completed: seed, min_clients, absolute model folders */
    struct yaml_doc *session_doc;  /* of the session file, or NULL */
    bool has_model_folder;         /* the one that it names is there */
    struct fault_plan *faults;
    size_t num_faults;
    bool needs_link; /* the traffic of its clients goes through the link process */
    struct expectation *expectations;
    size_t num_expectations;
};

extern const struct param_table scenario_table, data_common_table, broker_table, redis_table;

/* Read and check a file with overrides ("a.b=c", NULL-terminated or NULL). *out is good for scenario_fini in any case.
 * Returns OK or the status of what is in diags. Data is not loaded. */
int scenario_load(const char *path, const char *const *overrides, struct scenario *out, struct diags *diags);

/* The same for a document that was read already (`flosim check`). */
int scenario_read(struct yaml_node root, const char *path, const char *const *session_overrides, struct scenario *out,
                  struct diags *diags);
void scenario_fini(struct scenario *scenario);

/* The data of a scenario, in shared memory, and each client's part. */
struct scenario_data {
    struct data_pair pair;
    struct partition partition;
    struct data_view validation;
};

/* Load the data, deal it, and check what only the data can tell (enough items, shapes that fit the model). Does what it
 * can where other parts of the scenario are wrong, so that all findings come at once. */
int scenario_load_data(const struct scenario *scenario, struct scenario_data *out, struct diags *diags);
void scenario_data_fini(struct scenario_data *data);

/* The keys with their defaults, and what it ran with: reading it again repeats the run. No time stamps. */
int scenario_write_resolved(const struct scenario *scenario, const char *path, struct error *err);

/* Fill with what this binary runs on; params_free(&recorded_table, …). ERR_MEMORY. */
int recorded_fill(struct recorded_keys *out, struct error *err);
extern const struct param_table recorded_table;

/* For `flosim check`. */
extern const struct config_kind scenario_kind;

/* A file named in a scenario: absolute, or looked for in the scenario's folder, the current one, and where flosim's
 * files are installed. New string; NULL when it is in none of them. */
char *scenario_find(const struct scenario *scenario, const char *path);

#endif
