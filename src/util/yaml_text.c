#include "util/yaml_text.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_EXPANDED = 1 << 20, MAX_NAME = 255 };

/* The length of a variable's name at `text`, 0 where there is none. */
static size_t name_length(const char *text)
{
    size_t n = 0;

    while (text[n] == '_' || isalpha((unsigned char)text[n]) || (n && isdigit((unsigned char)text[n])))
        n++;
    return n <= MAX_NAME ? n : 0;
}

/* Write the value of the variable that begins at text ("${"); returns its end, or NULL where it is unset. */
static const char *expand_one(const char *text, struct diag_place place, FILE *out, struct diags *diags)
{
    size_t n = name_length(text + 2);
    char name[MAX_NAME + 1];

    if (!n || text[2 + n] != '}') { /* not a variable */
        fputs("${", out);
        return text + 2;
    }
    memcpy(name, text + 2, n);
    name[n] = '\0';
    const char *value = getenv(name);
    if (!value) {
        diag_error(diags, place, "environment variable `%s` is not set", name);
        return NULL;
    }
    fputs(value, out);
    return text + n + 3;
}

static int expand_all(const char *text, struct diag_place place, FILE *out, struct diags *diags)
{
    int status = OK;

    while (*text) {
        const char *variable = strstr(text, "${");
        size_t before = variable ? (size_t)(variable - text) : strlen(text);
        fwrite(text, 1, before, out);
        text += before;
        if (!variable)
            break;
        const char *end = expand_one(text, place, out, diags);
        if (!end)
            status = ERR_INVALID;
        text = end ? end : text + 2;
    }
    return status;
}

int yaml_expand_env(const char *text, struct diag_place place, char **out, struct diags *diags)
{
    size_t size = 0;
    FILE *stream = open_memstream(out, &size);
    int status = stream ? expand_all(text, place, stream, diags) : ERR_MEMORY;

    if (stream && fclose(stream))
        status = ERR_MEMORY;
    if (status == ERR_MEMORY)
        diag_error(diags, place, "out of memory");
    if (!status && size > MAX_EXPANDED) {
        diag_error(diags, place, "more than %d characters with its environment variables replaced", MAX_EXPANDED);
        status = ERR_INVALID;
    }
    return status;
}

/* The code unit of an escape `\uXXXX` at text, or -1. */
static long escaped_unit(const char *text, size_t size)
{
    long unit = 0;

    if (size < 6 || text[0] != '\\' || text[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        int digit = tolower((unsigned char)text[i]);
        if (!isxdigit(digit))
            return -1;
        unit = 16 * unit + (isdigit(digit) ? digit - '0' : digit - 'a' + 10);
    }
    return unit;
}

static bool looks_like_json(const char *text, size_t size)
{
    size_t i = 0;

    while (i < size && isspace((unsigned char)text[i]))
        i++;
    return i < size && (text[i] == '{' || text[i] == '[') && memmem(text, size, "\\u", 2);
}

/* Copy one character or escape from text to *to; returns how much of the text that was. */
static size_t join_one(const char *text, size_t size, char **to)
{
    long high = escaped_unit(text, size);
    long low = size > 6 ? escaped_unit(text + 6, size - 6) : -1;

    if (high >= 0xd800 && high < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
        *to += sprintf(*to, "\\U%08lx", 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
        return 12;
    }
    size_t n = text[0] == '\\' && size > 1 ? 2 : 1; /* so that a backslash that is itself escaped begins nothing */
    memcpy(*to, text, n);
    *to += n;
    return n;
}

int yaml_join_surrogates(const char **text, size_t *size, char **joined)
{
    if (!looks_like_json(*text, *size))
        return OK;
    *joined = malloc(*size + 1); /* it only gets shorter */
    if (!*joined)
        return ERR_MEMORY;
    char *to = *joined;
    for (size_t i = 0; i < *size;)
        i += join_one(*text + i, *size - i, &to);
    *text = *joined;
    *size = (size_t)(to - *joined);
    return OK;
}
