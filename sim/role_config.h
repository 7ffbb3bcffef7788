/* The role files that a scenario stands for, as if they had been written by hand. */
#ifndef FLOSIM_SIM_ROLE_CONFIG_H
#define FLOSIM_SIM_ROLE_CONFIG_H

#include "config/leader_config.h"
#include "config/worker_config.h"
#include "sim/simulation.h"

/* Owned by the caller: params_free with leader_config_table / worker_config_table. */
int role_config_leader(const struct simulation *simulation, struct leader_config *out, struct error *err);
int role_config_client(const struct simulation *simulation, size_t client, struct worker_config *out,
                       struct error *err);

#endif
