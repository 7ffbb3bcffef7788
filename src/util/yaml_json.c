/* A YAML subtree as JSON. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/params_type.h"
#include "util/yaml_tree.h"

static void put_string(const char *text, FILE *out)
{
    fputc('"', out);
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at == '"' || *at == '\\')
            fprintf(out, "\\%c", *at);
        else if (*at < 0x20)
            fprintf(out, "\\u%04x", *at);
        else
            fputc(*at, out);
    }
    fputc('"', out);
}

static const char *skip_digits(const char *text)
{
    return text + strspn(text, "0123456789");
}

/* JSON's grammar of numbers, which is narrower than YAML's (no `+1`, `.5`, `012`). */
static bool is_json_number(const char *text)
{
    const char *digits = text + (*text == '-'), *at = skip_digits(digits);

    if (at == digits || (*digits == '0' && at > digits + 1))
        return false;
    if (*at == '.' && skip_digits(at + 1) == at + 1)
        return false;
    if (*at == '.')
        at = skip_digits(at + 1);
    if (*at == 'e' || *at == 'E') {
        const char *exponent = at + 1 + (at[1] == '-' || at[1] == '+');
        at = skip_digits(exponent);
        if (at == exponent)
            return false;
    }
    return !*at;
}

/* By YAML's core schema: only what begins like a number is one, so that `inf`, `nan` and hexadecimals stay text. An
 * integer past 64 bits becomes a real number, for JSON's readers do not take it. */
static bool put_number(const char *text, FILE *out)
{
    const char *digits = text + (*text == '-' || *text == '+');
    char shortest[PARAM_NUMBER_TEXT], *end;

    if (strspn(digits, "0123456789.") == 0 || strpbrk(text, "xX"))
        return false;
    errno = 0;
    long long integer = strtoll(text, &end, 10);
    if (!*end && !errno)
        return fprintf(out, "%lld", integer) > 0;
    bool too_long = !*end;
    double real = strtod(text, &end);
    if (*end || !isfinite(real))
        return false;
    param_format_number(real, shortest);
    return fputs(is_json_number(text) && !too_long ? text : shortest, out) >= 0;
}

static void put_scalar(struct yaml_node node, FILE *out)
{
    const char *text = yaml_text(node);

    if (yaml_is_null(node))
        fputs("null", out);
    else if (!yaml_is_plain(node))
        put_string(text, out);
    else if (!strcasecmp(text, "true"))
        fputs("true", out);
    else if (!strcasecmp(text, "false"))
        fputs("false", out);
    else if (!put_number(text, out))
        put_string(text, out);
}

static void put_node(struct yaml_node node, FILE *out)
{
    switch (yaml_kind(node)) {
    case YAML_SCALAR:
        put_scalar(node, out);
        break;
    case YAML_SEQUENCE:
        for (size_t i = 0; i < yaml_size(node); i++) {
            fputc(i ? ',' : '[', out);
            put_node(yaml_item(node, i), out);
        }
        fputs(yaml_size(node) ? "]" : "[]", out);
        break;
    case YAML_MAPPING:
        for (size_t i = 0; i < yaml_size(node); i++) {
            fputc(i ? ',' : '{', out);
            put_string(yaml_text(yaml_key(node, i)), out);
            fputc(':', out);
            put_node(yaml_value(node, i), out);
        }
        fputs(yaml_size(node) ? "}" : "{}", out);
        break;
    default:
        fputs("null", out);
        break;
    }
}

char *yaml_to_json(struct yaml_node node)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    put_node(node, out);
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}
