/* flosim worker: one client of a federation, standalone. */
#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/role.h"
#include "config/worker_config.h"
#include "worker/worker.h"

static const char help[] =
    "NAME\n"
    "    flosim worker - train models on this machine's data for a leader\n"
    "\n"
    "SYNOPSIS\n"
    "    flosim worker -c FILE [--set KEY=VALUE]... [--log-level LEVEL]\n"
    "    flosim worker --help\n"
    "\n"
    "DESCRIPTION\n"
    "    Connects to an MQTT broker, tells leaders what data it has and where it can be reached, and then trains,\n"
    "    validates and benchmarks what they send over gRPC. The data never leaves the machine; weights and figures "
    "do.\n"
    "    It runs until SIGTERM or SIGINT, and then stops the work in hand, says `offline`, closes its port and "
    "honours\n"
    "    the cleanup_* keys of its file. A second signal ends it at once.\n"
    "\n"
    "    FILE is Flotilla's client_config.yaml. The keys that matter most:\n"
    "        comm_config.mqtt.mqtt_broker, mqtt_broker_port   where the broker is\n"
    "        comm_config.grpc.sync_port                       where to listen; 0: any free port\n"
    "        comm_config.grpc.bind, advertise                 the address to listen on, and the one that leaders use\n"
    "        dataset_config.datasets_dir_path                 the folder of data set folders (see flosim partition)\n"
    "        general_config.temp_dir_path                     id, benchmark figures and models; one folder per worker\n"
    "    `flosim help config` lists them all; `flosim check FILE` checks a file without starting anything.\n"
    "\n"
    "OPTIONS\n"
    "    -c, --config FILE      the worker's configuration (required)\n"
    "    -s, --set KEY=VALUE    replace a key of the file, e.g. --set comm_config.grpc.sync_port=50052; repeatable\n"
    "    -l, --log-level LEVEL  error, warn, info (the default) or debug; the log goes to standard error\n"
    "    -h, --help             this text\n"
    "\n"
    "EXIT STATUS\n"
    "    0  it was told to leave (SIGTERM, SIGINT)\n"
    "    2  bad options or configuration, or it could not start: port or folder in use, unreadable data, or no broker\n"
    "       within comm_config.mqtt.mqtt_sub_timeout_s. A broker that is lost later is waited for.\n"
    "    3  it could not go on\n"
    "\n"
    "EXAMPLE\n"
    "    mosquitto -p 1883 &\n"
    "    flosim partition fashion-mnist --clients 2 --out run/data\n"
    "    flosim worker -c deploy/worker.yaml --set dataset_config.datasets_dir_path=run/data/client_000\n";

static int run_it(void *worker, struct error *err)
{
    return worker_run(worker, err);
}

static void stop_it(void *worker)
{
    worker_stop(worker);
}

static int run_worker(const struct role_options *options)
{
    struct worker_config config = {0};
    struct worker *worker = NULL;
    struct error error = ERROR_INIT;
    struct log log;

    if (options->resume) {
        fputs("flosim worker: --resume is the leader's: a worker keeps nothing that could be resumed\n", stderr);
        return status_exit_code(ERR_INVALID);
    }
    worker_tune_process();
    int status = role_load_config(options, &worker_config_table, &config);

    if (!status) {
        log_init(&log, STDERR_FILENO, options->level, "worker", config.comm_config.mqtt.client_name);
        status = worker_new(&worker, &config, NULL, &log, &error);
        if (!status)
            status = role_run_until_signal(run_it, stop_it, worker, &error);
        if (status)
            fprintf(stderr, "flosim worker: %s\n", error.message);
    }
    worker_free(worker);
    params_free(&worker_config_table, &config);
    return status_exit_code(status);
}

static int run(int argc, char **argv)
{
    return role_command("worker", help, argc, argv, run_worker);
}

const struct command command_worker = {
    .name = "worker",
    .summary = "train models on this machine's data for a leader",
    .help = help,
    .run = run,
};
