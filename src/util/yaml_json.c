/* A YAML subtree as JSON. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/params_type.h"
#include "util/yaml_text.h"
#include "util/yaml_tree.h"

/* The length of a character at `text` that JSON allows in a string and YAML does not take for itself: controls, the
 * line breaks of Unicode, which YAML folds, byte order marks. All of them lie in the basic plane. 0: any other
 * character. */
static int special_character(const unsigned char *text, unsigned *code)
{
    if (*text < 0x20 || *text == 0x7f) {
        *code = *text;
        return 1;
    }
    if (text[0] == 0xc2 && text[1] >= 0x80 && text[1] <= 0x9f) {
        *code = text[1];
        return 2;
    }
    if (text[0] < 0xe0 || text[0] > 0xef || !text[1] || !text[2])
        return 0;
    *code = ((text[0] & 15u) << 12) | ((text[1] & 63u) << 6) | (text[2] & 63u);
    return *code == 0x2028 || *code == 0x2029 || *code == 0xfeff || *code >= 0xfffe ? 3 : 0;
}

void yaml_write_quoted(const char *text, FILE *out)
{
    fputc('"', out);
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        unsigned code;
        int length = special_character(at, &code);
        if (length)
            fprintf(out, "\\u%04x", code);
        else if (*at == '"' || *at == '\\')
            fprintf(out, "\\%c", *at);
        else
            fputc(*at, out);
        at += length ? length : 1;
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
        yaml_write_quoted(text, out);
    else if (!strcasecmp(text, "true"))
        fputs("true", out);
    else if (!strcasecmp(text, "false"))
        fputs("false", out);
    else if (!put_number(text, out))
        yaml_write_quoted(text, out);
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
            yaml_write_quoted(yaml_text(yaml_key(node, i)), out);
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
