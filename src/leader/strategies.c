#include "leader/strategies.h"

#include <stdbool.h>
#include <string.h>

const char *strategy_kind_key(enum strategy_kind kind)
{
    static const char *const keys[STRATEGY_NUM_KINDS] = {"client_selection", "aggregator", "termination_condition"};

    return keys[kind];
}

const char *strategy_kind_name(enum strategy_kind kind)
{
    static const char *const names[STRATEGY_NUM_KINDS] = {"selection", "aggregation", "termination"};

    return names[kind];
}

#define ENTRY(ops, flags) ((ops) ? (struct strategy_entry){(ops)->name, (ops)->help, (ops)->params, flags} : none)

static struct strategy_entry entry_of(enum strategy_kind kind, size_t i)
{
    const struct strategy_entry none = {0};

    switch (kind) {
    case STRATEGY_SELECTION:
        return ENTRY(selections[i], selections[i]->flags);
    case STRATEGY_AGGREGATION:
        return ENTRY(aggregations[i], aggregations[i]->flags);
    case STRATEGY_TERMINATION:
        return ENTRY(terminations[i], 0);
    case STRATEGY_NUM_KINDS:
        break;
    }
    return none;
}

int strategy_entry_at(enum strategy_kind kind, size_t i, struct strategy_entry *out)
{
    for (size_t k = 0; k <= i; k++) {
        *out = entry_of(kind, k);
        if (!out->name)
            return false;
    }
    return true;
}

int strategy_entry_find(enum strategy_kind kind, const char *name, struct strategy_entry *out)
{
    for (size_t i = 0; strategy_entry_at(kind, i, out); i++)
        if (strcmp(out->name, name) == 0)
            return true;
    return false;
}

/* ---- traits ---- */

struct trait {
    enum strategy_kind kind;
    unsigned with, without; /* flags */
    const char *words;
};

static const struct trait traits[] = {
    {STRATEGY_SELECTION, 0, FLOSIM_SELECTS_WHILE_TRAINING,
     "synchronous: chooses when a round begins and nobody trains"},
    {STRATEGY_SELECTION, FLOSIM_SELECTS_WHILE_TRAINING, 0,
     "asynchronous or tiered: chooses whenever a client is free, while others train"},
    {STRATEGY_SELECTION, FLOSIM_USES_LATENCY, 0,
     "needs a benchmark of the training model on the clients (benchmark_config.skip_benchmark: false)"},
    {STRATEGY_SELECTION, FLOSIM_USES_LABELS, 0, "needs the label distributions that clients advertise"},
    {STRATEGY_AGGREGATION, FLOSIM_WAITS_FOR_ALL, 0,
     "synchronous: makes a model when a round is over; goes with a synchronous selection"},
    {STRATEGY_AGGREGATION, FLOSIM_USES_COHORTS, 0, "tiered: makes a model when the round of a tier is over"},
    {STRATEGY_AGGREGATION, FLOSIM_BUFFERS, 0,
     "semi-asynchronous: makes a model when its buffer is full; goes with an asynchronous selection"},
    {STRATEGY_AGGREGATION, 0, FLOSIM_WAITS_FOR_ALL | FLOSIM_USES_COHORTS | FLOSIM_BUFFERS,
     "asynchronous: makes a model of every update"},
    {STRATEGY_SELECTION, FLOSIM_VALIDATES, 0,
     "has clients validate the global model on data that they hold back (local_validation_fraction)"},
    {STRATEGY_AGGREGATION, FLOSIM_USES_BASE, 0, "needs the model that each client began its training with"},
    {STRATEGY_AGGREGATION, FLOSIM_ASKS_CLIENTS, 0,
     "asks clients for more than plain training; a session with a client that cannot do it ends and says so"},
};

int strategy_trait_at(enum strategy_kind kind, const struct strategy_entry *entry, size_t i, const char **out)
{
    for (size_t k = 0; k < sizeof traits / sizeof *traits; k++) {
        const struct trait *trait = &traits[k];

        if (trait->kind != kind || (entry->flags & trait->with) != trait->with || (entry->flags & trait->without))
            continue;
        *out = trait->words;
        if (i-- == 0)
            return true;
    }
    return false;
}
