/* Did it hold? */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sim/expect.h"

bool comparison_holds(double found, enum comparison comparison, double value)
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

bool expectations_need_history(const struct expectation *expectations, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (expectations[i].kind != EXPECT_FIGURE)
            return true;
    return false;
}

bool expectation_asks_for(const struct expectation *expectation, const char *event)
{
    return !strcmp(expectation->event, event) || !strcmp(expectation->cause, event);
}

static bool compares(const struct expectation *expectation, double found)
{
    return !isnan(found) && comparison_holds(found, expectation->comparison, expectation->value);
}

static void judge_figure(const struct run_metrics *run, struct verdict *out)
{
    out->found = metric_value(out->expectation->metric, run);
    out->held = compares(out->expectation, out->found);
    metric_text(out->expectation->metric, out->found, out->found_text, sizeof out->found_text);
}

static bool is_in_time(const struct expectation *expectation, const struct history_round *round)
{
    return expectation->kind == EXPECT_BY_ROUND ? (double)round->round <= expectation->limit
                                                : round->t_s <= expectation->limit;
}

/* "80.12 % after round 13, 4.2 s": the first round that will do, else the last one in time. */
static void judge_by(const struct run_history *history, struct verdict *out)
{
    const struct history_round *seen = NULL;
    char value[64];

    out->found = NAN;
    for (size_t i = 0; i < history->num_rounds && !out->held; i++) {
        if (!is_in_time(out->expectation, &history->rounds[i]))
            continue;
        seen = &history->rounds[i];
        out->found = metric_value(out->expectation->metric, &seen->figures);
        out->held = compares(out->expectation, out->found);
    }
    metric_text(out->expectation->metric, out->found, value, sizeof value);
    if (seen)
        snprintf(out->found_text, sizeof out->found_text, "%s after round %lld, %.1f s", value, (long long)seen->round,
                 seen->t_s);
    else
        snprintf(out->found_text, sizeof out->found_text, "no round that ended in time");
}

static void judge_count(const struct run_history *history, struct verdict *out)
{
    size_t n = 0;

    for (size_t i = 0; i < history->num_events; i++)
        n += !strcmp(history->events[i].name, out->expectation->event);
    out->found = (double)n;
    out->held = compares(out->expectation, out->found);
    snprintf(out->found_text, sizeof out->found_text, "%zu", n);
}

/* Seconds from event `i` to the next one of this name; NAN: none comes. */
static double delay_after(const struct run_history *history, size_t i, const char *name)
{
    for (size_t k = 0; k < history->num_events; k++)
        if (history->events[k].t_s >= history->events[i].t_s && k != i && !strcmp(history->events[k].name, name))
            return history->events[k].t_s - history->events[i].t_s;
    return NAN;
}

/* Something must have happened for an effect to be shown: a cause that never came does not hold. */
static void judge_follows(const struct run_history *history, struct verdict *out)
{
    const struct expectation *expectation = out->expectation;
    size_t n = 0;
    double missing_s = NAN;

    out->found = NAN;
    for (size_t i = 0; i < history->num_events; i++) {
        if (strcmp(history->events[i].name, expectation->cause) != 0)
            continue;
        double delay = delay_after(history, i, expectation->event);

        n++;
        if (isnan(delay) && isnan(missing_s))
            missing_s = history->events[i].t_s;
        if (!(out->found >= delay) && !isnan(delay))
            out->found = delay;
    }
    out->held = n > 0 && isnan(missing_s) && out->found <= expectation->limit;
    if (n == 0)
        snprintf(out->found_text, sizeof out->found_text, "no %s", expectation->cause);
    else if (!isnan(missing_s))
        snprintf(out->found_text, sizeof out->found_text, "none after the %s at %.3f s", expectation->cause, missing_s);
    else
        snprintf(out->found_text, sizeof out->found_text, "%.3f s at most, %zu time(s)", out->found, n);
}

struct verdict expectation_judge(const struct expectation *expectation, const struct run_metrics *run,
                                 const struct run_history *history)
{
    struct verdict out = {.expectation = expectation};

    switch (expectation->kind) {
    case EXPECT_FIGURE:
        judge_figure(run, &out);
        break;
    case EXPECT_BY_ROUND:
    case EXPECT_BY_TIME:
        judge_by(history, &out);
        break;
    case EXPECT_EVENT:
        judge_count(history, &out);
        break;
    case EXPECT_FOLLOWS:
        judge_follows(history, &out);
        break;
    }
    return out;
}

void verdict_text(const struct verdict *verdict, char *text, size_t size)
{
    snprintf(text, size, "expected %s, found %s", verdict->expectation->text, verdict->found_text);
}
