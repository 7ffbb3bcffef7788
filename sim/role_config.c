#include "sim/role_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long a role waits for the broker: it is there already, but a thousand clients call at once. */
#define BROKER_PATIENCE_S 120.0

static bool set_text(char **field, const char *value)
{
    free(*field);
    *field = value ? strdup(value) : NULL;
    return *field || !value;
}

static bool set_format(char **field, const char *format, const char *folder, size_t number)
{
    free(*field);
    if (asprintf(field, format, folder, number) < 0)
        *field = NULL;
    return *field != NULL;
}

static bool set_broker(const struct simulation *simulation, struct mqtt_config *mqtt)
{
    const struct broker_keys *keys = &simulation->scenario.broker;
    bool ok = set_text(&mqtt->mqtt_broker, simulation->broker_host);

    mqtt->mqtt_broker_port = simulation->broker_port;
    if (simulation->scenario.embedded_broker)
        return ok;
    return ok & set_text(&mqtt->username, keys->username) & set_text(&mqtt->password_file, keys->password_file) &
           set_text(&mqtt->topic_prefix, keys->topic_prefix ? keys->topic_prefix : "");
}

/* models/LeNet5 -> models */
static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
}

static bool set_state(const struct simulation *simulation, struct state_config *out)
{
    params_free(&state_config_table, out);
    if (params_copy(&state_config_table, &simulation->scenario.keys.state, out))
        return false;
    if (!simulation->scenario.embedded_redis)
        return true;
    out->state_port = simulation->redis.port;
    return set_text(&out->state_hostname, "127.0.0.1");
}

int role_config_leader(const struct simulation *simulation, struct leader_config *out, struct error *err)
{
    const char *model_dir = simulation->scenario.session.server_training_config.model_dir;
    bool ok;

    params_defaults(&leader_config_table, out);
    out->comm_config.mqtt.mqtt_sub_timeout_s = 0; /* the simulator submits when everybody is registered */
    out->comm_config.mqtt.mqtt_heartbeat_interval_s = simulation->scenario.keys.heartbeat.interval_s;
    out->comm_config.mqtt.max_heartbeat_miss_threshold = simulation->scenario.keys.heartbeat.misses;
    out->comm_config.restful.rest_port = 0;
    ok = set_broker(simulation, &out->comm_config.mqtt) & set_state(simulation, &out->state) &
         set_text(&out->comm_config.restful.rest_hostname, "127.0.0.1") &
         set_format(&out->temp_dir_path, "%s/leader", simulation->folder.temp, 0) &
         set_format(&out->checkpoint_dir_path, "%s/checkpoints", simulation->folder.path, 0) &
         set_text(&out->validation_data_dir_path, NULL);
    free(out->models_dir_path);
    out->models_dir_path = parent_of(model_dir);
    if (ok && out->models_dir_path)
        return OK;
    params_free(&leader_config_table, out);
    return FAIL(err, ERR_MEMORY, "out of memory");
}

/* Through the link process, where there is one. */
static bool set_link(const struct simulation *simulation, size_t client, struct worker_config *out)
{
    const struct link_block *link = &shared_client(simulation->shared, client)->link;

    if (link->mqtt_port == 0)
        return true;
    out->comm_config.mqtt.mqtt_broker_port = link->mqtt_port;
    return set_text(&out->comm_config.mqtt.mqtt_broker, "127.0.0.1") &
           set_format(&out->comm_config.grpc.advertise, "%s:%zu", "127.0.0.1", (size_t)link->grpc_port);
}

int role_config_client(const struct simulation *simulation, size_t client, struct worker_config *out, struct error *err)
{
    bool ok;

    params_defaults(&worker_config_table, out);
    out->comm_config.mqtt.mqtt_sub_timeout_s = BROKER_PATIENCE_S;
    out->comm_config.grpc.sync_port = atomic_load(&shared_client(simulation->shared, client)->port);
    out->threads = 1; /* a compute slot stands for one core */
    ok = set_broker(simulation, &out->comm_config.mqtt) &
         set_text(&out->comm_config.mqtt.client_name, simulation->clients[client].name) &
         set_text(&out->comm_config.grpc.bind, "127.0.0.1") & set_text(&out->comm_config.grpc.advertise, NULL) &
         set_link(simulation, client, out) &
         set_format(&out->general_config.temp_dir_path, "%s/client-%03zu", simulation->folder.temp, client);
    if (ok)
        return OK;
    params_free(&worker_config_table, out);
    return FAIL(err, ERR_MEMORY, "out of memory");
}
