/* Single values of parameters: text to value and back. */
#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/params_type.h"

struct unit {
    const char *name;
    double factor;
};

static const struct unit durations[] = {{"ns", 1e-9}, {"us", 1e-6}, {"µs", 1e-6}, {"ms", 1e-3}, {"s", 1},
                                        {"sec", 1},   {"min", 60},  {"h", 3600},  {"d", 86400}, {NULL, 0}};
// clang-format off
static const struct unit sizes[] = {
    {"B", 1}, {"k", 1e3}, {"kB", 1e3}, {"KB", 1e3}, {"M", 1e6}, {"MB", 1e6}, {"G", 1e9}, {"GB", 1e9}, {"TB", 1e12},
    {"Ki", 1024}, {"KiB", 1024}, {"kiB", 1024}, {"Mi", 1048576}, {"MiB", 1048576}, {"Gi", 1073741824},
    {"GiB", 1073741824}, {"TiB", 1099511627776}, {NULL, 0}};
static const struct unit rates[] = {
    {"bit", 1 / 8.0}, {"kbit", 1e3 / 8}, {"Kbit", 1e3 / 8}, {"Mbit", 1e6 / 8}, {"Gbit", 1e9 / 8},
    {"B", 1}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9},
    {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}, {NULL, 0}};
static const struct unit fractions[] = {{"%", 0.01}, {NULL, 0}};
// clang-format on

const char *param_type_expected(enum param_type type)
{
    switch (type) {
    case PARAM_BOOL:
        return "true or false";
    case PARAM_INT:
        return "an integer";
    case PARAM_DOUBLE:
        return "a number";
    case PARAM_STRING:
        return "text";
    case PARAM_DURATION:
        return "a duration such as 12s, 50ms or 2min";
    case PARAM_BYTES:
        return "a size such as 2MiB, 10kB or a whole number of bytes";
    case PARAM_RATE:
        return "a rate such as 20Mbit or 1MB/s, or 0 for no limit";
    case PARAM_FRACTION:
        return "a fraction such as 0.3 or 30%";
    case PARAM_STRINGS:
        return "a list of texts";
    case PARAM_INTS:
        return "a list of integers";
    case PARAM_DOUBLES:
        return "a list of numbers";
    case PARAM_SECTION:
        return "a mapping";
    case PARAM_LIST:
        return "a list of mappings";
    default:
        return "a value";
    }
}

static int wrong(enum param_type type, const char *text, struct error *err)
{
    return FAIL(err, ERR_INVALID, "expected %s, found `%.80s`", param_type_expected(type), text);
}

static int parse_bool(const char *text, bool *out)
{
    static const char *const yes[] = {"true", "yes", "on"}, *const no[] = {"false", "no", "off"};

    for (size_t i = 0; i < 3; i++) {
        if (!strcasecmp(text, yes[i]) || !strcasecmp(text, no[i])) {
            *out = !strcasecmp(text, yes[i]);
            return OK;
        }
    }
    return ERR_INVALID;
}

static int parse_int(const char *text, int64_t *out)
{
    char *end;

    if (!isdigit((unsigned char)text[*text == '-' || *text == '+']))
        return ERR_INVALID;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno || *end ? ERR_INVALID : OK;
}

/* A decimal number at the start of text: where it ends, or NULL. strtod also takes hex, inf and nan: we do not. */
static const char *parse_decimal(const char *text, double *out)
{
    const char *digits = text + (*text == '-' || *text == '+');
    char *end;

    if (strspn(digits, "0123456789.") == 0 || (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X')))
        return NULL;
    *out = strtod(text, &end);
    return end == text || !isfinite(*out) ? NULL : end;
}

static int parse_double(const char *text, double *out)
{
    const char *end = parse_decimal(text, out);

    return end && !*end ? OK : ERR_INVALID;
}

/* A number with a unit; `bare` is the factor of a number without one, 0 where only zero may stand alone. */
static int parse_unit(const char *text, const struct unit *units, double bare, double *out)
{
    const char *end = parse_decimal(text, out);

    if (!end)
        return ERR_INVALID;
    while (*end == ' ')
        end++;
    if (!*end) {
        if (bare == 0.0 && *out != 0.0)
            return ERR_INVALID;
        *out *= bare;
        return OK;
    }
    for (; units->name; units++)
        if (!strcmp(end, units->name))
            break;
    if (!units->name)
        return ERR_INVALID;
    /* 50 * 1e-3 is not the double nearest to 0.05; 50 / 1e3 is. */
    *out = units->factor < 1 ? *out / round(1 / units->factor) : *out * units->factor;
    return isfinite(*out) ? OK : ERR_INVALID;
}

static int parse_bytes(const char *text, int64_t *out)
{
    double bytes;

    if (!parse_int(text, out))
        return *out < 0 ? ERR_INVALID : OK;
    if (parse_unit(text, sizes, 1, &bytes) || bytes < 0 || bytes > 0x1p53 || bytes != floor(bytes))
        return ERR_INVALID;
    *out = (int64_t)bytes;
    return OK;
}

static int parse_rate(const char *text, double *out)
{
    char copy[64];
    size_t n = strlen(text);

    if (n >= sizeof copy)
        return ERR_INVALID;
    memcpy(copy, text, n + 1);
    if (n > 2 && !strcmp(copy + n - 2, "/s"))
        copy[n - 2] = '\0';
    return parse_unit(copy, rates, 0, out) || *out < 0 ? ERR_INVALID : OK;
}

static int parse_duration(const char *text, double *out)
{
    return parse_unit(text, durations, 1, out) || *out < 0 ? ERR_INVALID : OK;
}

static int parse_fraction(const char *text, double *out)
{
    return parse_unit(text, fractions, 1, out) || *out < 0 || *out > 1 ? ERR_INVALID : OK;
}

int param_parse_scalar(enum param_type type, const char *text, void *out, struct error *err)
{
    int status;

    switch (type) {
    case PARAM_BOOL:
        status = parse_bool(text, out);
        break;
    case PARAM_INT:
        status = parse_int(text, out);
        break;
    case PARAM_DOUBLE:
        status = parse_double(text, out);
        break;
    case PARAM_DURATION:
        status = parse_duration(text, out);
        break;
    case PARAM_BYTES:
        status = parse_bytes(text, out);
        break;
    case PARAM_RATE:
        status = parse_rate(text, out);
        break;
    case PARAM_FRACTION:
        status = parse_fraction(text, out);
        break;
    case PARAM_STRING:
        *(char **)out = strdup(text);
        return *(char **)out ? OK : FAIL(err, ERR_MEMORY, "out of memory");
    default:
        return FAIL(err, ERR_INTERNAL, "a parameter of type %d is no single value", (int)type);
    }
    return status ? wrong(type, text, err) : OK;
}

void param_format_number(double value, char text[PARAM_NUMBER_TEXT])
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, PARAM_NUMBER_TEXT, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            return;
    }
}

/* A limit in the way one writes values of that type. */
static void format_limit(enum param_type type, double value, char text[PARAM_NUMBER_TEXT])
{
    size_t used;

    if (type == PARAM_INT || type == PARAM_INTS || type == PARAM_BYTES)
        snprintf(text, PARAM_NUMBER_TEXT, "%.0f", value);
    else
        param_format_number(value, text);
    used = strlen(text);
    if (type == PARAM_DURATION && used + 2 < PARAM_NUMBER_TEXT)
        memcpy(text + used, "s", 2);
    if (type == PARAM_RATE && used + 4 < PARAM_NUMBER_TEXT)
        memcpy(text + used, "B/s", 4);
}

bool param_range_text(const struct param *row, char text[PARAM_RANGE_TEXT])
{
    char min[PARAM_NUMBER_TEXT], max[PARAM_NUMBER_TEXT];

    if (row->min == 0 && row->max == 0)
        return false;
    format_limit(row->type, row->min, min);
    format_limit(row->type, row->max, max);
    if (row->min == PARAM_ABOVE_0)
        snprintf(min, sizeof min, "0");
    const char *lower = row->min == PARAM_ABOVE_0 ? "above" : "at least";
    if (row->max == PARAM_NO_LIMIT)
        snprintf(text, PARAM_RANGE_TEXT, "%s %s", lower, min);
    else if (row->min == PARAM_ABOVE_0)
        snprintf(text, PARAM_RANGE_TEXT, "above 0 and at most %s", max);
    else if (row->min == -PARAM_NO_LIMIT)
        snprintf(text, PARAM_RANGE_TEXT, "at most %s", max);
    else
        snprintf(text, PARAM_RANGE_TEXT, "between %s and %s", min, max);
    return true;
}

bool param_in_range(const struct param *row, double value)
{
    return (row->min == 0 && row->max == 0) || (value >= row->min && value <= row->max);
}
