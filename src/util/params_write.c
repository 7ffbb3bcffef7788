/* Writing a struct back as YAML. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/params_type.h"
#include "util/yaml_text.h"

/* Text that every YAML reader takes for the same text: anything else is quoted. */
static bool is_plain_word(const char *text)
{
    static const char *const words[] = {"true", "false", "yes", "no", "on", "off", "null", "none", "y", "n"};

    if (!isalpha((unsigned char)*text) && *text != '/')
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcasecmp(text, words[i]))
            return false;
    for (const char *at = text; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("_-./", *at))
            return false;
    return true;
}

static void write_text(const char *text, FILE *out)
{
    if (!text)
        fputs("null", out);
    else if (is_plain_word(text))
        fputs(text, out);
    else
        yaml_write_quoted(text, out);
}

static void write_number(double value, const char *unit, FILE *out)
{
    char text[PARAM_NUMBER_TEXT];

    param_format_number(value, text);
    fprintf(out, "%s%s", text, unit);
}

static void write_strings(const struct string_list *list, FILE *out)
{
    fputc('[', out);
    for (size_t i = 0; i < list->n; i++) {
        fputs(i ? ", " : "", out);
        write_text(list->items[i], out);
    }
    fputc(']', out);
}

static void write_ints(const struct int_list *list, FILE *out)
{
    fputc('[', out);
    for (size_t i = 0; i < list->n; i++)
        fprintf(out, "%s%" PRId64, i ? ", " : "", list->items[i]);
    fputc(']', out);
}

static void write_doubles(const struct double_list *list, FILE *out)
{
    fputc('[', out);
    for (size_t i = 0; i < list->n; i++) {
        fputs(i ? ", " : "", out);
        write_number(list->items[i], "", out);
    }
    fputc(']', out);
}

/* JSON is YAML. */
static void write_node(struct yaml_node node, FILE *out)
{
    char *json = yaml_to_json(node);

    fputs(json ? json : "null", out);
    free(json);
}

static void write_scalar(const struct param *row, const void *value, FILE *out)
{
    switch (row->type) {
    case PARAM_BOOL:
        fputs(*(const bool *)value ? "true" : "false", out);
        break;
    case PARAM_INT:
    case PARAM_BYTES:
        fprintf(out, "%" PRId64, *(const int64_t *)value);
        break;
    case PARAM_STRING:
        write_text(*(char *const *)value, out);
        break;
    case PARAM_CHOICE:
        fputs(row->choices[*(const int *)value], out);
        break;
    case PARAM_DURATION:
        write_number(*(const double *)value, "s", out);
        break;
    case PARAM_RATE:
        write_number(*(const double *)value, "B/s", out);
        break;
    default:
        write_number(*(const double *)value, "", out);
        break;
    }
}

static void write_rows(const struct param_table *table, const void *base, int indent, bool first_inline, FILE *out);

static void write_structs(const struct param *row, const struct param_list *list, int indent, FILE *out)
{
    if (!list->n)
        fputs(" []", out);
    for (size_t i = 0; i < list->n; i++) {
        fprintf(out, "\n%*s- ", indent + 2, "");
        write_rows(row->table, (const char *)list->items + i * row->table->size, indent + 4, true, out);
    }
}

void param_write_value(const struct param *row, const void *value, int indent, FILE *out)
{
    switch (row->type) {
    case PARAM_STRINGS:
        write_strings(value, out);
        break;
    case PARAM_INTS:
        write_ints(value, out);
        break;
    case PARAM_DOUBLES:
        write_doubles(value, out);
        break;
    case PARAM_SECTION:
        write_rows(row->table, value, indent + 2, false, out);
        break;
    case PARAM_LIST:
        write_structs(row, value, indent, out);
        break;
    case PARAM_NODE:
        write_node(*(const struct yaml_node *)value, out);
        break;
    default:
        write_scalar(row, value, out);
        break;
    }
}

static bool is_left_out(const struct param *row, const void *base)
{
    const void *value = param_at_const(row, base);

    return param_without_effect(row) || (row->type == PARAM_NODE && !((const struct yaml_node *)value)->doc);
}

/* Each row begins on a line of its own, the first one of a list's item behind its dash. */
static void write_rows(const struct param_table *table, const void *base, int indent, bool first_inline, FILE *out)
{
    size_t written = 0;

    for (size_t i = 0; i < table->num_rows; i++) {
        const struct param *row = &table->rows[i];
        if (is_left_out(row, base))
            continue;
        if (written++ || !first_inline)
            fprintf(out, "\n%*s", indent, "");
        fprintf(out, row->type == PARAM_SECTION || row->type == PARAM_LIST ? "%s:" : "%s: ", row->name);
        param_write_value(row, param_at_const(row, base), indent, out);
    }
    if (!written)
        fputs(" {}", out);
}

void params_write(const struct param_table *table, const void *values, int indent, FILE *out)
{
    fprintf(out, "%*s", indent, "");
    write_rows(table, values, indent, true, out);
    fputc('\n', out);
}
