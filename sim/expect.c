#include "sim/expect.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

static const struct {
    const char *sign; /* longer ones first: the first that fits is taken */
    enum comparison comparison;
} signs[] = {
    {"==", EXPECT_EQ}, {"!=", EXPECT_NE}, {"<=", EXPECT_LE}, {">=", EXPECT_GE}, {"<", EXPECT_LT}, {">", EXPECT_GT},
};

static const char *skip_blanks(const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

/* Reads a word of letters, digits and underscores; returns what follows. */
static const char *read_word(const char *text, char *word, size_t size)
{
    size_t n = 0;

    while (isalnum((unsigned char)text[n]) || text[n] == '_')
        n++;
    size_t kept = n < size ? n : size - 1;
    memcpy(word, text, kept);
    word[kept] = '\0';
    return text + n;
}

static const char *read_comparison(const char *text, enum comparison *out)
{
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (!strncmp(text, signs[i].sign, strlen(signs[i].sign))) {
            *out = signs[i].comparison;
            return text + strlen(signs[i].sign);
        }
    return NULL;
}

static int complain_of_metric(const char *word, const char *text, struct diag_place place, struct diags *diags)
{
    const char *near = metric_nearest(word);

    if (!*word)
        diag_error(diags, place, "`%s`: an expectation is `metric comparison value`, as in `accuracy >= 80`", text);
    else if (near)
        diag_error(diags, place, "`%s`: unknown metric `%s`; did you mean `%s`?", text, word, near);
    else
        diag_error(diags, place, "`%s`: unknown metric `%s`; `flosim help expect` lists them", text, word);
    return ERR_INVALID;
}

/* A value in the metric's way of writing; the unit itself may stand behind a number (`80 %`). */
static int read_value(const struct metric *metric, const char *text, double *out, struct error *err)
{
    char value[64];
    size_t length = strlen(text), unit = strlen(metric->unit);

    if (length >= sizeof value)
        return FAIL(err, ERR_INVALID, "expected a number");
    memcpy(value, text, length + 1);
    if (metric->type == PARAM_DOUBLE && unit && length > unit && !strcmp(value + length - unit, metric->unit))
        value[length -= unit] = '\0';
    while (length > 0 && isspace((unsigned char)value[length - 1]))
        value[--length] = '\0';
    return param_parse_scalar(metric->type, value, out, err);
}

int expectation_parse(const char *text, struct diag_place place, struct expectation *out, struct diags *diags)
{
    char word[64];
    struct error err = ERROR_INIT;
    const char *rest = read_word(skip_blanks(text), word, sizeof word);

    out->metric = metric_find(word);
    if (!out->metric)
        return complain_of_metric(word, text, place, diags);
    rest = read_comparison(skip_blanks(rest), &out->comparison);
    if (!rest) {
        diag_error(diags, place, "`%s`: expected one of ==, !=, <, <=, >, >= after `%s`", text, word);
        return ERR_INVALID;
    }
    if (read_value(out->metric, skip_blanks(rest), &out->value, &err)) {
        diag_error(diags, place, "`%s`: %s", text, err.message);
        return ERR_INVALID;
    }
    snprintf(out->text, sizeof out->text, "%s", text);
    return OK;
}

static bool holds(double found, enum comparison comparison, double value)
{
    switch (comparison) {
    case EXPECT_EQ:
        return found == value;
    case EXPECT_NE:
        return found != value;
    case EXPECT_LT:
        return found < value;
    case EXPECT_LE:
        return found <= value;
    case EXPECT_GT:
        return found > value;
    case EXPECT_GE:
        return found >= value;
    }
    return false;
}

struct verdict expectation_judge(const struct expectation *expectation, const struct run_metrics *run)
{
    double found = metric_value(expectation->metric, run);

    return (struct verdict){expectation, !isnan(found) && holds(found, expectation->comparison, expectation->value),
                            found};
}

void verdict_text(const struct verdict *verdict, char *text, size_t size)
{
    char found[64];

    metric_text(verdict->expectation->metric, verdict->found, found, sizeof found);
    snprintf(text, size, "expected %s, found %s", verdict->expectation->text, found);
}
