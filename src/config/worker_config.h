/* worker.yaml: Flotilla's client_config.yaml key for key, plus ours. The struct mirrors the file. */
#ifndef FLOSIM_CONFIG_WORKER_CONFIG_H
#define FLOSIM_CONFIG_WORKER_CONFIG_H

#include "config/leader_config.h"

struct worker_config {
    struct {
        struct mqtt_config mqtt;
        struct {
            int64_t workers, sync_port, async_port; /* sync_port: where the server listens; 0 a free one */
            char *bind, *advertise;                 /* ours */
        } grpc;
    } comm_config;
    struct {
        char *datasets_dir_path;
    } dataset_config;
    struct {
        char *temp_dir_path;
        bool cleanup_session_on_exit, cleanup_model_cache_on_exit, cleanup_temp_on_exit, use_gpu;
    } general_config;
    double orphan_grace_s; /* ours, as all below */
    int64_t threads;
    struct tls_config tls;
    int security;
};

extern const struct param_table worker_config_table;

#endif
