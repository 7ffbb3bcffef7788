/* A session: Flotilla's training_config.yaml key for key, plus ours. The struct mirrors the file. */
#ifndef FLOSIM_CONFIG_SESSION_CONFIG_H
#define FLOSIM_CONFIG_SESSION_CONFIG_H

#include "util/params.h"

struct model_config { /* also default_training_config of a model folder */
    bool use_custom_dataloader;
    struct yaml_node custom_loader_args;
    bool use_custom_trainer;
    struct yaml_node custom_trainer_args;
    bool use_custom_validator;
    struct yaml_node custom_validator_args;
    struct yaml_node model_args;
};

struct session_config {
    struct {
        char *session_id; /* a label; the id of state and checkpoints is the REST body's */
        bool use_gpu;
        char *aggregator;
        struct yaml_node aggregator_args; /* read by the strategy's own table when the session is checked */
        char *client_selection;
        struct yaml_node client_selection_args;
        int64_t checkpoint_interval, validation_round_interval;
        bool generate_plots;
        struct string_list termination_condition;    /* ours; default: max_rounds */
        struct yaml_node termination_condition_args; /* ours; keyed by name */
        struct {
            int64_t min_clients;
            double max_wait_s, poll_interval_s;
        } wait_for_clients;                              /* ours */
        int64_t seed;                                    /* ours; default 0 */
        double over_selection, quorum, round_deadline_s; /* ours; 1, 0, 0: none of it */
        int64_t backoff_after, backoff_max_rounds;       /* ours; 0: nobody is backed off */
        double backoff_round_s;                          /* ours */
    } session_config;
    struct {
        bool skip_benchmark;
        char *model_id, *model_dir, *model_class, *dataset;
        int64_t bench_minibatch_count; /* 0: use the timeout */
        int64_t batch_size;
        double learning_rate, timeout_duration_s;
    } benchmark_config;
    struct {
        char *model_dir, *validation_dataset;
        int64_t global_model_validation_batch_size, num_training_rounds;
        double global_timeout_duration_s; /* 0: none */
    } server_training_config;
    struct {
        char *model_id, *model_class, *dataset;
        int64_t epochs, batch_size;
        double straggler_fraction;                      /* ours */
        double learning_rate, train_timeout_duration_s; /* 0: none */
        struct yaml_node lr_schedule; /* a name, or {name: …, args: {…}} (ours); lr_schedule.h reads it */
        char *loss_function;
        bool loss_function_custom;
        struct yaml_node optimizer; /* a name, or {name: …, args: {…}} (ours) */
        bool optimizer_custom;
    } client_training_config;
    struct model_config model_config;
};

extern const struct param_table session_config_table;
extern const struct param_table model_config_table; /* of the section model_config */

/* What no row can say: names that must be single path components, arguments that must be mappings, what has no effect.
 * `root` is what the struct was read from. Names of strategies, losses and optimizers are checked by the leader's room.
 */
void session_config_check(const struct session_config *config, struct yaml_node root, struct diags *diags);

/* An empty model_config takes the default_training_config of the model folder (a folder without config.yaml changes
 * nothing). ERR_INVALID with everything wrong in diags; what could be read is applied all the same. */
int session_apply_model_folder(struct session_config *config, const char *folder, struct diags *diags);

/* The optimizer as it travels: {"name": …, "args": {…}} from `adam` or {name: adam, args: {lr: 0.01}}. New string;
 * NULL when out of memory. */
char *session_optimizer_json(const struct session_config *config);

/* {"name": "crossentropy", "args": {}} and the model_config section as JSON. New strings; NULL when out of memory. */
char *session_loss_json(const struct session_config *config);
char *session_model_config_json(const struct session_config *config);

#endif
