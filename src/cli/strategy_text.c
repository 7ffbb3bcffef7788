#include "cli/strategy_text.h"

#include "leader/strategy_args.h"

static bool has_arguments(const struct strategy_entry *entry)
{
    return entry->params && entry->params->num_rows > 0;
}

static void print_traits(const struct help_member *member, const char *before, FILE *out)
{
    const char *words;

    for (size_t i = 0; strategy_trait_at(member->kind, &member->strategy, i, &words); i++)
        fprintf(out, "%s%s\n", before, words);
}

static void print_text(const struct help_member *member, FILE *out)
{
    print_traits(member, "    - ", out);
    if (!has_arguments(&member->strategy)) {
        fputs("    No arguments.\n", out);
        return;
    }
    if (member->kind == STRATEGY_TERMINATION)
        fprintf(out, "    Arguments, under termination_condition_args.%s:\n", member->name);
    else
        fprintf(out, "    Arguments, under %s_args:\n", strategy_kind_key(member->kind));
    strategy_args_help(member->name, member->strategy.params, 8, out);
}

void strategy_print_arguments(enum strategy_kind kind, const struct strategy_entry *entry, FILE *out)
{
    const char *star = ":";

    for (size_t i = 0; entry->params && i < entry->params->num_rows; i++)
        if (entry->params->rows[i].flags & FLOSIM_OURS)
            star = "; a star marks what is not Flotilla's:";
    if (!has_arguments(entry)) {
        fputs("It has none.\n", out);
        return;
    }
    if (kind == STRATEGY_TERMINATION)
        fprintf(out, "Under `termination_condition_args.%s`%s\n\n", entry->name, star);
    else
        fprintf(out, "Under `%s_args`%s\n\n", strategy_kind_key(kind), star);
    strategy_args_markdown(entry->name, entry->params, out);
}

void strategy_print(const struct help_member *member, bool markdown, FILE *out)
{
    const char *words;

    if (!markdown) {
        print_text(member, out);
        return;
    }
    print_traits(member, "- ", out);
    if (strategy_trait_at(member->kind, &member->strategy, 0, &words))
        fputc('\n', out);
    if (!has_arguments(&member->strategy))
        return;
    strategy_args_markdown(member->name, member->strategy.params, out);
    fputc('\n', out);
}
