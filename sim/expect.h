/* Expectations: `accuracy >= 80`, `wall_s < 2min`. Parsed when the scenario is checked, judged when the run is over. */
#ifndef FLOSIM_SIM_EXPECT_H
#define FLOSIM_SIM_EXPECT_H

#include <stdbool.h>

#include "sim/metrics.h"
#include "util/diag.h"

enum comparison { EXPECT_EQ, EXPECT_NE, EXPECT_LT, EXPECT_LE, EXPECT_GT, EXPECT_GE };

struct expectation {
    char text[128]; /* as written, for reports */
    const struct metric *metric;
    enum comparison comparison;
    double value;
};

struct verdict {
    const struct expectation *expectation;
    bool held;
    double found; /* NAN: the run has no such figure, which never holds */
};

/* `metric comparison value`, blanks optional. What is wrong goes to diags with the place: unknown metric (and the
 * nearest one), no comparison, a value that is no number. Returns OK or ERR_INVALID. */
int expectation_parse(const char *text, struct diag_place place, struct expectation *out, struct diags *diags);

struct verdict expectation_judge(const struct expectation *expectation, const struct run_metrics *run);

/* "accuracy >= 80: found 83.21 %". Fills text. */
void verdict_text(const struct verdict *verdict, char *text, size_t size);

/* junit.xml: one test case per expectation. `suite` is the scenario's name. An error of the run itself (NULL: none) is
 * a case of its own. */
int junit_write(const char *path, const char *suite, const struct verdict *verdicts, size_t n, const struct error *run,
                double wall_s, struct error *err);

#endif
