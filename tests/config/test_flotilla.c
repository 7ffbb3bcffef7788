/* Flotilla's files are read key for key. */
#include "config/check.h"
#include "config/model_folder.h"
#include "config/session_config.h"
#include "config/worker_config.h"
#include "data/folder.h"
#include "fixture.h"

Test(flotilla, server_config)
{
    struct leader_config c;

    load_good(&leader_config_table, "flotilla/server_config.yaml", &c, "");
    cr_expect_str_eq(c.comm_config.mqtt.type, "server");
    cr_expect_str_eq(c.comm_config.mqtt.mqtt_broker, "10.0.0.2");
    cr_expect_eq(c.comm_config.mqtt.mqtt_broker_port, 1884);
    cr_expect_eq(c.comm_config.mqtt.mqtt_sub_timeout_s, 30);
    cr_expect_str_eq(c.comm_config.mqtt.mqtt_server_topic, "advert_server");
    cr_expect_str_eq(c.comm_config.mqtt.mqtt_client_topic, "advert_client");
    cr_expect_eq(c.comm_config.mqtt.mqtt_heartbeat_interval_s, 7);
    cr_expect_eq(c.comm_config.mqtt.num_heartbeats_timestamp_cached, 6);
    cr_expect_eq(c.comm_config.mqtt.max_heartbeat_miss_threshold, 4);
    cr_expect_eq(c.comm_config.grpc.max_message_length, 1048576000);
    cr_expect_eq(c.comm_config.grpc.chunk_size_bytes, 1024);
    cr_expect_eq(c.comm_config.grpc.timeout_s, 1200000);
    cr_expect_str_eq(c.comm_config.restful.rest_hostname, "0.0.0.0");
    cr_expect_eq(c.comm_config.restful.rest_port, 12346);
    cr_expect_eq(c.state.state_location, 1);
    cr_expect_str_eq(c.state.state_hostname, "10.0.0.3");
    cr_expect_eq(c.state.state_port, 6380);
    cr_expect_str_eq(c.checkpoint_dir_path, "./checkpoints");
    cr_expect_str_eq(c.validation_data_dir_path, "./validation");
    cr_expect_str_eq(c.temp_dir_path, "./temp");
    cr_expect_eq(c.security, 0);
    params_free(&leader_config_table, &c);
}

Test(flotilla, client_config)
{
    struct worker_config c;

    load_good(&worker_config_table, "flotilla/client_config.yaml", &c,
              "client_config.yaml:23:12: warning: `general_config.use_gpu` has no effect in flosim");
    cr_expect_str_eq(c.comm_config.mqtt.client_name, "kitchen");
    cr_expect_eq(c.comm_config.mqtt.mqtt_broker_port, 1884);
    cr_expect_eq(c.comm_config.mqtt.mqtt_sub_timeout_s, 45);
    cr_expect_eq(c.comm_config.mqtt.heartbeat_timeout_s, 15);
    cr_expect_eq(c.comm_config.grpc.workers, 8);
    cr_expect_eq(c.comm_config.grpc.sync_port, 50055);
    cr_expect_eq(c.comm_config.grpc.async_port, 50054);
    cr_expect_str_eq(c.dataset_config.datasets_dir_path, "./data");
    cr_expect_str_eq(c.general_config.temp_dir_path, "client_temp");
    cr_expect_not(c.general_config.cleanup_session_on_exit);
    cr_expect(c.general_config.cleanup_model_cache_on_exit);
    cr_expect_not(c.general_config.cleanup_temp_on_exit);
    params_free(&worker_config_table, &c);
}

static void check_session_sections(const struct session_config *c)
{
    cr_expect_str_eq(c->session_config.session_id, "first try");
    cr_expect_str_eq(c->session_config.aggregator, "fedavg");
    cr_expect_null(c->session_config.aggregator_args.doc);
    cr_expect_str_eq(yaml_text(yaml_get(c->session_config.client_selection_args, "client_fraction")), "0.5");
    cr_expect_eq(c->session_config.checkpoint_interval, 10);
    cr_expect_eq(c->session_config.validation_round_interval, 2);
    cr_expect_not(c->session_config.generate_plots);
    cr_assert_eq(c->session_config.termination_condition.n, 1);
    cr_expect_str_eq(c->session_config.termination_condition.items[0], "max_rounds");
    cr_expect_not(c->benchmark_config.skip_benchmark);
    cr_expect_eq(c->benchmark_config.bench_minibatch_count, 500);
    cr_expect_eq(c->benchmark_config.batch_size, 4);
    cr_expect_eq(c->benchmark_config.learning_rate, 0.0001);
    cr_expect_eq(c->benchmark_config.timeout_duration_s, 180);
    cr_expect_str_eq(c->server_training_config.model_dir, "./models/LeNet5");
    cr_expect_null(c->server_training_config.validation_dataset);
    cr_expect_eq(c->server_training_config.global_model_validation_batch_size, 50);
    cr_expect_eq(c->server_training_config.num_training_rounds, 60);
    cr_expect_eq(c->server_training_config.global_timeout_duration_s, 5400);
}

Test(flotilla, training_config)
{
    struct session_config c;

    load_good(&session_config_table, "flotilla/training_config.yaml", &c,
              "training_config.yaml:4:12: warning: `session_config.use_gpu` has no effect in flosim\n"
              "training_config.yaml:51:5: warning: `model_config.custom_trainer_args.mu` has no effect in flosim");
    check_session_sections(&c);
    cr_expect_str_eq(c.client_training_config.model_id, "LeNet5");
    cr_expect_str_eq(c.client_training_config.model_class, "LeNet5_class");
    cr_expect_str_eq(c.client_training_config.dataset, "FMNIST");
    cr_expect_eq(c.client_training_config.epochs, 3);
    cr_expect_eq(c.client_training_config.batch_size, 8);
    cr_expect_eq(c.client_training_config.learning_rate, 0.00005);
    cr_expect_eq(c.client_training_config.train_timeout_duration_s, 300);
    cr_expect_str_eq(c.client_training_config.loss_function, "crossentropy"); /* None is the default */
    cr_expect(c.client_training_config.loss_function_custom);
    cr_expect_str_eq(yaml_text(c.client_training_config.optimizer), "adam");
    cr_expect(c.client_training_config.optimizer_custom);
    cr_expect(c.model_config.use_custom_trainer);
    cr_expect_null(c.model_config.custom_loader_args.doc);
    cr_expect_str_eq(yaml_text(yaml_get(c.model_config.model_args, "num_classes")), "10");
    params_free(&session_config_table, &c);
}

Test(flotilla, a_template_that_nobody_filled_in)
{
    struct session_config c;

    load_bad(
        &session_config_table, "flotilla/template.yaml", &c,
        "template.yaml:3:15: `session_config.session_id` still holds the template's `<session_id>`: put your value "
        "here\n"
        "template.yaml:4:12: `session_config.use_gpu` still holds the template's `<True/False>`: put your value "
        "here\n"
        "template.yaml:6:14: `server_training_config.model_dir` still holds the template's "
        "`<dir_for_model_files>`: put your value here\n"
        "template.yaml:7:24: `server_training_config.num_training_rounds` still holds the template's "
        "`<max_num_of_training_rounds>`: put your value here\n"
        "template.yaml:9:13: `client_training_config.model_id` still holds the template's `<train_model_id>`: put "
        "your value here\n"
        "template.yaml:10:12: `client_training_config.dataset` still holds the template's `<train_dataset_id>`: put "
        "your value here");
    params_free(&session_config_table, &c);
}

Test(flotilla, model_folder_config)
{
    struct model_folder_config c;

    load_good(&model_folder_table, "flotilla/models/LeNet5/config.yaml", &c,
              "config.yaml:4:15: warning: `model_details.model_type` has no effect in flosim\n"
              "config.yaml:7:28: warning: `model_details.custom_trainer_filepath` has no effect in flosim");
    cr_expect_str_eq(c.model_details.model_id, "LeNet5");
    cr_expect_str_eq(c.model_details.model_class, "LeNet5_class");
    cr_expect_eq(c.model_details.suitable_datasets.n, 2);
    cr_expect_eq(yaml_kind(c.default_training_config), YAML_MAPPING);
    params_free(&model_folder_table, &c);
}

Test(flotilla, dataset_configs)
{
    struct dataset_config c;

    load_good(&dataset_config_table, "flotilla/train_dataset_config.yaml", &c, "");
    cr_expect_str_eq(c.dataset_details.data_filename, "data.safetensors");
    cr_expect_eq(c.metadata.num_items, 400);
    params_free(&dataset_config_table, &c);
    load_good(&dataset_config_table, "flotilla/dataset_config.yaml", &c, "");
    cr_expect_null(c.metadata.label_distribution.doc);
    params_free(&dataset_config_table, &c);
}

static char *optimizer_of(const char *optimizer, const char *model_config, const char *complaints)
{
    struct diags *diags = diags_new();
    struct session_config c;
    struct yaml_doc *doc;
    char text[1024], *json;

    snprintf(text, sizeof text,
             "session_config: {aggregator: fedavg, client_selection: fedavg}\n"
             "server_training_config: {model_dir: m, num_training_rounds: 3}\n"
             "client_training_config: {model_id: m, dataset: d, optimizer: %s}\nmodel_config: %s\n",
             optimizer, model_config);
    cr_assert_eq(yaml_load_text(text, strlen(text), "s", 0, &doc, diags), OK);
    cr_assert_eq(params_read(&session_config_table, yaml_root(doc), &c, diags), OK);
    session_config_check(&c, yaml_root(doc), diags);
    expect_diags(diags, complaints);
    json = session_optimizer_json(&c);
    yaml_unref(doc);
    params_free(&session_config_table, &c);
    diags_free(diags);
    return json;
}

Test(flotilla, a_trainers_clip_travels_with_the_optimizer)
{
    char *json = optimizer_of("adam", "{use_custom_trainer: True, custom_trainer_args: {clip: 0.25}}", "");

    cr_expect_str_eq(json, "{\"name\":\"adam\",\"args\":{},\"clip_norm\":0.25}");
    free(json);
    json = optimizer_of("adam", "{use_custom_trainer: False, custom_trainer_args: {clip: 0.25}}", "");
    cr_expect_str_eq(json, "{\"name\":\"adam\",\"args\":{}}");
    free(json);
    json = optimizer_of("{name: sgd, clip_norm: 5, clip_value: 2}",
                        "{use_custom_trainer: True, custom_trainer_args: {clip: 0.25}}", "");
    cr_expect_str_eq(json, "{\"name\":\"sgd\",\"args\":{},\"clip_norm\":5,\"clip_value\":2}");
    free(json);
}

/* Flotilla reads None from YAML as text, and its client posts the session as JSON with that text. */
Test(flotilla, a_session_posted_by_flotillas_own_client)
{
    static const char body[] =
        "{\"session_config\": {\"session_id\": \"x\", \"use_gpu\": false, \"aggregator\": \"fedavg\", "
        "\"aggregator_args\": \"None\", \"client_selection\": \"fedavg\", \"client_selection_args\": "
        "{\"client_fraction\": 1}}, \"server_training_config\": {\"model_dir\": \"m\", \"num_training_rounds\": 3, "
        "\"validation_dataset\": \"None\"}, \"client_training_config\": {\"model_id\": \"LeNet5\", \"dataset\": \"d\", "
        "\"learning_rate\": 5e-05, \"loss_function\": \"None\"}, \"model_config\": {\"model_args\": {\"num_classes\": "
        "10}, "
        "\"custom_loader_args\": \"None\"}}";
    struct diags *diags = diags_new();
    struct session_config c;
    struct yaml_doc *doc;

    cr_assert_eq(yaml_load_text(body, sizeof body - 1, "body", 0, &doc, diags), OK);
    cr_assert_eq(params_read(&session_config_table, yaml_root(doc), &c, diags), OK);
    session_config_check(&c, yaml_root(doc), diags);
    expect_diags(diags, "");
    cr_expect_null(c.session_config.aggregator_args.doc);
    cr_expect_null(c.server_training_config.validation_dataset);
    cr_expect_str_eq(c.client_training_config.loss_function, "crossentropy");
    cr_expect_eq(c.client_training_config.learning_rate, 5e-05);
    yaml_unref(doc);
    params_free(&session_config_table, &c);
    diags_free(diags);
}
