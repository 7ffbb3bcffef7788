#include "sim/expect.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "sim/fault.h"

enum { WORD_SIZE = 64, MAX_NAMES = 256 };

const struct expectation_form expectation_forms[] = {
    {"accuracy >= 80", "A figure of the whole run; also `==`, `!=`, `<`, `<=`, `>`."},
    {"accuracy >= 80 by round 20", "After one of the first 20 rounds; for figures that are known after each round."},
    {"accuracy >= 80 by 90s", "After a round that ended at most so long after the session's begin."},
    {"no round longer than 10s", "Wall time of every round."},
    {"event checkpoint", "It happened; `event checkpoint >= 3` counts. Names: `flosim help events`, and every kind of "
                         "fault, which stands for its strikes."},
    {"no event round_lost", "It never happened."},
    {"event leader-restored within 2s of leader-restart", "After each of these came one of those, in time."},
    {NULL, NULL},
};

/* A line that is being read. */
struct line {
    const char *text, *rest;
    struct diag_place place;
    struct diags *diags;
};

static void skip_blanks(struct line *line)
{
    while (isspace((unsigned char)*line->rest))
        line->rest++;
}

static bool is_of_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-';
}

/* The next word of letters, digits, `_` and `-`; "" where there is none. */
static const char *next_word(struct line *line, char word[WORD_SIZE])
{
    size_t n = 0;

    skip_blanks(line);
    for (; is_of_word(*line->rest); line->rest++)
        if (n + 1 < WORD_SIZE)
            word[n++] = *line->rest;
    word[n] = '\0';
    return word;
}

/* Takes the word if it is the next one. */
static bool takes(struct line *line, const char *expected)
{
    const char *before = line->rest;
    char word[WORD_SIZE];

    if (!strcmp(next_word(line, word), expected))
        return true;
    line->rest = before;
    return false;
}

static bool is_at_end(struct line *line)
{
    skip_blanks(line);
    return !*line->rest;
}

static int complain(const struct line *line, const char *why)
{
    diag_error(line->diags, line->place, "`%s`: %s", line->text, why);
    return ERR_INVALID;
}

static bool read_comparison(struct line *line, enum comparison *out)
{
    static const struct {
        const char *sign; /* longer ones first: the first that fits is taken */
        enum comparison comparison;
    } signs[] = {
        {"==", EXPECT_EQ}, {"!=", EXPECT_NE}, {"<=", EXPECT_LE}, {">=", EXPECT_GE}, {"<", EXPECT_LT}, {">", EXPECT_GT},
    };

    skip_blanks(line);
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (!strncmp(line->rest, signs[i].sign, strlen(signs[i].sign))) {
            *out = signs[i].comparison;
            line->rest += strlen(signs[i].sign);
            return true;
        }
    return false;
}

/* --- values --- */

/* The text up to `end` (NULL: to the line's end), trimmed; false: too long. */
static bool cut(struct line *line, const char *end, char value[WORD_SIZE])
{
    skip_blanks(line);
    size_t length = end ? (size_t)(end - line->rest) : strlen(line->rest);

    while (length > 0 && isspace((unsigned char)line->rest[length - 1]))
        length--;
    if (length >= WORD_SIZE)
        return false;
    memcpy(value, line->rest, length);
    value[length] = '\0';
    line->rest = end ? end : line->rest + strlen(line->rest);
    return true;
}

/* The metric's own unit may stand behind a number (`80 %`). */
static void drop_unit(const struct metric *metric, char value[WORD_SIZE])
{
    size_t length = strlen(value), unit = strlen(metric->unit);

    if (metric->type != PARAM_DOUBLE || !unit || length <= unit || strcmp(value + length - unit, metric->unit) != 0)
        return;
    for (length -= unit; length > 0 && isspace((unsigned char)value[length - 1]);)
        length--;
    value[length] = '\0';
}

static int read_number(struct line *line, const char *end, enum param_type type, const struct metric *metric,
                       double *out)
{
    char value[WORD_SIZE];
    struct error err = ERROR_INIT;
    int64_t whole = 0;

    if (!cut(line, end, value))
        return complain(line, "expected a number");
    if (metric)
        drop_unit(metric, value);
    bool is_whole = type == PARAM_INT || type == PARAM_BYTES;
    if (param_parse_scalar(type, value, is_whole ? (void *)&whole : (void *)out, &err))
        return complain(line, err.message);
    if (is_whole)
        *out = (double)whole;
    return OK;
}

/* --- figures --- */

static int complain_of_metric(const struct line *line, const char *word)
{
    const char *near = metric_nearest(word);

    if (!*word)
        return complain(line, "an expectation is `metric comparison value`, as in `accuracy >= 80`");
    if (near)
        diag_error(line->diags, line->place, "`%s`: unknown metric `%s`; did you mean `%s`?", line->text, word, near);
    else
        diag_error(line->diags, line->place, "`%s`: unknown metric `%s`; `flosim help expect` lists them", line->text,
                   word);
    return ERR_INVALID;
}

static int read_limit(struct line *line, struct expectation *out)
{
    if (!out->metric->each_round) {
        diag_error(line->diags, line->place, "`%s`: `%s` is known at the end only, not `by` a round or a time",
                   line->text, out->metric->name);
        return ERR_INVALID;
    }
    takes(line, "by");
    out->kind = takes(line, "round") ? EXPECT_BY_ROUND : EXPECT_BY_TIME;
    int status = read_number(line, NULL, out->kind == EXPECT_BY_ROUND ? PARAM_INT : PARAM_DURATION, NULL, &out->limit);
    return status == OK && out->limit <= 0 ? complain(line, "the limit behind `by` must be above 0") : status;
}

static int read_figure(struct line *line, struct expectation *out)
{
    char word[WORD_SIZE];

    out->kind = EXPECT_FIGURE;
    out->metric = metric_find(next_word(line, word));
    if (!out->metric)
        return complain_of_metric(line, word);
    if (!read_comparison(line, &out->comparison)) {
        diag_error(line->diags, line->place, "`%s`: expected one of ==, !=, <, <=, >, >= after `%s`", line->text, word);
        return ERR_INVALID;
    }
    const char *by = strstr(line->rest, " by ");
    int status = read_number(line, by, out->metric->type, out->metric, &out->value);
    return status || !by ? status : read_limit(line, out);
}

/* "round longer than 10s", behind "no" */
static int read_round_length(struct line *line, struct expectation *out)
{
    if (!takes(line, "longer") || !takes(line, "than"))
        return complain(line, "expected `no round longer than` a duration, or `no event` and its name");
    out->kind = EXPECT_FIGURE;
    out->metric = metric_find("round_s_max");
    out->comparison = EXPECT_LE;
    return read_number(line, NULL, PARAM_DURATION, NULL, &out->value);
}

/* --- events --- */

static size_t list_events(const char *names[MAX_NAMES])
{
    size_t n = 0;

    for (size_t i = 0; event_kinds[i].name && n < MAX_NAMES; i++)
        names[n++] = event_kinds[i].name;
    for (size_t i = 0; fault_kinds[i] && n < MAX_NAMES; i++)
        names[n++] = fault_kinds[i]->name;
    return n;
}

static int read_event(struct line *line, char event[HISTORY_NAME_SIZE])
{
    const char *names[MAX_NAMES], *near;
    size_t n = list_events(names);
    char word[WORD_SIZE];

    next_word(line, word);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(word, names[i])) {
            snprintf(event, HISTORY_NAME_SIZE, "%.*s", HISTORY_NAME_SIZE - 1, word);
            return OK;
        }
    near = nearest_word(word, names, n);
    diag_error(line->diags, line->place, "`%s`: unknown event `%s`; %s%s%s", line->text, word,
               near ? "did you mean `" : "`flosim help events` lists them", near ? near : "", near ? "`?" : "");
    return ERR_INVALID;
}

/* "within 2s of leader-kill" */
static int read_follows(struct line *line, struct expectation *out)
{
    const char *of = strstr(line->rest, " of ");

    out->kind = EXPECT_FOLLOWS;
    if (!of)
        return complain(line, "expected `within` a duration `of` an event");
    int status = read_number(line, of, PARAM_DURATION, NULL, &out->limit);
    takes(line, "of");
    return status ? status : read_event(line, out->cause);
}

static int read_event_line(struct line *line, bool never, struct expectation *out)
{
    int status = read_event(line, out->event);

    out->kind = EXPECT_EVENT;
    out->comparison = never ? EXPECT_EQ : EXPECT_GE;
    out->value = never ? 0 : 1;
    if (status || is_at_end(line))
        return status;
    if (never)
        return complain(line, "nothing may follow `no event` and its name");
    if (takes(line, "within"))
        status = read_follows(line, out);
    else if (read_comparison(line, &out->comparison))
        status = read_number(line, NULL, PARAM_INT, NULL, &out->value);
    else
        status = complain(line, "expected a comparison, or `within` a duration `of` another event");
    return status == OK && !is_at_end(line) ? complain(line, "something follows that is not understood") : status;
}

/* --- the whole --- */

int expectation_parse(const char *text, struct diag_place place, struct expectation *out, struct diags *diags)
{
    struct line line = {text, text, place, diags};

    *out = (struct expectation){0};
    if (strlen(text) >= sizeof out->text)
        return complain(&line, "longer than an expectation can be");
    snprintf(out->text, sizeof out->text, "%s", text);
    if (takes(&line, "event"))
        return read_event_line(&line, false, out);
    if (!takes(&line, "no"))
        return read_figure(&line, out);
    if (takes(&line, "event"))
        return read_event_line(&line, true, out);
    if (takes(&line, "round"))
        return read_round_length(&line, out);
    return complain(&line, "expected `no round longer than` a duration, or `no event` and its name");
}
