/* leader.yaml: Flotilla's server_config.yaml key for key, plus ours. The struct mirrors the file. */
#ifndef FLOSIM_CONFIG_LEADER_CONFIG_H
#define FLOSIM_CONFIG_LEADER_CONFIG_H

#include "util/diag.h"
#include "util/params.h"

struct mqtt_config { /* both roles; a key that only one of them has stays at its default in the other */
    char *type, *mqtt_broker;
    int64_t mqtt_broker_port;
    double mqtt_sub_timeout_s;
    char *mqtt_server_topic, *mqtt_client_topic;                           /* "advert_server", "advert_client" */
    double mqtt_heartbeat_interval_s;                                      /* leader */
    int64_t num_heartbeats_timestamp_cached, max_heartbeat_miss_threshold; /* leader */
    char *client_name;                                                     /* worker */
    double heartbeat_timeout_s;                                            /* worker */
    char *username, *password_file, *topic_prefix;                         /* ours */
};

struct tls_config {
    char *ca, *cert, *key;
};

struct state_config {   /* also `state:` of a scenario */
    int state_location; /* 0 inmemory, 1 redis */
    char *state_hostname;
    int64_t state_port;
    char *state_username, *state_password_file;
    int64_t state_db;
    char *state_fallback; /* NULL or "inmemory" */
};

struct leader_config {
    struct {
        struct mqtt_config mqtt;
        struct {
            int64_t max_message_length, chunk_size_bytes;
            double timeout_s;
        } grpc;
        struct {
            char *rest_hostname;
            int64_t rest_port;
            char *token_file;
        } restful;
    } comm_config;
    struct state_config state;
    char *checkpoint_dir_path, *validation_data_dir_path, *temp_dir_path;
    char *cluster, *models_dir_path, *plugin_dir;
    int64_t checkpoint_keep;
    struct tls_config tls;
    int security; /* 0 warn, 1 strict */
};

extern const struct param_table mqtt_leader_table, mqtt_worker_table, state_config_table, tls_table,
    leader_config_table;

/* What is wrong with the section beyond its rows; `place` is that of state_fallback or what is nearest to it. */
void state_config_check(const struct state_config *config, struct diag_place place, struct diags *diags);

#endif
