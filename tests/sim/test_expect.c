#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/expect.h"
#include "util/fs.h"

static struct verdict judge(const char *text, double rounds, double accuracy, double wall_s)
{
    static struct expectation expectation;
    struct run_metrics run = {.rounds = rounds, .accuracy = accuracy, .wall_s = wall_s};
    struct diags *diags = diags_new();

    cr_assert_eq(expectation_parse(text, (struct diag_place){0}, &expectation, diags), OK, "%s", text);
    diags_free(diags);
    return expectation_judge(&expectation, &run);
}

Test(expect, comparisons)
{
    cr_expect(judge("rounds == 10", 10, 0, 0).held);
    cr_expect_not(judge("rounds == 10", 9, 0, 0).held);
    cr_expect(judge("rounds != 10", 9, 0, 0).held);
    cr_expect(judge("rounds<10", 9, 0, 0).held);
    cr_expect_not(judge("rounds < 10", 10, 0, 0).held);
    cr_expect(judge("rounds <= 10", 10, 0, 0).held);
    cr_expect(judge("accuracy >= 80", 0, 80, 0).held);
    cr_expect_not(judge("accuracy > 80", 0, 80, 0).held);
}

Test(expect, values_with_units)
{
    cr_expect(judge("wall_s < 2min", 0, 0, 119).held);
    cr_expect_not(judge("wall_s < 2min", 0, 0, 121).held);
    cr_expect(judge("wall_s<=500ms", 0, 0, 0.5).held);
    cr_expect(judge("accuracy >= 80 %", 0, 81, 0).held);
    cr_expect(judge("accuracy >= 80%", 0, 81, 0).held);
}

Test(expect, a_figure_that_the_run_does_not_have_never_holds)
{
    struct verdict verdict = judge("accuracy != 5", 0, (double)NAN, 0);
    char text[256];

    cr_expect_not(verdict.held);
    verdict_text(&verdict, text, sizeof text);
    cr_expect_str_eq(text, "expected accuracy != 5, found none");
}

Test(expect, a_verdict_says_expected_and_found)
{
    struct verdict verdict = judge("accuracy >= 99", 0, 83.214, 0);
    char text[256];

    verdict_text(&verdict, text, sizeof text);
    cr_expect_str_eq(text, "expected accuracy >= 99, found 83.21 %");
}

static void assert_complaint(const char *text, const char *complaint)
{
    struct expectation expectation;
    struct diags *diags = diags_new();

    cr_expect_eq(expectation_parse(text, (struct diag_place){"s.yaml", 12, 5}, &expectation, diags), ERR_INVALID);
    char *found = diags_text(diags);
    cr_expect_str_eq(found, complaint);
    free(found);
    diags_free(diags);
}

Test(expect, complaints_have_place_and_remedy)
{
    assert_complaint("accurcy >= 80",
                     "s.yaml:12:5: `accurcy >= 80`: unknown metric `accurcy`; did you mean `accuracy`?");
    assert_complaint("speed >= 80",
                     "s.yaml:12:5: `speed >= 80`: unknown metric `speed`; `flosim help expect` lists them");
    assert_complaint("accuracy is 80",
                     "s.yaml:12:5: `accuracy is 80`: expected one of ==, !=, <, <=, >, >= after `accuracy`");
    assert_complaint(">= 80",
                     "s.yaml:12:5: `>= 80`: an expectation is `metric comparison value`, as in `accuracy >= 80`");
}

Test(expect, a_value_that_is_none)
{
    struct expectation expectation;
    struct diags *diags = diags_new();

    cr_expect_eq(expectation_parse("accuracy >= high", (struct diag_place){"s.yaml", 1, 1}, &expectation, diags),
                 ERR_INVALID);
    cr_expect_eq(expectation_parse("accuracy >= 80 by noon", (struct diag_place){"s.yaml", 1, 1}, &expectation, diags),
                 ERR_INVALID);
    cr_expect_eq(expectation_parse("wall_s < 5 parsecs", (struct diag_place){"s.yaml", 1, 1}, &expectation, diags),
                 ERR_INVALID);
    diags_free(diags);
}

Test(expect, every_metric_can_be_written_and_found)
{
    for (size_t i = 0; i < num_metrics; i++) {
        char text[64];

        snprintf(text, sizeof text, "%s >= 0", metric_table[i].name);
        struct verdict verdict = judge(text, 0, 0, 0);
        cr_expect(verdict.held, "%s", text);
        cr_expect_eq(verdict.expectation->metric, &metric_table[i]);
    }
}

Test(expect, junit_has_one_case_an_expectation_and_escapes)
{
    char path[] = "/tmp/flosim-junit-XXXXXX";
    struct verdict verdicts[2];
    struct expectation expectations[2];
    struct run_metrics run = {.rounds = 3, .accuracy = 50};
    struct diags *diags = diags_new();
    struct blob *blob = NULL;
    struct error err = ERROR_INIT;

    cr_assert_geq(mkstemp(path), 0);
    cr_assert_eq(expectation_parse("rounds == 3", (struct diag_place){0}, &expectations[0], diags), OK);
    cr_assert_eq(expectation_parse("accuracy >= 80", (struct diag_place){0}, &expectations[1], diags), OK);
    for (int i = 0; i < 2; i++)
        verdicts[i] = expectation_judge(&expectations[i], &run);
    cr_assert_eq(junit_write(path, "a<b", verdicts, 2, NULL, 1.5, &err), OK, "%s", err.message);
    cr_assert_eq(fs_read(path, 4096, &blob, &err), OK);
    char *text = strndup(blob_bytes(blob), blob_size(blob));
    cr_expect(strstr(text, "<testsuite name=\"a&lt;b\" tests=\"2\" failures=\"1\" errors=\"0\" time=\"1.500\">"), "%s",
              text);
    cr_expect(strstr(text, "<testcase classname=\"a&lt;b\" name=\"rounds == 3\"/>"), "%s", text);
    cr_expect(strstr(text, "<failure message=\"expected accuracy &gt;= 80, found 50.00 %\"/>"), "%s", text);
    free(text);
    blob_unref(blob);
    unlink(path);
    diags_free(diags);
}
