/* Expectations: what a scenario says must hold. Parsed when the scenario is checked, judged when the run is over: on
 * its figures (sim/metrics.h), on what they were after a round, and on its events (sim/run_history.h). */
#ifndef FLOSIM_SIM_EXPECT_H
#define FLOSIM_SIM_EXPECT_H

#include <stdbool.h>

#include "sim/metrics.h"
#include "sim/run_history.h"
#include "util/diag.h"

enum comparison { EXPECT_EQ, EXPECT_NE, EXPECT_LT, EXPECT_LE, EXPECT_GT, EXPECT_GE };

enum expectation_kind {
    EXPECT_FIGURE,   /* accuracy >= 80: of the whole run */
    EXPECT_BY_ROUND, /* accuracy >= 80 by round 20: after one of the first 20 */
    EXPECT_BY_TIME,  /* accuracy >= 80 by 90s: after a round that ended so long after the session's begin */
    EXPECT_EVENT,    /* event checkpoint >= 3: so often; alone: at least once; no event checkpoint: never */
    EXPECT_FOLLOWS,  /* event leader-restored within 2s of leader-kill: after each of these */
};

struct expectation {
    char text[128]; /* as written, for reports */
    enum expectation_kind kind;
    const struct metric *metric; /* NULL for those of events */
    enum comparison comparison;
    double value;                  /* that the metric, or the number of events, is compared with */
    double limit;                  /* the round (from 1), or seconds */
    char event[HISTORY_NAME_SIZE]; /* and the one that it follows */
    char cause[HISTORY_NAME_SIZE];
};

struct verdict {
    const struct expectation *expectation;
    bool held;
    double found;        /* NAN: the run has no such figure, which never holds */
    char found_text[96]; /* with its unit, and where it was found */
};

/* What may stand under `expect`, with an example each; for help. Ends with a NULL name. */
struct expectation_form {
    const char *name, *help;
};
extern const struct expectation_form expectation_forms[];

/* One line. What is wrong goes to diags with the place: unknown metric or event (and the nearest one), no comparison, a
 * value that is no number, a metric that is not known after each round. Returns OK or ERR_INVALID. */
int expectation_parse(const char *text, struct diag_place place, struct expectation *out, struct diags *diags);

/* Do these need the run's events? `history` may be NULL in expectation_judge only where none does. */
bool expectations_need_history(const struct expectation *expectations, size_t n);

/* Is this one of the names that an expectation may ask for? */
bool expectation_asks_for(const struct expectation *expectation, const char *event);

struct verdict expectation_judge(const struct expectation *expectation, const struct run_metrics *run,
                                 const struct run_history *history);

bool comparison_holds(double found, enum comparison comparison, double value);

/* "expected accuracy >= 80, found 83.21 %". Fills text. */
void verdict_text(const struct verdict *verdict, char *text, size_t size);

/* junit.xml: one test case per expectation. `suite` is the scenario's name. An error of the run itself (NULL: none) is
 * a case of its own. */
int junit_write(const char *path, const char *suite, const struct verdict *verdicts, size_t n, const struct error *run,
                double wall_s, struct error *err);

#endif
