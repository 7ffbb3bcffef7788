/* The tables themselves, and what no row can say. */
#include "config/leader_config.h"
#include "config/model_folder.h"
#include "config/session_config.h"
#include "config/worker_config.h"
#include "data/folder.h"
#include "fixture.h"

static const struct param_table *const tables[] = {&leader_config_table, &worker_config_table, &session_config_table,
                                                   &model_folder_table, &dataset_config_table};
enum { NUM_TABLES = sizeof tables / sizeof *tables };

static void check_row(const struct param_table *table, const struct param *row)
{
    cr_expect_not_null(row->help, "%s.%s has no help", table->name, row->name);
    cr_expect_lt(row->offset, table->size, "%s.%s lies outside of its struct", table->name, row->name);
    cr_expect((row->flags & PARAM_REQUIRED) == 0 || !row->fallback, "%s.%s is required and has a default", table->name,
              row->name);
    for (const struct param *other = table->rows; other < row; other++) {
        cr_expect_str_neq(other->name, row->name, "%s.%s stands twice", table->name, row->name);
        cr_expect_neq(other->offset, row->offset, "%s.%s and %s share their place", table->name, row->name,
                      other->name);
    }
}

static void check_table(const struct param_table *table)
{
    for (size_t i = 0; i < table->num_rows; i++) {
        check_row(table, &table->rows[i]);
        if (table->rows[i].table)
            check_table(table->rows[i].table);
    }
}

Test(tables, rows_are_sound)
{
    for (int i = 0; i < NUM_TABLES; i++)
        check_table(tables[i]);
}

static char *written(const struct param_table *table, const void *values)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    cr_assert_not_null(out);
    params_write(table, values, 0, out);
    cr_assert_eq(fclose(out), 0);
    return text;
}

/* Defaults, written and read again: every default fits its own row. Required keys are put in. */
static void round_trip(const struct param_table *table, const char *const *required)
{
    struct diags *diags = diags_new();
    struct yaml_doc *doc;
    void *values = calloc(1, table->size);

    cr_assert_not_null(values);
    cr_assert_eq(yaml_load_text("{}", 2, table->name, 0, &doc, diags), OK);
    for (; *required; required++)
        yaml_set(doc, *required, diags);
    cr_assert_eq(params_read(table, yaml_root(doc), values, diags), OK);
    yaml_unref(doc);
    char *first = written(table, values);
    params_free(table, values);
    cr_assert_eq(yaml_load_text(first, strlen(first), table->name, 0, &doc, diags), OK);
    cr_assert_eq(params_read(table, yaml_root(doc), values, diags), OK);
    char *second = written(table, values);
    cr_expect_str_eq(first, second);
    expect_diags(diags, "");
    yaml_unref(doc);
    params_free(table, values);
    free(values);
    free(first);
    free(second);
    diags_free(diags);
}

Test(tables, defaults_survive_writing_and_reading)
{
    static const char *const nothing[] = {NULL};
    static const char *const worker[] = {"dataset_config.datasets_dir_path=data", NULL};
    static const char *const session[] = {"server_training_config={model_dir: m, num_training_rounds: 1}",
                                          "client_training_config={model_id: m, dataset: d}", NULL};
    static const char *const model[] = {"model_details.model_id=m", NULL};

    round_trip(&leader_config_table, nothing);
    round_trip(&worker_config_table, worker);
    round_trip(&session_config_table, session);
    round_trip(&model_folder_table, model);
}

Test(tables, a_deployed_role_listens_on_loopback_or_says_where)
{
    struct leader_config leader;

    params_defaults(&leader_config_table, &leader);
    cr_expect_str_eq(leader.comm_config.restful.rest_hostname, "127.0.0.1");
    cr_expect_eq(leader.state.state_location, 0);
    params_free(&leader_config_table, &leader);
}

Test(tables, kinds_are_told_by_their_keys)
{
    static const struct {
        const char *text, *kind;
    } cases[] = {
        {"comm_config: {}\ntemp_dir_path: x", "leader"},
        {"comm_config: {}\ndataset_config: {}", "worker"},
        {"session_config: {}", "session"},
        {"model_details: {}", "model"},
        {"layers: []", "network"},
        {"dataset_details: {}", "dataset"},
        {"comm_config: {grpc: {timeout_s: 3}}", "leader"},
        {"comm_config: {grpc: {sync_port: 3}}", "worker"},
        {"comm_config: {}", NULL},                        /* leader or worker */
        {"session_config: {}\ngeneral_config: {}", NULL}, /* two fit alike */
        {"session_config: {}\nmodel_config: {}\ngeneral_config: {}", "session"},
        {"[1, 2]", NULL},
        {"", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct diags *diags = diags_new();
        struct yaml_doc *doc;
        cr_assert_eq(yaml_load_text(cases[i].text, strlen(cases[i].text), "f", 0, &doc, diags), OK);
        const struct config_kind *kind = config_kind_of(yaml_root(doc), NULL);
        if (cases[i].kind)
            cr_expect(kind && !strcmp(kind->name, cases[i].kind), "%s", cases[i].text);
        else
            cr_expect_null(kind, "%s", cases[i].text);
        yaml_unref(doc);
        diags_free(diags);
    }
}

static void expect_findings(const struct param_table *table, const char *text, const char *expected)
{
    char path[] = "/tmp/flosim-test-config-XXXXXX";
    int fd = mkstemp(path);
    void *values = calloc(1, table->size);
    struct diags *diags = diags_new();

    cr_assert_geq(fd, 0);
    cr_assert_not_null(values);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    cr_assert_eq(chdir("/tmp"), 0);
    memmove(path, path + 5, strlen(path + 5) + 1); /* messages begin with the bare name: cut it off */
    cr_expect_eq(config_load(table, path, NULL, 0, values, diags), ERR_INVALID);
    char *found = diags_text(diags), *line = strstr(found, ":");
    cr_assert_not_null(line);
    cr_expect_str_eq(line + 1, expected);
    unlink(path);
    free(found);
    params_free(table, values);
    free(values);
    diags_free(diags);
}

Test(tables, half_of_tls_is_refused)
{
    expect_findings(&leader_config_table, "tls: {ca: ca.pem}\n", "1:6: `tls` needs all of `ca`, `cert` and `key`");
    expect_findings(&worker_config_table, "dataset_config: {datasets_dir_path: d}\ntls: {key: k.pem}\n",
                    "2:6: `tls` needs all of `ca`, `cert` and `key`");
}

Test(tables, relations_between_the_leaders_keys)
{
    expect_findings(&leader_config_table, "state:\n  state_fallback: disk\n",
                    "2:19: `state.state_fallback` must be inmemory or absent, found `disk`");
    expect_findings(&leader_config_table, "comm_config: {grpc: {max_message_length: 100kB, chunk_size_bytes: 1MB}}\n",
                    "1:21: `comm_config.grpc.chunk_size_bytes` must be smaller than `max_message_length`");
}

#define SESSION_START                                                                                                  \
    "server_training_config: {model_dir: m, num_training_rounds: 1}\n"                                                 \
    "client_training_config:\n  model_id: m\n  dataset: d\n"

Test(tables, names_that_become_folders_elsewhere_cannot_leave_them)
{
    expect_findings(&session_config_table,
                    "server_training_config: {model_dir: m, num_training_rounds: 1}\n"
                    "client_training_config: {model_id: ../m, dataset: d}\n",
                    "2:36: `client_training_config.model_id` must be one plain name, without `/`, found `../m`");
}

Test(tables, an_optimizer_is_a_name_or_a_name_with_arguments)
{
    expect_findings(&session_config_table, SESSION_START "  optimizer: [adam]\n",
                    "5:14: `client_training_config.optimizer` must be a name, or {name: ..., args: {...}}");
    expect_findings(&session_config_table, SESSION_START "  optimizer: {name: sgd, arg: {}}\n",
                    "5:26: unknown key `arg`; did you mean `args`?");
    expect_findings(&session_config_table, SESSION_START "  optimizer: {name: sgd, clip_norm: -1}\n",
                    "5:37: `clip_norm` must be between 0 and 1000000000000, found `-1`");
}

Test(tables, arguments_are_mappings)
{
    expect_findings(&session_config_table, SESSION_START "model_config:\n  model_args: 10\n",
                    "6:15: `model_config.model_args` must be a mapping of arguments, such as {name: value}");
}

static void session_of(const char *more, struct session_config *config)
{
    char text[1024];
    struct diags *diags = diags_new();
    struct yaml_doc *doc;

    snprintf(text, sizeof text, SESSION_START "%s", more);
    cr_assert_eq(yaml_load_text(text, strlen(text), "f", 0, &doc, diags), OK);
    cr_assert_eq(params_read(&session_config_table, yaml_root(doc), config, diags), OK);
    yaml_unref(doc);
    diags_free(diags);
}

static void expect_text(char *found, const char *expected)
{
    cr_assert_not_null(found);
    cr_expect_str_eq(found, expected);
    free(found);
}

Test(session, what_travels_with_requests)
{
    struct session_config config;

    session_of("", &config);
    expect_text(session_optimizer_json(&config), "{\"name\":\"adam\",\"args\":{}}");
    expect_text(session_loss_json(&config), "{\"name\":\"crossentropy\",\"args\":{}}");
    expect_text(session_model_config_json(&config),
                "{\"use_custom_dataloader\":false,\"custom_loader_args\":null,\"use_custom_trainer\":false,"
                "\"custom_trainer_args\":null,\"use_custom_validator\":false,\"custom_validator_args\":null,"
                "\"model_args\":null}");
    params_free(&session_config_table, &config);
    session_of(
        "  optimizer: {name: sgd, args: {momentum: 0.9, nesterov: True}}\n  loss_function: l1\n"
        "model_config: {use_custom_trainer: true, custom_trainer_args: {mu: .1}, model_args: {n: 3, s: \"3\"}}\n",
        &config);
    expect_text(session_optimizer_json(&config), "{\"name\":\"sgd\",\"args\":{\"momentum\":0.9,\"nesterov\":true}}");
    expect_text(session_loss_json(&config), "{\"name\":\"l1\",\"args\":{}}");
    expect_text(session_model_config_json(&config),
                "{\"use_custom_dataloader\":false,\"custom_loader_args\":null,\"use_custom_trainer\":true,"
                "\"custom_trainer_args\":{\"mu\":0.1},\"use_custom_validator\":false,"
                "\"custom_validator_args\":null,\"model_args\":{\"n\":3,\"s\":\"3\"}}");
    params_free(&session_config_table, &config);
}

Test(session, an_empty_model_config_takes_the_folders)
{
    char *folder = data_path("flotilla/models/LeNet5"), *other = data_path("flotilla");
    struct diags *diags = diags_new();
    struct session_config config;

    session_of("", &config);
    cr_expect_eq(session_apply_model_folder(&config, other, diags), OK); /* without config.yaml: nothing */
    cr_expect_null(config.model_config.model_args.doc);
    cr_expect_eq(session_apply_model_folder(&config, folder, diags), OK);
    cr_expect_str_eq(yaml_text(yaml_get(config.model_config.model_args, "num_classes")), "47");
    params_free(&session_config_table, &config);
    session_of("model_config: {model_args: {num_classes: 3}}\n", &config);
    cr_expect_eq(session_apply_model_folder(&config, folder, diags), OK);
    cr_expect_str_eq(yaml_text(yaml_get(config.model_config.model_args, "num_classes")), "3");
    params_free(&session_config_table, &config);
    cr_expect_eq(diags_errors(diags), 0);
    diags_free(diags);
    free(other);
    free(folder);
}
