#include "cli/help_topics.h"

#include <stdlib.h>
#include <string.h>

#include "cli/strategy_text.h"
#include "config/leader_config.h"
#include "config/lr_schedule.h"
#include "config/model_folder.h"
#include "config/session_config.h"
#include "config/worker_config.h"
#include "data/folder.h"
#include "data/partition.h"
#include "data/source.h"
#include "nn/layer/members.h"
#include "nn/loss.h"
#include "nn/optimizer.h"
#include "sim/expect.h"
#include "sim/fault_plan.h"
#include "sim/scenario.h"

/* --- where members come from ---------------------------------------------------------------------------------------
 */

static bool config_at(size_t i, struct help_member *out)
{
    static const struct param_table *const tables[] = {
        &scenario_table,       &leader_config_table, &worker_config_table,
        &session_config_table, &model_folder_table,  &dataset_config_table,
    };

    if (i >= sizeof tables / sizeof *tables)
        return false;
    *out = (struct help_member){.name = tables[i]->name, .table = tables[i]};
    return true;
}

static bool strategy_at(size_t i, struct help_member *out)
{
    struct strategy_entry entry;

    for (enum strategy_kind kind = 0; kind < STRATEGY_NUM_KINDS; kind++) {
        size_t n = 0;
        for (; strategy_entry_at(kind, n, &entry); n++) {
            if (n != i)
                continue;
            *out = (struct help_member){.group = strategy_kind_key(kind),
                                        .name = entry.name,
                                        .help = entry.help,
                                        .print = strategy_print,
                                        .strategy = entry,
                                        .kind = kind};
            return true;
        }
        i -= n;
    }
    return false;
}

static bool data_at(size_t i, struct help_member *out)
{
    size_t sources = 0;

    for (; data_sources[sources]; sources++) {
        const struct source_ops *source = data_sources[sources];
        if (i == sources) {
            *out = (struct help_member){
                .group = "source", .name = source->name, .help = source->help, .table = source->params};
            return true;
        }
    }
    for (size_t k = 0; partition_schemes[k]; k++) {
        const struct partition_ops *scheme = partition_schemes[k];
        if (i == sources + k) {
            *out = (struct help_member){.group = "scheme",
                                        .name = scheme->name,
                                        .alias = scheme->alias,
                                        .help = scheme->help,
                                        .table = scheme->params};
            return true;
        }
    }
    return false;
}

static void print_examples(const struct help_member *member, bool markdown, FILE *out)
{
    (void)member;
    fputs(markdown ? "```yaml\n" : "", out);
    for (const struct fault_example *example = fault_examples; example->text; example++)
        fprintf(out, "%s# %s\n%s- %s\n", markdown ? "" : "    ", example->help, markdown ? "" : "    ", example->text);
    fputs(markdown ? "```\n\n" : "", out);
}

static bool fault_at(size_t i, struct help_member *out)
{
    static const struct param_table *const common[] = {&fault_when_table, &fault_whom_table, &fault_common_table};
    enum { NUM_COMMON = sizeof common / sizeof *common };

    if (i == 0) {
        *out = (struct help_member){.group = "faults", .name = "examples", .print = print_examples};
        return true;
    }
    i--;
    if (i < NUM_COMMON) {
        *out = (struct help_member){.group = "faults", .name = common[i]->name, .table = common[i]};
        return true;
    }
    for (size_t k = 0; fault_kinds[k]; k++) {
        const struct fault_ops *fault = fault_kinds[k];
        if (i != k + NUM_COMMON)
            continue;
        *out = (struct help_member){.group = "do", .name = fault->name, .help = fault->help, .table = fault->params};
        return true;
    }
    return false;
}

/* How an expectation is written, then what it can be about. */
static bool expectation_at(size_t i, struct help_member *out)
{
    size_t n = 0;

    for (; expectation_forms[n].name; n++)
        if (i == n) {
            *out = (struct help_member){
                .group = "form", .name = expectation_forms[n].name, .help = expectation_forms[n].help};
            return true;
        }
    if (i - n >= num_metrics)
        return false;
    const struct metric *metric = &metric_table[i - n];
    *out = (struct help_member){.group = "figure", .name = metric->name, .help = metric->help, .unit = metric->unit};
    return true;
}

static bool event_at(size_t i, struct help_member *out)
{
    if (!event_kinds[i].name)
        return false;
    *out = (struct help_member){.name = event_kinds[i].name, .help = event_kinds[i].help};
    return true;
}

static bool network_at(size_t i, struct help_member *out)
{
    static const struct param_table *const groups[] = {&model_block_table, &model_residual_table};
    size_t n = 0;

    for (size_t k = 0; k < sizeof groups / sizeof *groups; k++, n++) {
        *out = (struct help_member){.group = "layer", .name = groups[k]->name, .table = groups[k]};
        if (i == n)
            return true;
    }
    for (size_t k = 0; layer_kinds[k]; k++, n++) {
        *out = (struct help_member){.group = "layer", .name = layer_kinds[k]->name, .table = layer_kinds[k]->params};
        if (i == n)
            return true;
    }
    for (size_t k = 0; optimizers[k]; k++, n++) {
        *out = (struct help_member){.group = "optimizer", .name = optimizers[k]->name, .table = optimizers[k]->params};
        if (i == n)
            return true;
    }
    for (size_t k = 0; lr_schedules[k].name; k++, n++) {
        *out =
            (struct help_member){.group = "lr_schedule", .name = lr_schedules[k].name, .table = lr_schedules[k].params};
        if (i == n)
            return true;
    }
    for (size_t k = 0; losses[k]; k++, n++) {
        *out = (struct help_member){.group = "loss_function", .name = losses[k]->name};
        if (i == n)
            return true;
    }
    return false;
}

const struct help_topic help_topics[] = {
    {"config", "the keys of every kind of file: scenario, leader, worker, session, model, dataset", config_at},
    {"data", "where data comes from and how it is dealt to clients", data_at},
    {"strategies", "selection of clients, aggregation, ends of a session", strategy_at},
    {"network", "layers of model.yaml, optimizers, learning-rate schedules, losses", network_at},
    {"faults", "what a scenario can do to clients, the leader, the broker and the state store", fault_at},
    {"expect", "figures of a run that a scenario can put conditions on", expectation_at},
    {"events", "what a run tells in events.jsonl, for expectations and for scripts", event_at},
    {"reference", "all of these", NULL},
    {NULL, NULL, NULL},
};

const struct help_topic *help_topic_find(const char *name)
{
    for (size_t i = 0; help_topics[i].name; i++)
        if (!strcmp(help_topics[i].name, name))
            return &help_topics[i];
    return NULL;
}

/* --- printing ------------------------------------------------------------------------------------------------------
 */

static bool has_unit(const struct help_member *member)
{
    return member->unit && *member->unit;
}

void help_member_print(const struct help_member *member, FILE *out)
{
    fprintf(out, "%s%s%s%s%s", member->group ? member->group : "", member->group ? ": " : "", member->name,
            member->alias ? " or " : "", member->alias ? member->alias : "");
    if (has_unit(member))
        fprintf(out, " (%s)", member->unit);
    fputc('\n', out);
    if (member->help)
        fprintf(out, "    %s\n", member->help);
    if (member->table)
        params_help(member->table, 4, out);
    if (member->print)
        member->print(member, false, out);
    fputc('\n', out);
}

static void print_markdown(const struct help_member *member, FILE *out)
{
    fprintf(out, "### %s%s`%s`", member->group ? member->group : "", member->group ? " " : "", member->name);
    if (member->alias)
        fprintf(out, " or `%s`", member->alias);
    if (has_unit(member))
        fprintf(out, " (%s)", member->unit);
    fputs("\n\n", out);
    if (member->help)
        fprintf(out, "%s\n\n", member->help);
    if (member->table && (member->table->num_rows || member->table->help)) {
        params_markdown(member->table, out);
        fputc('\n', out);
    }
    if (member->print)
        member->print(member, true, out);
}

static bool is_named(const struct help_member *member, const char *name)
{
    return !name || !strcmp(member->name, name) || (member->alias && !strcmp(member->alias, name));
}

static bool print_members(const struct help_topic *topic, const char *name, bool markdown, FILE *out)
{
    struct help_member member;
    bool found = false;

    if (markdown && !name)
        fprintf(out, "## %s: %s\n\n", topic->name, topic->summary);
    for (size_t i = 0; topic->member_at(i, &member); i++) {
        if (!is_named(&member, name))
            continue;
        (markdown ? print_markdown : help_member_print)(&member, out);
        found = true;
    }
    return found;
}

static const char preface[] =
    "# Reference\n\n"
    "Every key, with its type, range, default and meaning; made by `flosim help reference --markdown` from the tables\n"
    "that the program reads files with. Keys with a star are not Flotilla's. Durations are written `50ms`, `12s`,\n"
    "`2min`, `1h`, a bare number is seconds; sizes `10kB`, `2MiB`; rates `20Mbit`, `1MB/s`; fractions `0.3` or "
    "`30%`.\n\n";

bool help_topic_print(const struct help_topic *topic, const char *member, bool markdown, FILE *out)
{
    if (topic->member_at)
        return print_members(topic, member, markdown, out);
    if (markdown)
        fputs(preface, out);
    for (size_t i = 0; help_topics[i].name; i++)
        if (help_topics[i].member_at)
            print_members(&help_topics[i], NULL, markdown, out);
    return !member;
}

void help_topic_members(const struct help_topic *topic, FILE *out)
{
    struct help_member member;

    for (size_t i = 0; topic->member_at && topic->member_at(i, &member); i++)
        fprintf(out, "%s %s", i ? "," : "", member.name);
    fputc('\n', out);
}
