/* What a session may not be: every finding with its place and remedy. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leader/session_check.h"
#include "leader/session_setup.h"
#include "util/fs.h"

static const char good[] = "session_config:\n"            /* line 1 */
                           "  aggregator: fedavg\n"       /* 2 */
                           "  client_selection: fedavg\n" /* 3 */
                           "  client_selection_args: {client_fraction: 0.5}\n"
                           "  termination_condition: [max_rounds]\n"
                           "  seed: 3\n"
                           "benchmark_config: {skip_benchmark: true}\n"
                           "server_training_config:\n" /* 8 */
                           "  model_dir: %s/models/LogisticRegression\n"
                           "  num_training_rounds: 2\n"
                           "client_training_config:\n" /* 11 */
                           "  model_id: LogisticRegression\n"
                           "  dataset: mnist\n"
                           "  loss_function: crossentropy\n"
                           "  optimizer: sgd\n"
                           "%s";

static const char *source_folder(void)
{
    const char *folder = getenv("srcdir");

    return folder ? folder : ".";
}

/* The good session with one text replaced by another. */
static char *session_with(const char *from, const char *to)
{
    static char text[4000];
    char whole[4000], *at;

    snprintf(whole, sizeof whole, good, source_folder(), "model_config: {}\n");
    at = from ? strstr(whole, from) : NULL;
    cr_assert(!from || at, "%s is not in the session", from);
    if (!at)
        return strcpy(text, whole);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - whole), whole, to, at + strlen(from));
    return text;
}

/* All findings as one text; "" where there are none. Caller frees. */
static char *findings(const char *text, const struct session_check_context *template)
{
    struct session_check_context context = template ? *template : (struct session_check_context){0};
    struct diags *diags = diags_new();
    struct session_config config;
    struct yaml_doc *doc = NULL;
    char *found;
    int status;

    cr_assert_eq(yaml_load_text(text, strlen(text), "s.yaml", 0, &doc, diags), OK);
    context.root = yaml_root(doc);
    cr_assert_eq(params_read(&session_config_table, yaml_root(doc), &config, diags), OK);
    status = session_check(&config, yaml_place(yaml_root(doc)), &context, diags);
    cr_assert_eq(status == OK, diags_errors(diags) == 0);
    found = diags_text(diags);
    params_free(&session_config_table, &config);
    yaml_unref(doc);
    diags_free(diags);
    return found;
}

static void expect_finding(const char *from, const char *to, const struct session_check_context *context,
                           const char *place, const char *what)
{
    char *found = findings(session_with(from, to), context);

    cr_assert(strstr(found, what), "`%s` is not in `%s`", what, found);
    cr_assert(strncmp(found, place, strlen(place)) == 0, "`%s` does not begin with `%s`", found, place);
    free(found);
}

Test(session_check, a_good_session_has_no_findings)
{
    char *found = findings(session_with(NULL, NULL), NULL);

    cr_assert_str_eq(found, "");
    free(found);
}

Test(session_check, names_are_checked_with_the_nearest_one)
{
    expect_finding("aggregator: fedavg", "aggregator: fedavgg", NULL, "s.yaml:2:15: ", "did you mean `fedavg`?");
    expect_finding("client_selection: fedavg", "client_selection: nothing-like-it", NULL,
                   "s.yaml:3:21: ", "there are: fedavg, all_clients");
    expect_finding("[max_rounds]", "[max_round]", NULL, "s.yaml:5:26: ", "did you mean `max_rounds`?");
    expect_finding("crossentropy", "crossentropi", NULL, "s.yaml:14:18: ", "crossentropy");
    expect_finding("optimizer: sgd", "optimizer: sgdd", NULL, "s.yaml:15:14: ", "sgdd");
}

/* Half of ten clients is a round of five: too small for Krum with f = 2, which all ten would do for. */
Test(session_check, a_round_may_be_too_small_for_its_rule)
{
    struct session_check_context ten = {.num_clients = 10}, fourteen = {.num_clients = 14};
    char *found;

    expect_finding("aggregator: fedavg", "aggregator: krum\n  aggregator_args: {f: 2}", &ten,
                   "s.yaml:2:15: ", "a round of 5 updates is too small");
    found = findings(session_with("aggregator: fedavg", "aggregator: krum\n  aggregator_args: {f: 2}"), &fourteen);
    cr_assert_str_eq(found, "");
    free(found);
}

Test(session_check, arguments_are_checked_at_their_place)
{
    expect_finding("client_fraction: 0.5", "client_fraction: 2", NULL, "s.yaml:4:44: ", "client_fraction");
    expect_finding("client_fraction: 0.5", "client_fractio: 0.5", NULL, "s.yaml:4:27: ", "client_fraction");
    expect_finding("[max_rounds]", "accuracy_target", NULL, "s.yaml:5:26: ", "needs the argument `target`");
    expect_finding("  seed: 3", "  termination_condition_args: {accuracy_target: {target: 5}}", NULL,
                   "s.yaml:6:32: ", "does not list");
}

Test(session_check, strategies_that_cannot_go_together_are_refused)
{
    expect_finding("client_selection: fedavg", "client_selection: fedasync", NULL,
                   "s.yaml:2:15: ", "asynchronous aggregator");
}

Test(session_check, all_findings_come_at_once)
{
    char *found = findings(session_with("fedavg\n  client_selection: fedavg", "x\n  client_selection: y"), NULL);

    cr_assert(strstr(found, "aggregator `x`") && strstr(found, "client_selection `y`"), "%s", found);
    free(found);
}

Test(session_check, model_folders_are_found_or_named)
{
    char models[1000], *found;
    struct session_check_context posted = {.posted = true, .models_dir_path = models};

    snprintf(models, sizeof models, "%s/models", source_folder());
    expect_finding("/models/LogisticRegression", "/models/Nobody", NULL, "s.yaml:9:14: ", "no model folder");
    expect_finding("LogisticRegression\n  num", "..\n  num", &posted, "s.yaml:9:14: ", "no model folder");
    found = findings(session_with("model_dir: ", "model_dir: /anywhere/"), &posted);
    cr_assert_str_eq(found, "");
    free(found);
    posted.models_dir_path = "/nowhere";
    expect_finding("seed", "seed", &posted, "s.yaml:9:14: ", "in /nowhere");
}

Test(session_check, validation_data_must_be_there)
{
    struct session_check_context context = {.validation_data_dir_path = "/nowhere"};

    expect_finding("seed", "seed", &context, "s.yaml", "no validation data `mnist` in /nowhere");
}

/* ---- making one ---- */

Test(session_setup, reads_model_files_in_order_with_their_hash)
{
    struct model_files files;
    struct error err = ERROR_INIT;
    char folder[1000], hash[MODEL_HASH_TEXT];

    snprintf(folder, sizeof folder, "%s/models/LogisticRegression", source_folder());
    cr_assert_eq(model_files_read(folder, "lr", &files, &err), OK, "%s", err.message);
    cr_assert_eq(model_hash(folder, hash, NULL), OK);
    cr_assert_str_eq(files.hash, hash);
    cr_assert_str_eq(files.id, "lr");
    cr_assert_geq(files.n, 1);
    for (size_t i = 1; i < files.n; i++)
        cr_assert_lt(strcmp(files.files[i - 1].name, files.files[i].name), 0);
    model_files_fini(&files);
    cr_assert_eq(model_files_read("/nowhere", "lr", &files, &err), ERR_IO);
}

Test(session_setup, makes_the_same_initial_weights_from_the_same_seed)
{
    struct diags *diags = diags_new();
    struct session_config config;
    struct session_setup *a, *b;
    struct yaml_doc *doc;
    const char *text = session_with(NULL, NULL);

    cr_assert_eq(yaml_load_text(text, strlen(text), "s.yaml", 0, &doc, diags), OK);
    cr_assert_eq(params_read(&session_config_table, yaml_root(doc), &config, diags), OK);
    cr_assert_eq(session_setup_make(&config, "one", NULL, NULL, (struct diag_place){0}, NULL, NULL, &a, diags), OK);
    cr_assert_eq(session_setup_make(&config, "two", NULL, NULL, (struct diag_place){0}, NULL, NULL, &b, diags), OK);
    cr_assert_gt(a->layout.num_floats, 100);
    cr_assert_eq(memcmp(a->initial, b->initial, a->layout.num_floats * sizeof(float)), 0);
    cr_assert_null(a->validator); /* no leader's folder is known here */
    config.session_config.seed = 4;
    session_setup_free(b);
    cr_assert_eq(session_setup_make(&config, "two", NULL, NULL, (struct diag_place){0}, NULL, NULL, &b, diags), OK);
    cr_assert_neq(memcmp(a->initial, b->initial, a->layout.num_floats * sizeof(float)), 0);
    session_setup_free(a);
    session_setup_free(b);
    params_free(&session_config_table, &config);
    yaml_unref(doc);
    diags_free(diags);
}

/* What would silently do nothing. */
Test(session_check, a_key_without_effect_is_told)
{
    char *found = findings(session_with("client_selection: fedavg\n  client_selection_args: {client_fraction: 0.5}",
                                        "client_selection: all_clients\n  over_selection: 1.5"),
                           NULL);

    cr_assert(strncmp(found, "s.yaml:4:19: warning: `over_selection` has no effect", 51) == 0, "%s", found);
    free(found);
    found = findings(session_with("  seed: 3\n", "  seed: 3\n  over_selection: 1.5\n"), NULL);
    cr_assert_str_eq(found, "");
    free(found);
}

static char *table_findings(const char *text)
{
    struct diags *diags = diags_new();
    struct session_config config;
    struct yaml_doc *doc = NULL;
    char *found;

    cr_assert_eq(yaml_load_text(text, strlen(text), "s.yaml", 0, &doc, diags), OK);
    cr_assert_eq(params_read(&session_config_table, yaml_root(doc), &config, diags), OK);
    session_config_check(&config, yaml_root(doc), diags);
    found = diags_text(diags);
    params_free(&session_config_table, &config);
    yaml_unref(doc);
    diags_free(diags);
    return found;
}

Test(session_check, stragglers_of_one_epoch_are_told)
{
    char *found = table_findings(
        session_with("  dataset: mnist\n", "  dataset: mnist\n  epochs: 1\n  straggler_fraction: 0.5\n"));

    cr_assert(strncmp(found, "s.yaml:15:23: warning: ", 23) == 0 && strstr(found, "straggler_fraction"), "%s", found);
    free(found);
    found = table_findings(
        session_with("  dataset: mnist\n", "  dataset: mnist\n  epochs: 2\n  straggler_fraction: 0.5\n"));
    cr_assert_str_eq(found, "");
    free(found);
}

/* Where it is known how many clients there are, a rule that can never have enough is told before the session. */
Test(session_check, too_few_clients_for_the_rule)
{
    struct session_check_context context = {.num_clients = 6};
    char *found;

    expect_finding("aggregator: fedavg", "aggregator: bulyan\n  aggregator_args: {f: 1}", &context,
                   "s.yaml:2:15: ", "needs 4 f + 3 = 7 clients");
    context.num_clients = 14; /* half of them are selected */
    found = findings(session_with("aggregator: fedavg", "aggregator: bulyan\n  aggregator_args: {f: 1}"), &context);
    cr_assert_str_eq(found, "");
    free(found);
}
