/* The tables of leader.yaml, and of what worker.yaml shares with it. */
#include "config/leader_config.h"

#include <string.h>

#include "config/tables.h"

#define MQTT(field)        offsetof(struct mqtt_config, field)
#define LEADER(field)      offsetof(struct leader_config, field)
#define STATE(field)       offsetof(struct state_config, field)
#define IN(section, field) (LEADER(section.field) - LEADER(section))

// clang-format off
#define MQTT_COMMON_ROWS(role)                                                                                         \
    {.name = "type", .type = PARAM_STRING, .offset = MQTT(type), .fallback = role,                                     \
     .help = "A remark on who reads this file."},                                                                      \
    {.name = "mqtt_broker", .type = PARAM_STRING, .offset = MQTT(mqtt_broker), .fallback = "localhost",                \
     .help = "Host name or address of the MQTT broker."},                                                              \
    {.name = "mqtt_broker_port", .type = PARAM_INT, .offset = MQTT(mqtt_broker_port), .fallback = "1883",              \
     .min = 1, .max = 65535, .help = "Port of the MQTT broker."}

#define MQTT_TOPIC_ROWS                                                                                                \
    {.name = "mqtt_server_topic", .type = PARAM_STRING, .offset = MQTT(mqtt_server_topic),                             \
     .fallback = "advert_server", .help = "Topic of the leader's adverts."},                                           \
    {.name = "mqtt_client_topic", .type = PARAM_STRING, .offset = MQTT(mqtt_client_topic),                             \
     .fallback = "advert_client", .help = "Topic of the clients' adverts."}

#define MQTT_OUR_ROWS                                                                                                  \
    {.name = "username", .type = PARAM_STRING, .offset = MQTT(username), .flags = PARAM_OURS,                          \
     .help = "User name at the broker."},                                                                              \
    {.name = "password_file", .type = PARAM_STRING, .offset = MQTT(password_file), .flags = PARAM_OURS,                \
     .help = "File whose first line is the password at the broker."},                                                  \
    {.name = "topic_prefix", .type = PARAM_STRING, .offset = MQTT(topic_prefix), .fallback = "''", .flags = PARAM_OURS,\
     .help = "Put before every topic, so that several systems can share a broker."}

static const struct param mqtt_leader_rows[] = {
    MQTT_COMMON_ROWS("server"),
    {.name = "mqtt_sub_timeout_s", .type = PARAM_DURATION, .offset = MQTT(mqtt_sub_timeout_s), .fallback = "1",
     .help = "Sessions are taken when this time has passed since the start and a client is known."},
    MQTT_TOPIC_ROWS,
    {.name = "mqtt_heartbeat_interval_s", .type = PARAM_DURATION, .offset = MQTT(mqtt_heartbeat_interval_s),
     .fallback = "5", .min = 0.01, .max = 86400, .help = "How often the clients are told to send a heartbeat."},
    {.name = "num_heartbeats_timestamp_cached", .type = PARAM_INT, .offset = MQTT(num_heartbeats_timestamp_cached),
     .fallback = "5", .min = 1, .max = 1000, .help = "How many times of a client's heartbeats are remembered."},
    {.name = "max_heartbeat_miss_threshold", .type = PARAM_INT, .offset = MQTT(max_heartbeat_miss_threshold),
     .fallback = "5", .min = 1, .max = 1000,
     .help = "A client counts as gone after missing so many heartbeats (and two seconds more)."},
    MQTT_OUR_ROWS,
};

static const struct param mqtt_worker_rows[] = {
    MQTT_COMMON_ROWS("client"),
    {.name = "client_name", .type = PARAM_STRING, .offset = MQTT(client_name),
     .help = "A name for people, shown in the roster; the host's name where absent."},
    {.name = "mqtt_sub_timeout_s", .type = PARAM_DURATION, .offset = MQTT(mqtt_sub_timeout_s), .fallback = "60",
     .help = "Time for the broker to accept the connection."},
    MQTT_TOPIC_ROWS,
    {.name = "heartbeat_timeout_s", .type = PARAM_DURATION, .offset = MQTT(heartbeat_timeout_s), .fallback = "5",
     .min = 0.01, .max = 86400, .help = "How often to send a heartbeat until the leader's advert says another interval."},
    MQTT_OUR_ROWS,
};

const struct param_table mqtt_leader_table = TABLE("mqtt", NULL, mqtt_leader_rows, struct mqtt_config);
const struct param_table mqtt_worker_table = TABLE("mqtt", NULL, mqtt_worker_rows, struct mqtt_config);

static const struct param tls_rows[] = {
    {.name = "ca", .type = PARAM_STRING, .offset = offsetof(struct tls_config, ca), .flags = PARAM_OURS,
     .help = "PEM file of the authorities that peers are checked against."},
    {.name = "cert", .type = PARAM_STRING, .offset = offsetof(struct tls_config, cert), .flags = PARAM_OURS,
     .help = "PEM file of the certificate shown to peers."},
    {.name = "key", .type = PARAM_STRING, .offset = offsetof(struct tls_config, key), .flags = PARAM_OURS,
     .help = "PEM file of the key of `cert`."},
};

const struct param_table tls_table = TABLE("tls", NULL, tls_rows, struct tls_config);

static const struct param grpc_rows[] = {
    {.name = "max_message_length", .type = PARAM_BYTES, .offset = IN(comm_config.grpc, max_message_length),
     .fallback = "1048576000", .min = 65536, .max = 2147483647, .help = "The largest message sent or taken."},
    {.name = "chunk_size_bytes", .type = PARAM_BYTES, .offset = IN(comm_config.grpc, chunk_size_bytes),
     .fallback = "65536", .min = 256, .max = 3145728, .help = "Model files travel in pieces of this size."},
    {.name = "timeout_s", .type = PARAM_DURATION, .offset = IN(comm_config.grpc, timeout_s), .fallback = "600",
     .min = PARAM_ABOVE_0, .max = 1e9, .help = "The longest wait for a client's answer."},
};
static const struct param_table grpc_table =
    TABLE("grpc", NULL, grpc_rows, ((struct leader_config *)0)->comm_config.grpc);

static const struct param restful_rows[] = {
    {.name = "rest_hostname", .type = PARAM_STRING, .offset = IN(comm_config.restful, rest_hostname),
     .fallback = "127.0.0.1", .help = "Address that the REST server listens on; 0.0.0.0 for all."},
    {.name = "rest_port", .type = PARAM_INT, .offset = IN(comm_config.restful, rest_port), .fallback = "12345",
     .min = 0, .max = 65535, .help = "Port of the REST server; 0 takes a free one."},
    {.name = "token_file", .type = PARAM_STRING, .offset = IN(comm_config.restful, token_file), .flags = PARAM_OURS,
     .help = "File whose first line is the bearer token that every request must bring."},
};
static const struct param_table restful_table =
    TABLE("restful", NULL, restful_rows, ((struct leader_config *)0)->comm_config.restful);

static const struct param comm_rows[] = {
    {.name = "mqtt", .type = PARAM_SECTION, .offset = IN(comm_config, mqtt), .table = &mqtt_leader_table,
     .help = "Discovery of clients and heartbeats."},
    {.name = "grpc", .type = PARAM_SECTION, .offset = IN(comm_config, grpc), .table = &grpc_table,
     .help = "Calls to clients."},
    {.name = "restful", .type = PARAM_SECTION, .offset = IN(comm_config, restful), .table = &restful_table,
     .help = "Where sessions are submitted."},
};
static const struct param_table comm_table = TABLE("comm_config", NULL, comm_rows, ((struct leader_config *)0)->comm_config);

static const char *const state_locations[] = {"inmemory", "redis", NULL};
static const struct param state_rows[] = {
    {.name = "state_location", .type = PARAM_CHOICE, .offset = STATE(state_location), .choices = state_locations,
     .fallback = "inmemory", .help = "Where the state of sessions and clients is kept; redis outlives the leader."},
    {.name = "state_hostname", .type = PARAM_STRING, .offset = STATE(state_hostname), .fallback = "localhost",
     .help = "Host of the Redis server."},
    {.name = "state_port", .type = PARAM_INT, .offset = STATE(state_port), .fallback = "6379",
     .min = 1, .max = 65535, .help = "Port of the Redis server."},
    {.name = "state_username", .type = PARAM_STRING, .offset = STATE(state_username), .flags = PARAM_OURS,
     .help = "User name at the Redis server."},
    {.name = "state_password_file", .type = PARAM_STRING, .offset = STATE(state_password_file), .flags = PARAM_OURS,
     .help = "File whose first line is the password at the Redis server."},
    {.name = "state_db", .type = PARAM_INT, .offset = STATE(state_db), .fallback = "0", .min = 0, .max = 1e6,
     .flags = PARAM_OURS, .help = "Number of the Redis database."},
    {.name = "state_fallback", .type = PARAM_STRING, .offset = STATE(state_fallback), .flags = PARAM_OURS,
     .help = "`inmemory`: go on in memory where Redis cannot be reached or written at the start; absent: refuse to start."},
};
const struct param_table state_config_table = TABLE("state", NULL, state_rows, struct state_config);

static const struct param leader_rows[] = {
    {.name = "comm_config", .type = PARAM_SECTION, .offset = LEADER(comm_config), .table = &comm_table,
     .help = "Communication."},
    {.name = "state", .type = PARAM_SECTION, .offset = LEADER(state), .table = &state_config_table,
     .help = "The state store."},
    {.name = "checkpoint_dir_path", .type = PARAM_STRING, .offset = LEADER(checkpoint_dir_path),
     .fallback = "./checkpoint", .help = "Folder of the checkpoints."},
    {.name = "validation_data_dir_path", .type = PARAM_STRING, .offset = LEADER(validation_data_dir_path),
     .fallback = "./val_data", .help = "Folder of the data sets that global models are validated on; '': they are not."},
    {.name = "temp_dir_path", .type = PARAM_STRING, .offset = LEADER(temp_dir_path), .fallback = "./scratch",
     .help = "Folder of the run folders, one for each session."},
    {.name = "cluster", .type = PARAM_STRING, .offset = LEADER(cluster), .fallback = "'0'", .flags = PARAM_OURS,
     .help = "Name of the roster in the state store, so that it outlives the leader."},
    {.name = "models_dir_path", .type = PARAM_STRING, .offset = LEADER(models_dir_path), .fallback = "./models",
     .flags = PARAM_OURS, .help = "Folder of the model folders that submitted sessions name."},
    {.name = "plugin_dir", .type = PARAM_STRING, .offset = LEADER(plugin_dir), .flags = PARAM_OURS,
     .help = "Folder of shared objects that submitted sessions may name as strategies: `mine` is mine.so in it; without it there are none."},
    {.name = "checkpoint_keep", .type = PARAM_INT, .offset = LEADER(checkpoint_keep), .fallback = "1", .min = 1,
     .max = 1000, .flags = PARAM_OURS, .help = "How many checkpoints of a session are kept."},
    {.name = "tls", .type = PARAM_SECTION, .offset = LEADER(tls), .table = &tls_table, .flags = PARAM_OURS,
     .help = "Encryption of gRPC (mutual), MQTT and REST; all three files or none."},
    {.name = "security", .type = PARAM_CHOICE, .offset = LEADER(security), .choices = security_choices,
     .fallback = "warn", .flags = PARAM_OURS,
     .help = "What happens where something listens beyond this machine without protection: a warning, or no start."},
};
// clang-format on

const char *const security_choices[] = {"warn", "strict", NULL};

const struct param_table leader_config_table =
    TABLE("leader", "leader.yaml (Flotilla's server_config.yaml): how the leader communicates and where it keeps what.",
          leader_rows, struct leader_config);

void tls_config_check(const struct tls_config *tls, struct diag_place place, struct diags *diags)
{
    int given = (tls->ca != NULL) + (tls->cert != NULL) + (tls->key != NULL);

    if (given != 0 && given != 3)
        diag_error(diags, place, "`tls` needs all of `ca`, `cert` and `key`");
}

void state_config_check(const struct state_config *config, struct diag_place place, struct diags *diags)
{
    if (config->state_fallback && strcmp(config->state_fallback, "inmemory"))
        diag_error(diags, place, "`state.state_fallback` must be inmemory or absent, found `%.80s`",
                   config->state_fallback);
}

void leader_config_check(const void *values, struct yaml_node root, struct diags *diags)
{
    const struct leader_config *config = values;

    tls_config_check(&config->tls, config_place(root, "tls", NULL), diags);
    state_config_check(&config->state, config_place(root, "state", "state_fallback"), diags);
    if (config->comm_config.grpc.chunk_size_bytes >= config->comm_config.grpc.max_message_length)
        diag_error(diags, config_place(root, "comm_config", "grpc"),
                   "`comm_config.grpc.chunk_size_bytes` must be smaller than `max_message_length`");
}
