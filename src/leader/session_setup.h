/* Everything that a session needs before it begins: strategies, the model and its files, initial weights, validation
 * data, the run folder. Made on the compute thread (it reads files); afterwards owned by the session. */
#ifndef FLOSIM_LEADER_SESSION_SETUP_H
#define FLOSIM_LEADER_SESSION_SETUP_H

#include "codec/layout.h"
#include "codec/model_hash.h"
#include "config/lr_schedule.h"
#include "config/session_config.h"
#include "leader/report.h"
#include "leader/session_check.h"
#include "leader/strategy_host.h"
#include "leader/validator.h"

/* A model folder as it goes to clients: every regular file, and the hash over them. */
struct model_files {
    char id[256]; /* the folder's name on the clients: model_id */
    char hash[MODEL_HASH_TEXT];
    struct model_file {
        char *name;
        struct blob *data;
    } * files; /* by name */
    size_t n;
};

int model_files_read(const char *folder, const char *model_id, struct model_files *out, struct error *err);
void model_files_fini(struct model_files *files);

enum { MAX_TERMINATIONS = 8 };

/* The session's strategies as named, with their arguments read. */
struct session_strategies {
    const struct flosim_selector_ops *selector;
    struct strategy_args *selector_args;
    const struct flosim_aggregator_ops *aggregator;
    struct strategy_args *aggregator_args;
    size_t num_terminations;
    const struct flosim_termination_ops *terminations[MAX_TERMINATIONS];
    struct strategy_args *termination_args[MAX_TERMINATIONS];
    size_t num_plugins;
    struct plugin *plugins[MAX_TERMINATIONS + 2]; /* loaded for as long as this lives */
};

/* Findings go to diags with the places in ctx->root (the session mapping; of no kind: `where`). ctx NULL: no root.
 * ERR_INVALID. */
int session_strategies_read(const struct session_config *config, const struct session_check_context *ctx,
                            struct diag_place where, struct session_strategies *out, struct diags *diags);
/* After fini of what was made with them. */
void session_strategies_fini(struct session_strategies *strategies);

/* How clients train, for the strategies. `own_rate` (may be NULL) is set where the optimizer's own `lr` rules. */
void session_describe_training(const struct session_config *config, struct flosim_training *out, double *own_rate);

/* Whether each strategy can begin on this network: what only its init can tell. Findings go to diags. */
void session_strategies_try(const struct session_config *config, const struct session_check_context *context,
                            struct diag_place where, const struct session_strategies *strategies,
                            const struct layout *layout, struct diags *diags);

/* What a session names, found and read. */
struct session_parts {
    struct session_strategies strategies;
    char *folder;          /* of the model */
    struct model *network; /* the session's, from that folder */
};

/* session_check that keeps what it found. What the model's folder says where the session is silent goes into config. On
 * failure there is nothing to release. */
int session_parts_find(struct session_config *config, struct diag_place where, const struct session_check_context *ctx,
                       struct session_parts *out, struct diags *diags);
void session_parts_fini(struct session_parts *parts);

/* How a session begins whose state was loaded (by state_load, or from a checkpoint) before it is made. Neither: it is
 * new, and what the state has under its id is replaced. */
struct session_restore {
    bool restore;     /* go on exactly where it was, with the same clients */
    bool revive;      /* keep the global model and the round's number only; with both: if it cannot be restored */
    const char *from; /* where its state was loaded from, in words: "redis", "memory", a path; NULL: not told */
};

struct session_setup {
    char *session_id;  /* the body's: names state and folder */
    char *config_json; /* the session as JSON, for GET */
    struct session_config config;
    struct session_strategies strategies;
    struct layout layout;
    float *initial; /* [P] from the session's seed */
    struct model_files model;
    struct model_files bench_model; /* n == 0: no benchmark, or the same as `model` */
    bool benchmark;                 /* clients without a current figure are benchmarked */
    struct lr_schedule lr_schedule;
    bool cut_anew; /* its custom_loader_args make other items of a client's data than it advertised */
    char *model_config_json, *optimizer_json, *loss_json;
    struct validator *validator; /* NULL: the global model is not validated */
    struct report report;
    struct session_restore restore;
    char *restored_from; /* restore.from, owned */
};

/* Takes nothing; copies the config. Everything wrong goes to diags. `run_dir` NULL: no folder is written. `restore`
 * NULL: a new session; else the folder's events are appended to, and its rounds.csv is left to session_new. */
int session_setup_make(const struct session_config *config, const char *session_id, const char *config_json,
                       const struct session_restore *restore, struct diag_place where,
                       const struct session_check_context *context, const char *run_dir, struct session_setup **out,
                       struct diags *diags);
/* A step of it: layout, initial weights and validator from the network, which is taken. Findings go to diags. */
void session_setup_network(struct session_setup *setup, struct model *model,
                           const struct session_check_context *context, struct diag_place place, struct diags *diags);
void session_setup_free(struct session_setup *setup); /* NULL is legal */

#endif
