/* flosim leader: the leader of a federation, standalone. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/role.h"
#include "config/leader_config.h"
#include "leader/leader.h"

static const char help[] =
    "NAME\n"
    "    flosim leader - find clients, take training sessions over REST and run them\n"
    "\n"
    "SYNOPSIS\n"
    "    flosim leader -c FILE [--resume] [--set KEY=VALUE]... [--log-level LEVEL]\n"
    "    flosim leader --help\n"
    "\n"
    "DESCRIPTION\n"
    "    Connects to an MQTT broker, where workers advertise themselves, and listens for sessions over REST\n"
    "    (flosim submit, or POST /v1/sessions). A session's models and commands go to the workers over gRPC; their\n"
    "    updates are merged, validated and recorded in temp_dir_path/<session id>/: events.jsonl, rounds.csv,\n"
    "    clients.csv, session.yaml, model.safetensors.\n"
    "    The first line on standard output says where REST listens. It runs until SIGTERM or SIGINT; then a running\n"
    "    session stops with what it has, the retained advert is taken back and the port closes. A second signal ends\n"
    "    it at once.\n"
    "\n"
    "    FILE is Flotilla's server_config.yaml. The keys that matter most:\n"
    "        comm_config.mqtt.mqtt_broker, mqtt_broker_port   where the broker is\n"
    "        comm_config.restful.rest_hostname, rest_port     where REST listens; port 0: any free port\n"
    "        models_dir_path                                  the folder of model folders that sessions name\n"
    "        validation_data_dir_path                         the folder of validation data sets; '': the global\n"
    "                                                         model is not validated\n"
    "        temp_dir_path                                    where run folders go\n"
    "    `flosim help config` lists them all; `flosim check FILE` checks a file without starting anything.\n"
    "\n"
    "OPTIONS\n"
    "    -c, --config FILE      the leader's configuration (required)\n"
    "        --resume           go on with the session that a leader left unfinished, in the state "
    "(state.state_location:\n"
    "                           redis) or in the newest file of checkpoint_dir_path; where there is none, just serve;\n"
    "                           a Redis that is not there yet is waited for, for a minute\n"
    "    -s, --set KEY=VALUE    replace a key of the file, e.g. --set comm_config.restful.rest_port=0; repeatable\n"
    "    -l, --log-level LEVEL  error, warn, info (the default) or debug; the log goes to standard error\n"
    "    -h, --help             this text\n"
    "\n"
    "EXIT STATUS\n"
    "    0  it was told to leave (SIGTERM, SIGINT)\n"
    "    2  bad options or configuration, or it could not start: no broker, port in use\n"
    "    3  it could not go on, or another leader has taken its place\n"
    "\n"
    "EXAMPLE\n"
    "    mosquitto -p 1883 &\n"
    "    flosim leader -c deploy/leader.yaml\n"
    "    flosim submit deploy/session.yaml --leader 127.0.0.1:12345 --follow\n";

static int run_it(void *leader, struct error *err)
{
    return leader_run(leader, err);
}

static void stop_it(void *leader)
{
    leader_stop(leader);
}

static void say_where(const struct leader *leader, const struct leader_config *config)
{
    const char *host = config->comm_config.restful.rest_hostname;
    bool bracket = strchr(host, ':') != NULL;

    printf("REST listens on http://%s%s%s:%d\n", bracket ? "[" : "", host, bracket ? "]" : "",
           leader_rest_port(leader));
    fflush(stdout);
}

static int run_leader(const struct role_options *options)
{
    struct leader_config config = {0};
    struct leader *leader = NULL;
    struct error error = ERROR_INIT;
    struct log log;
    int status = role_load_config(options, &leader_config_table, &config);

    if (status == OK) {
        log_init(&log, STDERR_FILENO, options->level, "leader", config.cluster);
        status = leader_new(&leader, &config, NULL, options->resume, &log, &error);
        if (status == OK) {
            say_where(leader, &config);
            status = options->resume ? leader_resume(leader, &error) : OK;
        }
        if (status == OK)
            status = role_run_until_signal(run_it, stop_it, leader, &error);
        if (status != OK)
            fprintf(stderr, "flosim leader: %s\n", error.message);
    }
    leader_free(leader);
    params_free(&leader_config_table, &config);
    return status_exit_code(status);
}

static int run(int argc, char **argv)
{
    return role_command("leader", help, argc, argv, run_leader);
}

const struct command command_leader = {
    .name = "leader",
    .summary = "find clients, take training sessions over REST and run them",
    .help = help,
    .run = run,
};
