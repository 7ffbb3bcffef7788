/* The tables of worker.yaml. */
#include "config/worker_config.h"

#include <string.h>

#include "config/tables.h"

#define WORKER(field)      offsetof(struct worker_config, field)
#define IN(section, field) (WORKER(section.field) - WORKER(section))

// clang-format off
static const struct param grpc_rows[] = {
    {.name = "workers", .type = PARAM_INT, .offset = IN(comm_config.grpc, workers), .fallback = "8",
     .min = 1, .max = 1e6, .flags = PARAM_NO_EFFECT, .help = "Threads of Flotilla's server."},
    {.name = "sync_port", .type = PARAM_INT, .offset = IN(comm_config.grpc, sync_port), .fallback = "50053",
     .min = 0, .max = 65535, .help = "Port that the worker listens on; 0 takes a free one."},
    {.name = "async_port", .type = PARAM_INT, .offset = IN(comm_config.grpc, async_port), .fallback = "50054",
     .min = 0, .max = 65535, .flags = PARAM_NO_EFFECT, .help = "Flotilla's second port."},
    {.name = "bind", .type = PARAM_STRING, .offset = IN(comm_config.grpc, bind), .fallback = "0.0.0.0",
     .flags = PARAM_OURS, .help = "Address that the worker listens on; 127.0.0.1 for this machine alone."},
    {.name = "advertise", .type = PARAM_STRING, .offset = IN(comm_config.grpc, advertise), .flags = PARAM_OURS,
     .help = "host or host:port that the leader shall call, where a container or NAT stands between; by default the "
             "local address of the connection to the broker and the port in use."},
};
static const struct param_table grpc_table =
    TABLE("grpc", NULL, grpc_rows, ((struct worker_config *)0)->comm_config.grpc);

static const struct param comm_rows[] = {
    {.name = "mqtt", .type = PARAM_SECTION, .offset = IN(comm_config, mqtt), .table = &mqtt_worker_table,
     .help = "How the leader is found, and heartbeats."},
    {.name = "grpc", .type = PARAM_SECTION, .offset = IN(comm_config, grpc), .table = &grpc_table,
     .help = "Where the leader calls."},
};
static const struct param_table comm_table =
    TABLE("comm_config", NULL, comm_rows, ((struct worker_config *)0)->comm_config);

static const struct param dataset_rows[] = {
    {.name = "datasets_dir_path", .type = PARAM_STRING, .offset = IN(dataset_config, datasets_dir_path),
     .flags = PARAM_REQUIRED, .help = "Folder of this worker's data set folders."},
};
static const struct param_table dataset_table =
    TABLE("dataset_config", NULL, dataset_rows, ((struct worker_config *)0)->dataset_config);

static const struct param general_rows[] = {
    {.name = "temp_dir_path", .type = PARAM_STRING, .offset = IN(general_config, temp_dir_path), .fallback = "temp",
     .help = "Folder of the model cache and of client_info.yaml, which keeps the client's id."},
    {.name = "cleanup_session_on_exit", .type = PARAM_BOOL, .offset = IN(general_config, cleanup_session_on_exit),
     .fallback = "false", .flags = PARAM_NOT_YET, .help = "Remove what sessions left when the worker ends."},
    {.name = "cleanup_model_cache_on_exit", .type = PARAM_BOOL,
     .offset = IN(general_config, cleanup_model_cache_on_exit), .fallback = "false",
     .help = "Remove the model cache when the worker ends."},
    {.name = "cleanup_temp_on_exit", .type = PARAM_BOOL, .offset = IN(general_config, cleanup_temp_on_exit),
     .fallback = "false", .help = "Remove all of temp_dir_path when the worker ends, the client's id included."},
    {.name = "use_gpu", .type = PARAM_BOOL, .offset = IN(general_config, use_gpu), .fallback = "false",
     .flags = PARAM_NO_EFFECT, .help = "flosim computes on the CPU."},
};
static const struct param_table general_table =
    TABLE("general_config", NULL, general_rows, ((struct worker_config *)0)->general_config);

static const struct param worker_rows[] = {
    {.name = "comm_config", .type = PARAM_SECTION, .offset = WORKER(comm_config), .table = &comm_table,
     .help = "Communication."},
    {.name = "dataset_config", .type = PARAM_SECTION, .offset = WORKER(dataset_config), .table = &dataset_table,
     .help = "Training data."},
    {.name = "general_config", .type = PARAM_SECTION, .offset = WORKER(general_config), .table = &general_table,
     .help = "Files and cleaning up."},
    {.name = "orphan_grace_s", .type = PARAM_DURATION, .offset = WORKER(orphan_grace_s), .fallback = "60",
     .flags = PARAM_OURS,
     .help = "How long a training goes on, and its answer is kept, when the leader's call was lost."},
    {.name = "threads", .type = PARAM_INT, .offset = WORKER(threads), .fallback = "1", .min = 1, .max = 1024,
     .flags = PARAM_OURS, .help = "Threads that compute: they share out the layers of big models and batches of a validation. Results do not depend on "
                                 "their number. A simulation's clients have one each; its `slots` are what uses the cores."},
    {.name = "tls", .type = PARAM_SECTION, .offset = WORKER(tls), .table = &tls_table, .flags = PARAM_OURS,
     .help = "Encryption of gRPC (mutual) and MQTT; all three files or none."},
    {.name = "security", .type = PARAM_CHOICE, .offset = WORKER(security), .choices = security_choices,
     .fallback = "warn", .flags = PARAM_OURS,
     .help = "What happens where something listens beyond this machine without protection: a warning, or no start."},
};
// clang-format on

const struct param_table worker_config_table =
    TABLE("worker", "worker.yaml (Flotilla's client_config.yaml): how a worker is reached and where its data is.",
          worker_rows, struct worker_config);

void worker_config_check(const void *values, struct yaml_node root, struct diags *diags)
{
    const struct worker_config *config = values;

    tls_config_check(&config->tls, config_place(root, "tls", NULL), diags);
}
