/* What is printed of a strategy, for `flosim strategies`, `flosim help strategies` and the reference pages. */
#ifndef FLOSIM_CLI_STRATEGY_TEXT_H
#define FLOSIM_CLI_STRATEGY_TEXT_H

#include "cli/help_topics.h"

/* How it works and its arguments; what stands above that (name, idea) is the topic's. */
void strategy_print(const struct help_member *member, bool markdown, FILE *out);

/* The arguments as a Markdown table, or a sentence that there are none: a page's section. */
void strategy_print_arguments(enum strategy_kind kind, const struct strategy_entry *entry, FILE *out);

#endif
