/* The strategies that a session names: looked up, their arguments read with their own rows. */
#include <stdlib.h>
#include <string.h>

#include "leader/plugin.h"
#include "leader/session_plugins.h"
#include "leader/session_setup.h"

static void report_unknown(enum strategy_kind kind, const char *name, struct diag_place place, struct diags *diags)
{
    const char *names[MAX_WORDS_OF_A_KIND];
    char text[WORDS_TEXT];
    struct strategy_entry entry;
    size_t n = 0;

    for (; n < MAX_WORDS_OF_A_KIND && strategy_entry_at(kind, n, &entry); n++)
        names[n] = entry.name;
    diag_error(diags, place, "%s", unknown_word(strategy_kind_key(kind), name, names, n, text));
}

struct reading {
    const struct session_config *config;
    const struct session_check_context *context; /* may be NULL */
    struct diag_place where;
    struct session_strategies *out;
    struct diags *diags;
    bool unknown; /* a termination is not known: whose arguments there are cannot be said */
};

static struct diag_place place_of(const struct reading *reading, const char *key)
{
    return session_place(reading->context, "session_config", key, reading->where);
}

/* The plug-in of that name, kept loaded; NULL with a finding. */
static const struct plugin *find_plugin(struct reading *reading, enum strategy_kind kind, const char *name)
{
    struct session_strategies *out = reading->out;
    struct diag_place place = place_of(reading, strategy_kind_key(kind));
    size_t errors = diags_errors(reading->diags);
    char *path = session_plugin_path(reading->context, name, place, reading->diags);
    struct error err = ERROR_INIT;
    struct plugin *plugin = NULL;

    if (!path && diags_errors(reading->diags) == errors)
        report_unknown(kind, name, place, reading->diags);
    if (path && plugin_load(path, kind, &plugin, &err) != OK)
        diag_error(reading->diags, place, "%s", err.message);
    if (plugin)
        out->plugins[out->num_plugins++] = plugin;
    free(path);
    return plugin;
}

static void read_selector(struct reading *reading)
{
    const char *name = reading->config->session_config.client_selection;
    struct session_strategies *out = reading->out;
    const struct plugin *plugin;

    out->selector = selection_find(name);
    if (!out->selector && (plugin = find_plugin(reading, STRATEGY_SELECTION, name)))
        out->selector = plugin_selector(plugin);
    if (out->selector)
        strategy_args_read(out->selector->name, out->selector->params,
                           reading->config->session_config.client_selection_args, place_of(reading, "client_selection"),
                           &out->selector_args, reading->diags);
}

static void read_aggregator(struct reading *reading)
{
    const char *name = reading->config->session_config.aggregator;
    struct session_strategies *out = reading->out;
    const struct plugin *plugin;

    out->aggregator = aggregation_find(name);
    if (!out->aggregator && (plugin = find_plugin(reading, STRATEGY_AGGREGATION, name)))
        out->aggregator = plugin_aggregator(plugin);
    if (out->aggregator)
        strategy_args_read(out->aggregator->name, out->aggregator->params,
                           reading->config->session_config.aggregator_args, place_of(reading, "aggregator"),
                           &out->aggregator_args, reading->diags);
}

static bool is_listed(const struct session_strategies *out, const char *name)
{
    for (size_t i = 0; i < out->num_terminations; i++)
        if (strcmp(out->terminations[i]->name, name) == 0)
            return true;
    return false;
}

/* A plug-in's arguments stand under the name that it gives itself, as all arguments do. */
static void read_termination(struct reading *reading, const char *name)
{
    struct session_strategies *out = reading->out;
    const struct flosim_termination_ops *ops = termination_find(name);
    const struct plugin *plugin;
    size_t i = out->num_terminations;

    if (!ops && (plugin = find_plugin(reading, STRATEGY_TERMINATION, name)))
        ops = plugin_termination(plugin);
    reading->unknown |= !ops;
    if (!ops || is_listed(out, ops->name))
        return;
    out->terminations[out->num_terminations++] = ops;
    strategy_args_read(ops->name, ops->params,
                       yaml_get(reading->config->session_config.termination_condition_args, ops->name),
                       place_of(reading, "termination_condition"), &out->termination_args[i], reading->diags);
}

static void check_termination_args(struct reading *reading)
{
    struct yaml_node args = reading->config->session_config.termination_condition_args;

    for (size_t i = 0; i < yaml_size(args) && yaml_kind(args) == YAML_MAPPING; i++) {
        const char *name = yaml_text(yaml_key(args, i));

        if (!is_listed(reading->out, name))
            diag_error(reading->diags, yaml_place(yaml_key(args, i)),
                       "arguments for `%s`, which termination_condition does not list", name);
    }
}

static void read_terminations(struct reading *reading)
{
    const struct string_list *names = &reading->config->session_config.termination_condition;

    if (names->n >= MAX_TERMINATIONS) {
        diag_error(reading->diags, place_of(reading, "termination_condition"),
                   "%zu termination conditions; at most %d are possible", names->n, MAX_TERMINATIONS - 1);
        return;
    }
    read_termination(reading, "max_rounds"); /* it always holds */
    for (size_t i = 0; i < names->n; i++)
        read_termination(reading, names->items[i]);
    if (!reading->unknown)
        check_termination_args(reading);
}

/* over_selection and quorum speak of rounds. */
static void check_round_rules(struct reading *reading, const struct session_strategies *out)
{
    const struct session_config *config = reading->config;
    bool in_rounds = out->aggregator->flags & (FLOSIM_WAITS_FOR_ALL | FLOSIM_USES_COHORTS);
    bool one_round = (out->aggregator->flags & FLOSIM_WAITS_FOR_ALL) != 0;

    if (config->session_config.quorum > 0 && !in_rounds)
        diag_error(reading->diags, place_of(reading, "quorum"),
                   "`quorum` is about rounds, which aggregator `%s` does not have", out->aggregator->name);
    if (config->session_config.over_selection > 1 && !one_round)
        diag_error(reading->diags, place_of(reading, "over_selection"),
                   "`over_selection` is about synchronous rounds, which aggregator `%s` does not have",
                   out->aggregator->name);
    else if (config->session_config.over_selection > 1 && (out->selector->flags & FLOSIM_SELECTS_ALL))
        diag_warning(reading->diags, place_of(reading, "over_selection"),
                     "`over_selection` has no effect: client_selection `%s` takes every client already",
                     out->selector->name);
}

/* Combinations that could only hang or lie. */
static void check_together(struct reading *reading, const struct session_strategies *out)
{
    const struct session_config *config = reading->config;

    if (!out->selector || !out->aggregator)
        return;
    if ((out->aggregator->flags & FLOSIM_WAITS_FOR_ALL) && (out->selector->flags & FLOSIM_SELECTS_WHILE_TRAINING))
        diag_error(reading->diags, place_of(reading, "aggregator"),
                   "aggregator `%s` waits until nobody trains, but client_selection `%s` always keeps somebody "
                   "training: choose an asynchronous aggregator (fedasync) or a synchronous selection",
                   out->aggregator->name, out->selector->name);
    if ((out->aggregator->flags & FLOSIM_BUFFERS) && !(out->selector->flags & FLOSIM_SELECTS_WHILE_TRAINING))
        diag_error(reading->diags, place_of(reading, "client_selection"),
                   "aggregator `%s` holds updates while others train, but client_selection `%s` waits until a round is "
                   "over: choose an asynchronous selection (fedasync)",
                   out->aggregator->name, out->selector->name);
    if ((out->aggregator->flags & FLOSIM_USES_COHORTS) && (out->selector->flags & FLOSIM_SELECTS_WHILE_TRAINING) &&
        !(out->selector->flags & FLOSIM_CHOOSES_COHORTS))
        diag_error(reading->diags, place_of(reading, "client_selection"),
                   "aggregator `%s` waits for the rounds of tiers, which client_selection `%s` does not make: choose "
                   "fedat, or a synchronous selection",
                   out->aggregator->name, out->selector->name);
    check_round_rules(reading, out);
    if ((out->selector->flags & FLOSIM_USES_LATENCY) && config->benchmark_config.skip_benchmark)
        diag_error(reading->diags, place_of(reading, "client_selection"),
                   "client_selection `%s` needs benchmark latencies: set benchmark_config.skip_benchmark to false",
                   out->selector->name);
    else if ((out->selector->flags & FLOSIM_USES_LATENCY) && config->benchmark_config.model_id &&
             config->client_training_config.model_id &&
             strcmp(config->benchmark_config.model_id, config->client_training_config.model_id) != 0)
        diag_error(reading->diags, place_of(reading, "client_selection"),
                   "client_selection `%s` needs the latency of the training model: benchmark_config.model_id is `%s`, "
                   "client_training_config.model_id `%s`",
                   out->selector->name, config->benchmark_config.model_id, config->client_training_config.model_id);
}

int session_strategies_read(const struct session_config *config, const struct session_check_context *ctx,
                            struct diag_place where, struct session_strategies *out, struct diags *diags)
{
    struct reading reading = {config, ctx, where, out, diags, false};
    size_t errors = diags_errors(diags);

    *out = (struct session_strategies){0};
    read_selector(&reading);
    read_aggregator(&reading);
    read_terminations(&reading);
    check_together(&reading, out);
    if (diags_errors(diags) == errors)
        return OK;
    session_strategies_fini(out);
    return ERR_INVALID;
}

void session_strategies_fini(struct session_strategies *strategies)
{
    strategy_args_free(strategies->selector_args);
    strategy_args_free(strategies->aggregator_args);
    for (size_t i = 0; i < MAX_TERMINATIONS; i++)
        strategy_args_free(strategies->termination_args[i]);
    for (size_t i = 0; i < strategies->num_plugins; i++)
        plugin_unload(strategies->plugins[i]);
    *strategies = (struct session_strategies){0};
}

/* ---- what only init can tell ---- */

void session_describe_training(const struct session_config *config, struct flosim_training *out, double *own_rate)
{
    struct yaml_node node = config->client_training_config.optimizer;
    struct yaml_node args = yaml_get(node, "args");
    const char *name = yaml_text(yaml_kind(node) == YAML_MAPPING ? yaml_get(node, "name") : node);
    const char *momentum = yaml_text(yaml_get(args, "momentum")), *dampening = yaml_text(yaml_get(args, "dampening"));
    const char *nesterov = yaml_text(yaml_get(args, "nesterov")), *rate = yaml_text(yaml_get(args, "lr"));
    bool flag = false;
    double own;

    *out = (struct flosim_training){
        .num_epochs = config->client_training_config.epochs,
        .batch_size = config->client_training_config.batch_size,
        .num_rounds = config->server_training_config.num_training_rounds,
        .learning_rate = config->client_training_config.learning_rate,
        .optimizer = name ? name : "adam",
    };
    if (rate && param_parse_scalar(PARAM_DOUBLE, rate, &own, NULL) == OK && own > 0) {
        out->learning_rate = own;
        if (own_rate)
            *own_rate = own;
    }
    if (strcmp(out->optimizer, "sgd") != 0)
        return;
    if (momentum) /* all are checked with the session */
        param_parse_scalar(PARAM_DOUBLE, momentum, &out->momentum, NULL);
    if (dampening)
        param_parse_scalar(PARAM_DOUBLE, dampening, &out->dampening, NULL);
    if (nesterov && param_parse_scalar(PARAM_BOOL, nesterov, &flag, NULL) == OK)
        out->nesterov = flag;
}

void session_strategies_try(const struct session_config *config, const struct session_check_context *context,
                            struct diag_place where, const struct session_strategies *strategies,
                            const struct layout *layout, struct diags *diags)
{
    struct flosim_training training;
    struct strategy_base base = {
        .layout = layout, .training = &training, .seed = (uint64_t)config->session_config.seed};
    size_t num_clients = context && context->num_clients > 0 ? (size_t)context->num_clients : 0, num_selected = 0;
    struct error err = ERROR_INIT;

    session_describe_training(config, &training, NULL);
    if (selector_try(strategies->selector, strategies->selector_args, &base, &err) != OK)
        diag_error(diags, session_place(context, "session_config", "client_selection", where), "%s", err.message);
    else if (strategies->aggregator->flags & FLOSIM_NEEDS_ENOUGH)
        num_selected = selector_try_round(strategies->selector, strategies->selector_args, &base, num_clients);
    if (aggregator_try_round(strategies->aggregator, strategies->aggregator_args, &base,
                             num_selected ? num_selected : num_clients, &err) != OK)
        diag_error(diags, session_place(context, "session_config", "aggregator", where), "%s", err.message);
    for (size_t i = 0; i < strategies->num_terminations; i++)
        if (termination_try(strategies->terminations[i], strategies->termination_args[i], &base, &err) != OK)
            diag_error(diags, session_place(context, "session_config", "termination_condition", where), "%s",
                       err.message);
}
