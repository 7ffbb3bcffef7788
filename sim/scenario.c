#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/fault_late.h"
#include "sim/scenario_reading.h"
#include "util/fs.h"

struct diag_place scenario_place(const struct scenario_reading *r, const char *key)
{
    struct yaml_node node = yaml_get(r->root, key);

    return node.doc ? yaml_place(node) : yaml_place(r->root);
}

static bool is_given(struct yaml_node node)
{
    return node.doc && !yaml_is_null(node);
}

/* --- data --- */

static void unknown_member(const struct scenario_reading *r, struct yaml_node node, const char *key,
                           const char *const *names, size_t n)
{
    char text[WORDS_TEXT];

    diag_error(r->diags, yaml_place(node), "`%s`: %s", key, unknown_word(key, yaml_text(node), names, n, text));
}

enum { MANY_CLIENTS = 1000000 };

static const struct source_ops *read_source(const struct scenario_reading *r, struct yaml_node section)
{
    struct yaml_node node = yaml_get(section, "source");
    const struct source_ops *source = yaml_text(node) ? data_source_find(yaml_text(node)) : NULL;
    const char *names[MAX_WORDS_OF_A_KIND];
    size_t n = 0;

    while (data_sources[n] && n < MAX_WORDS_OF_A_KIND) {
        names[n] = data_sources[n]->name;
        n++;
    }
    if (yaml_text(node) && !source)
        unknown_member(r, node, "source", names, n);
    return source;
}

static const struct partition_ops *read_scheme(const struct scenario_reading *r, struct yaml_node section)
{
    struct yaml_node node = yaml_get(section, "scheme");
    const char *name = yaml_text(node) && !yaml_is_null(node) ? yaml_text(node) : "iid";
    const struct partition_ops *scheme = partition_find(name);
    const char *names[MAX_WORDS_OF_A_KIND];
    size_t n = 0;

    while (partition_schemes[n] && n < MAX_WORDS_OF_A_KIND) {
        names[n] = partition_schemes[n]->name;
        n++;
    }
    if (!scheme)
        unknown_member(r, node, "scheme", names, n);
    return scheme;
}

/* With source or scheme unknown their keys are too: the one complaint is enough. */
static void read_data_keys(const struct scenario_reading *r, struct yaml_node section)
{
    struct data_plan *data = &r->scenario->data;
    struct diags *quiet = data->source && data->scheme ? NULL : diags_new();

    params_read(&data->table.table, section, data->keys, quiet ? quiet : r->diags);
    diags_free(quiet);
}

/* Where it is found, as an absolute path, so that the resolved scenario finds it from anywhere; else as it is. */
static void find_file(const struct scenario *scenario, char **path)
{
    char *found = *path ? scenario_find(scenario, *path) : NULL, *absolute = found ? realpath(found, NULL) : NULL;

    free(found);
    if (!absolute)
        return;
    free(*path);
    *path = absolute;
}

static void find_files(const struct scenario *scenario, const struct param_table *table, void *keys)
{
    for (size_t i = 0; i < table->num_rows; i++) {
        const struct param *row = &table->rows[i];
        void *at = (char *)keys + row->offset;

        if (!(row->flags & PARAM_FILE))
            continue;
        if (row->type == PARAM_STRING)
            find_file(scenario, at);
        else
            for (size_t k = 0; k < ((struct string_list *)at)->n; k++)
                find_file(scenario, &((struct string_list *)at)->items[k]);
    }
}

static void read_data(const struct scenario_reading *r)
{
    struct data_plan *data = &r->scenario->data;
    struct yaml_node section = r->scenario->keys.data;
    struct error err = ERROR_INIT;
    size_t before = diags_errors(r->diags);

    if (!is_given(section))
        return; /* it is required, so that was said already */
    data->place = yaml_place(section);
    data->source = read_source(r, section);
    data->scheme = read_scheme(r, section);
    const struct joined_part parts[] = {{"data", &data_common_table},
                                        {"source", data->source ? data->source->params : NULL},
                                        {"scheme", data->scheme ? data->scheme->params : NULL}};
    if (joined_table_init(&data->table, "data", parts, 3, &err) || !(data->keys = calloc(1, data->table.table.size))) {
        diag_error(r->diags, data->place, "out of memory");
        return;
    }
    read_data_keys(r, section);
    find_files(r->scenario, &data->table.table, data->keys);
    data->source_args = (const char *)data->keys + data->table.at[1];
    data->scheme_args = (const char *)data->keys + data->table.at[2];
    data->usable = diags_errors(r->diags) == before;
}

/* --- broker, state, fleet --- */

static void read_broker(const struct scenario_reading *r)
{
    struct yaml_node node = r->scenario->keys.broker;
    const char *text = yaml_text(node);

    r->scenario->embedded_broker = !is_given(node) || (text && !strcmp(text, "embedded"));
    if (r->scenario->embedded_broker)
        return;
    if (text)
        diag_error(r->diags, yaml_place(node),
                   "`broker` must be `embedded` or a mapping such as {host: localhost, "
                   "port: 1883}, found `%s`",
                   text);
    else
        params_read(&broker_table, node, &r->scenario->broker, r->diags);
}

/* `redis: {host, port}` is another way to say where the state is. */
static void take_redis(const struct scenario_reading *r, struct yaml_node node)
{
    struct state_config *state = &r->scenario->keys.state;
    struct redis_keys keys;

    if (!params_read(&redis_table, node, &keys, r->diags)) {
        free(state->state_hostname);
        state->state_hostname = keys.host;
        state->state_port = keys.port;
        keys.host = NULL;
    }
    params_free(&redis_table, &keys);
}

static void read_redis(const struct scenario_reading *r)
{
    struct state_config *state = &r->scenario->keys.state;
    struct yaml_node node = r->scenario->keys.redis, section = yaml_get(r->root, "state");
    const char *text = yaml_text(node);

    if (!is_given(node))
        return;
    if ((state->state_hostname && strcmp(state->state_hostname, "localhost")) || state->state_port != 6379)
        diag_error(r->diags, yaml_place(section), "`state` names a server, and so does `redis`: one of them");
    r->scenario->embedded_redis = text && !strcmp(text, "embedded");
    if (text && !r->scenario->embedded_redis)
        diag_error(r->diags, yaml_place(node),
                   "`redis` must be `embedded` or a mapping such as {host: localhost, port: 6379}, found `%s`", text);
    else if (!text)
        take_redis(r, node);
    if (state->state_location == 0 && yaml_get(section, "state_location").doc)
        diag_error(r->diags, yaml_place(yaml_get(section, "state_location")),
                   "`state.state_location: inmemory` and `redis` exclude each other");
    state->state_location = 1;
}

static void read_state(const struct scenario_reading *r)
{
    struct yaml_node section = yaml_get(r->root, "state"), fallback = yaml_get(section, "state_fallback");

    state_config_check(&r->scenario->keys.state, fallback.doc ? yaml_place(fallback) : scenario_place(r, "state"),
                       r->diags);
    read_redis(r);
}

static void read_fleet(const struct scenario_reading *r)
{
    const struct param_list *list = &r->scenario->keys.fleet;
    const struct fleet_group *groups = list->items;
    struct error err = ERROR_INIT;
    double sum = 0;

    for (size_t i = 0; i < list->n; i++) {
        sum += groups[i].share;
        for (size_t j = 0; j < i; j++)
            if (groups[i].group && groups[j].group && !strcmp(groups[i].group, groups[j].group))
                diag_error(r->diags, list->places[i], "`fleet`: group `%s` is described twice", groups[i].group);
    }
    for (size_t i = 0; i < list->n; i++) {
        const struct fleet_periods *trace = &groups[i].trace;

        if (trace->off_s > 0 && groups[i].availability < 1)
            diag_error(r->diags, list->places[i], "`fleet`: `availability` and `trace` exclude each other");
        if ((trace->on_s > 0) != (trace->off_s > 0))
            diag_error(r->diags, list->places[i], "`fleet`: `trace` needs `on` and `off`, both above 0");
    }
    if (list->n > 0 && fabs(sum - 1) > 1e-6)
        diag_error(r->diags, scenario_place(r, "fleet"), "`fleet`: the shares add to %g, not to 1", sum);
    if (list->n > 0 && fabs(sum - 1) > 1e-6)
        fleet_name(&r->scenario->fleet, groups, list->n); /* faults may name them */
    else if (fleet_init(&r->scenario->fleet, groups, list->n, (size_t)r->scenario->keys.clients, &err))
        diag_error(r->diags, scenario_place(r, "fleet"), "%s", err.message);
}

static void read_traces(const struct scenario_reading *r)
{
    struct scenario *s = r->scenario;
    struct traces_keys *keys = &s->keys.traces;

    find_files(s, &traces_table, keys);
    if (s->keys.clients <= 0 || (!keys->capacity && !keys->availability))
        return;
    if (!traces_load(keys, (uint64_t)s->keys.seed, (size_t)s->keys.clients, FLEET_NOMINAL_FLOPS, &s->devices, r->diags))
        s->fleet.devices = s->devices;
}

/* --- faults, expectations --- */

static size_t read_items(const struct scenario_reading *r, struct yaml_node node, const char *key)
{
    if (!is_given(node))
        return 0;
    if (yaml_kind(node) == YAML_SEQUENCE)
        return yaml_size(node);
    diag_error(r->diags, yaml_place(node), "`%s` must be a list", key);
    return 0;
}

/* The session cannot wait for those who join later. */
static void expect_late(const struct scenario_reading *r)
{
    struct scenario *s = r->scenario;
    int64_t clients = s->keys.clients, *wanted = &s->session.session_config.wait_for_clients.min_clients;
    bool *is_late = clients > 0 && diags_errors(r->diags) == 0 ? calloc((size_t)clients, sizeof *is_late) : NULL;
    long late = is_late ? fault_late_clients(s->faults, s->num_faults, (uint64_t)s->keys.seed, &s->fleet,
                                             (size_t)clients, is_late)
                        : 0;

    free(is_late);
    if (late > 0 && late >= clients)
        diag_error(r->diags, scenario_place(r, "faults"), "`join`: nobody is there at the beginning");
    else if (late > 0 && *wanted > clients - late)
        *wanted = clients - late;
}

static void read_faults(const struct scenario_reading *r)
{
    struct scenario *s = r->scenario;
    /* Where `clients` itself is wrong nothing is said of their numbers. */
    struct fault_limits limits = {
        .num_clients = s->keys.clients > 0 ? (size_t)s->keys.clients : MANY_CLIENTS,
        .num_rounds = s->session.server_training_config.num_training_rounds,
        .fleet = &s->fleet,
        .embedded_broker = s->embedded_broker,
        .embedded_redis = s->embedded_redis,
        .has_redis = s->keys.state.state_location == 1,
        .has_checkpoints = s->session.session_config.checkpoint_interval > 0,
    };

    if (read_items(r, s->keys.faults, "faults") > 0)
        fault_plans_read(s->keys.faults, &limits, &s->faults, &s->num_faults, r->diags);
    expect_late(r);
}

/* Where nothing is done to anybody's network, clients talk directly. */
static bool needs_link(const struct scenario *s)
{
    bool needs = false;

    for (size_t i = 0; i < s->keys.fleet.n && s->keys.links == LINKS_SHAPED; i++)
        needs |= fleet_group_has_link(&((const struct fleet_group *)s->keys.fleet.items)[i]);
    for (size_t i = 0; i < s->num_faults; i++)
        needs |= s->faults[i].ops && s->faults[i].ops->needs_link;
    return needs;
}

static void read_expectations(const struct scenario_reading *r)
{
    struct scenario *s = r->scenario;
    size_t n = read_items(r, s->keys.expect, "expect");

    s->expectations = calloc(n ? n : 1, sizeof *s->expectations);
    if (!s->expectations)
        diag_error(r->diags, scenario_place(r, "expect"), "out of memory");
    for (size_t i = 0; s->expectations && i < n; i++) {
        struct yaml_node item = yaml_item(s->keys.expect, i);
        const char *text = yaml_text(item);

        if (!text)
            diag_error(r->diags, yaml_place(item), "`expect`: each entry is one line such as `accuracy >= 80`");
        else if (!expectation_parse(text, yaml_place(item), &s->expectations[s->num_expectations], r->diags))
            s->num_expectations++;
    }
}

/* What is there to fail must be able to. */
static void check_must_fail(const struct scenario_reading *r)
{
    const struct scenario *s = r->scenario;

    if (s->keys.fail_reason && s->keys.must_fail == MUST_HOLD)
        diag_error(r->diags, scenario_place(r, "fail_reason"), "`fail_reason` needs `must_fail`");
    if (s->keys.must_fail == MUST_FAIL_AN_EXPECTATION && yaml_size(s->keys.expect) == 0)
        diag_error(r->diags, scenario_place(r, "must_fail"),
                   "`must_fail`: there is no expectation that could fail; see `expect`");
}

/* --- the whole --- */

static void check_recorded(const struct scenario_reading *r)
{
    struct recorded_keys now;

    if (recorded_fill(&now, NULL))
        return;
    for (size_t i = 0; i < recorded_table.num_rows; i++) {
        size_t offset = recorded_table.rows[i].offset;
        const char *was, *is;

        memcpy(&was, (const char *)&r->scenario->keys.recorded + offset, sizeof was);
        memcpy(&is, (const char *)&now + offset, sizeof is);
        if (was && strcmp(was, is))
            diag_warning(r->diags, scenario_place(r, "recorded"),
                         "ran with %s %s, this is %s: results may differ in their "
                         "last bits",
                         recorded_table.rows[i].name, was, is);
    }
    params_free(&recorded_table, &now);
}

/* "dir/lossy-fleet.yaml" -> "lossy-fleet". */
static char *name_of_file(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    const char *dot = strrchr(base, '.');

    return strndup(base, dot && dot != base ? (size_t)(dot - base) : strlen(base));
}

static void complete(const struct scenario_reading *r)
{
    struct scenario_keys *keys = &r->scenario->keys;

    if (!keys->name)
        keys->name = name_of_file(r->scenario->path);
    if (keys->name && !fs_is_component(keys->name))
        diag_error(r->diags, scenario_place(r, "name"), "`name`: `%s` must do for a folder's name", keys->name);
    if (keys->slots == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);

        keys->slots = cores > 0 ? cores : 1;
    }
}

int scenario_read(struct yaml_node root, const char *path, const char *const *session_overrides, struct scenario *out,
                  struct diags *diags)
{
    struct scenario_reading r = {out, root, session_overrides, diags};
    const char *slash = strrchr(path, '/');

    memset(out, 0, sizeof *out);
    out->path = strdup(path);
    out->folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (!out->path || !out->folder) {
        diag_error(diags, yaml_place(root), "out of memory");
        return ERR_MEMORY;
    }
    params_read(&scenario_table, root, &out->keys, diags);
    if (yaml_kind(root) == YAML_MAPPING) {
        complete(&r);
        read_data(&r);
        read_broker(&r);
        read_state(&r);
        read_fleet(&r);
        read_traces(&r);
        scenario_read_session(&r);
        read_faults(&r);
        out->needs_link = needs_link(out);
        read_expectations(&r);
        check_must_fail(&r);
        check_recorded(&r);
    }
    return diags_status(diags, NULL);
}

static bool is_for_session(const char *assignment)
{
    return !strncmp(assignment, "session.", strlen("session."));
}

/* With a session file, `--set session.a=b` is meant for what is in it. */
static void apply_overrides(struct yaml_doc *doc, const char *const *overrides, const char **for_session,
                            struct diags *diags)
{
    bool elsewhere = yaml_get(yaml_root(doc), "session_file").doc && !yaml_get(yaml_root(doc), "session").doc;
    size_t n = 0;

    for (size_t i = 0; overrides && overrides[i]; i++)
        if (elsewhere && is_for_session(overrides[i]))
            for_session[n++] = overrides[i] + strlen("session.");
        else
            yaml_set(doc, overrides[i], diags);
}

int scenario_load(const char *path, const char *const *overrides, struct scenario *out, struct diags *diags)
{
    struct yaml_doc *doc = NULL;
    size_t n = 0;

    memset(out, 0, sizeof *out);
    while (overrides && overrides[n])
        n++;
    const char **for_session = calloc(n + 1, sizeof *for_session);
    int status = for_session ? yaml_load_file(path, YAML_EXPAND_ENV | YAML_GO_ON, &doc, diags) : ERR_MEMORY;
    if (doc) { /* what is wrong so far is in diags: go on, to find more */
        apply_overrides(doc, overrides, for_session, diags);
        status = scenario_read(yaml_root(doc), path, for_session, out, diags);
    }
    if (status == OK)
        status = diags_status(diags, NULL);
    yaml_unref(doc);
    free(for_session);
    return status;
}

void scenario_fini(struct scenario *scenario)
{
    fault_plans_free(scenario->faults, scenario->num_faults);
    free(scenario->expectations);
    fleet_fini(&scenario->fleet);
    traces_free(scenario->devices, (size_t)scenario->keys.clients);
    if (scenario->data.keys)
        params_free(&scenario->data.table.table, scenario->data.keys);
    free(scenario->data.keys);
    joined_table_fini(&scenario->data.table);
    params_free(&broker_table, &scenario->broker);
    params_free(&session_config_table, &scenario->session);
    yaml_unref(scenario->session_doc);
    params_free(&scenario_table, &scenario->keys);
    free(scenario->path);
    free(scenario->folder);
    memset(scenario, 0, sizeof *scenario);
}

static char *find_in(const char *folder, const char *path)
{
    char *whole = fs_join(folder, path);

    if (whole && fs_exists(whole))
        return whole;
    free(whole);
    return NULL;
}

char *scenario_find(const struct scenario *scenario, const char *path)
{
    const char *const folders[] = {scenario->folder, ".", FLOSIM_DATADIR};

    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char *found = find_in(folders[i], path);

        if (found)
            return found;
    }
    return NULL;
}

static const char *const telling_keys[] = {"clients", "data",   "session", "session_file",
                                           "faults",  "expect", "fleet",   NULL};

static void check_scenario(struct yaml_node root, const char *path, struct diags *diags)
{
    struct scenario scenario;
    struct scenario_data data;

    scenario_read(root, path, NULL, &scenario, diags);
    if (scenario_load_data(&scenario, &data, diags) == OK)
        scenario_data_fini(&data);
    scenario_fini(&scenario);
}

const struct config_kind scenario_kind = {
    .name = "scenario",
    .telling_keys = telling_keys,
    .check = check_scenario,
};
