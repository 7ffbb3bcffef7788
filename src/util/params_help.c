/* Help and the reference page, from the same rows that are parsed. */
#include <stdlib.h>
#include <string.h>

#include "util/params_type.h"

enum { HELP_WIDTH = 100 };

static const char *type_name(enum param_type type)
{
    static const char *const names[] = {
        [PARAM_BOOL] = "true | false", [PARAM_INT] = "integer",           [PARAM_DOUBLE] = "number",
        [PARAM_STRING] = "text",       [PARAM_DURATION] = "duration",     [PARAM_BYTES] = "size",
        [PARAM_RATE] = "rate",         [PARAM_FRACTION] = "fraction",     [PARAM_CHOICE] = "one of",
        [PARAM_STRINGS] = "texts",     [PARAM_INTS] = "integers",         [PARAM_DOUBLES] = "numbers",
        [PARAM_SECTION] = "section",   [PARAM_LIST] = "list of sections", [PARAM_NODE] = "any value",
    };

    return names[type];
}

/* "integer between 1 and 65535", "one of warn, strict" */
static void put_type(const struct param *row, FILE *out)
{
    char range[PARAM_RANGE_TEXT];

    fputs(type_name(row->type), out);
    for (size_t i = 0; row->type == PARAM_CHOICE && row->choices[i]; i++)
        fprintf(out, "%s %s", i ? "," : "", row->choices[i]);
    if (param_range_text(row, range))
        fprintf(out, ", %s", range);
}

static bool is_nested(const struct param *row)
{
    return row->type == PARAM_SECTION || row->type == PARAM_LIST;
}

static void put_default(const struct param *row, FILE *out)
{
    if (row->flags & PARAM_REQUIRED)
        fputs(", required", out);
    else if (row->fallback)
        fprintf(out, ", default %s", row->fallback);
}

/* Words broken at HELP_WIDTH, every line indented. */
static void put_wrapped(const char *text, int indent, FILE *out)
{
    int column = 0;

    while (*text) {
        int word = (int)strcspn(text, " ");
        if (column && column + 1 + word > HELP_WIDTH) {
            fputc('\n', out);
            column = 0;
        }
        if (column)
            column += fprintf(out, " %.*s", word, text);
        else
            column = fprintf(out, "%*s%.*s", indent, "", word, text);
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void help_row(const struct param *row, int indent, FILE *out)
{
    fprintf(out, "%*s%s", indent, "", row->name);
    if (row->alias)
        fprintf(out, " (or %s)", row->alias);
    fputs(": ", out);
    put_type(row, out);
    if (!is_nested(row))
        put_default(row, out);
    if (row->flags & PARAM_OURS)
        fputs("; not in Flotilla 1.0", out);
    if (param_without_effect(row))
        fprintf(out, "; no effect %s", param_without_effect(row));
    fputc('\n', out);
    if (row->help)
        put_wrapped(row->help, indent + 4, out);
    if (is_nested(row))
        params_help(row->table, indent + 4, out);
}

void params_help(const struct param_table *table, int indent, FILE *out)
{
    if (table->help)
        put_wrapped(table->help, indent, out);
    for (size_t i = 0; i < table->num_rows; i++)
        help_row(&table->rows[i], indent, out);
}

/* A table's cell must not end at a bar. */
static void put_cell(const char *text, FILE *out)
{
    for (; *text; text++) {
        if (*text == '|')
            fputc('\\', out);
        fputc(*text, out);
    }
}

static void put_type_cell(const struct param *row, FILE *out)
{
    char *text = NULL;
    size_t size = 0;
    FILE *cell = open_memstream(&text, &size);

    if (!cell)
        return;
    put_type(row, cell);
    if (!fclose(cell))
        put_cell(text, out);
    free(text);
}

static void markdown_row(const struct param *row, const char *prefix, FILE *out)
{
    fprintf(out, "| `%s%s`%s | ", prefix, row->name, row->flags & PARAM_OURS ? " *" : "");
    put_type_cell(row, out);
    fputs(" | ", out);
    if (row->flags & PARAM_REQUIRED)
        fputs("required", out);
    else if (row->fallback && *row->fallback)
        fprintf(out, "`%s`", row->fallback);
    fputs(" | ", out);
    put_cell(row->help ? row->help : "", out);
    if (param_without_effect(row))
        fprintf(out, " *No effect %s.*", param_without_effect(row));
    fputs(" |\n", out);
}

static void markdown_rows(const struct param_table *table, const char *prefix, FILE *out)
{
    char nested[256];

    for (size_t i = 0; i < table->num_rows; i++) {
        const struct param *row = &table->rows[i];
        if (!is_nested(row)) {
            markdown_row(row, prefix, out);
            continue;
        }
        if (row->help)
            markdown_row(row, prefix, out);
        snprintf(nested, sizeof nested, "%s%s%s.", prefix, row->name, row->type == PARAM_LIST ? "[]" : "");
        markdown_rows(row->table, nested, out);
    }
}

void params_markdown(const struct param_table *table, FILE *out)
{
    if (table->help)
        fprintf(out, "%s\n\n", table->help);
    fputs("| key | type | default | meaning |\n|---|---|---|---|\n", out);
    markdown_rows(table, "", out);
}
