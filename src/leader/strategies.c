#include "leader/strategies.h"

#include <stdbool.h>
#include <string.h>

const char *strategy_kind_key(enum strategy_kind kind)
{
    static const char *const keys[STRATEGY_NUM_KINDS] = {"client_selection", "aggregator", "termination_condition"};

    return keys[kind];
}

#define ENTRY(ops) ((ops) ? (struct strategy_entry){(ops)->name, (ops)->help, (ops)->params} : none)

static struct strategy_entry entry_of(enum strategy_kind kind, size_t i)
{
    const struct strategy_entry none = {0};

    switch (kind) {
    case STRATEGY_SELECTION:
        return ENTRY(selections[i]);
    case STRATEGY_AGGREGATION:
        return ENTRY(aggregations[i]);
    case STRATEGY_TERMINATION:
        return ENTRY(terminations[i]);
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
