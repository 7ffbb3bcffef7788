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
    return expectation_judge(&expectation, &run, NULL);
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

/* --- over time, and of events --- */

/* Two leaders: the second replays round 2. */
static const char told[] =
    "{\"t\":10.0,\"event\":\"session_started\"}\n"
    "{\"t\":11.0,\"event\":\"round\",\"round\":1,\"accuracy\":50.0,\"loss\":2.0,\"train_loss\":2.5}\n"
    "{\"t\":12.0,\"event\":\"round\",\"round\":2,\"accuracy\":99.0,\"loss\":1.0,\"train_loss\":2.5}\n"
    "{\"t\":12.5,\"event\":\"fault-strikes\",\"fault\":1,\"do\":\"leader-restart\",\"victim\":\"leader\"}\n"
    "{\"t\":13.0,\"event\":\"leader-restored\",\"seconds\":0.5}\n"
    "{\"t\":14.0,\"event\":\"round\",\"round\":2,\"accuracy\":70.0,\"loss\":1.5,\"train_loss\":2.5}\n"
    "{\"t\":16.0,\"event\":\"round\",\"round\":3,\"accuracy\":null,\"loss\":null,\"train_loss\":1.5}\n"
    "{\"t\":18.0,\"event\":\"fault-strikes\",\"fault\":2,\"do\":\"kill\",\"client\":3}\n"
    "{\"t\":19.0,\"event\":\"round\",\"round\":4,\"accuracy\":81.5,\"loss\":0.5,\"train_loss\":0.5}\n"
    "{\"t\":20.0,\"event\":\"fault-strik";

static bool always(void *context, const char *name)
{
    (void)context, (void)name;
    return true;
}

static struct run_history read_told(void)
{
    char path[] = "/tmp/flosim-history-XXXXXX";
    struct run_history history;
    struct error err = ERROR_INIT;
    int fd = mkstemp(path);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, told, sizeof told - 1), (ssize_t)sizeof told - 1);
    close(fd);
    cr_assert_eq(run_history_read(path, always, NULL, &history, &err), OK, "%s", err.message);
    unlink(path);
    return history;
}

static void assert_verdict(const struct run_history *history, const char *text, bool held, const char *found)
{
    struct expectation expectation;
    struct run_metrics run = {.round_s_max = 2.0};
    struct diags *diags = diags_new();

    cr_assert_eq(expectation_parse(text, (struct diag_place){0}, &expectation, diags), OK, "%s", text);
    struct verdict verdict = expectation_judge(&expectation, &run, history);
    cr_expect_eq(verdict.held, held, "%s: found %s", text, verdict.found_text);
    cr_expect_str_eq(verdict.found_text, found, "%s: found %s", text, verdict.found_text);
    diags_free(diags);
}

Test(expect, by_a_round_or_a_time)
{
    struct run_history history = read_told();

    assert_verdict(&history, "accuracy >= 70 by round 2", true, "70.00 % after round 2, 4.0 s");
    assert_verdict(&history, "accuracy >= 80% by round 3", false, "none after round 3, 6.0 s");
    assert_verdict(&history, "accuracy >= 80 by round 50", true, "81.50 % after round 4, 9.0 s");
    assert_verdict(&history, "accuracy >= 98 by round 50", false, "81.50 % after round 4, 9.0 s");
    assert_verdict(&history, "best_accuracy >= 70 by 6s", true, "70.00 % after round 2, 4.0 s");
    assert_verdict(&history, "accuracy >= 80 by 8.9s", false, "none after round 3, 6.0 s");
    assert_verdict(&history, "rounds >= 4 by 9s", true, "4 after round 4, 9.0 s");
    assert_verdict(&history, "train_loss < 1 by 500ms", false, "no round that ended in time");
    assert_verdict(&history, "no round longer than 2s", true, "2.000 s");
    assert_verdict(&history, "no round longer than 1999ms", false, "2.000 s");
    run_history_fini(&history);
}

Test(expect, events_and_what_follows_them)
{
    struct run_history history = read_told();

    assert_verdict(&history, "event leader-restored", true, "1");
    assert_verdict(&history, "event round == 5", true, "5");
    assert_verdict(&history, "event fault-strikes < 2", false, "2");
    assert_verdict(&history, "no event round_lost", true, "0");
    assert_verdict(&history, "no event kill", false, "1");
    assert_verdict(&history, "event leader-restored within 500ms of leader-restart", true,
                   "0.500 s at most, 1 time(s)");
    assert_verdict(&history, "event leader-restored within 499ms of leader-restart", false,
                   "0.500 s at most, 1 time(s)");
    assert_verdict(&history, "event leader-restored within 1h of kill", false, "none after the kill at 18.000 s");
    assert_verdict(&history, "event round within 2s of fault-strikes", true, "1.500 s at most, 2 time(s)");
    assert_verdict(&history, "event round within 2s of stop", false, "no stop");
    run_history_fini(&history);
}

Test(expect, complaints_of_times_and_events)
{
    assert_complaint("accuracy >= 80 by noon",
                     "s.yaml:12:5: `accuracy >= 80 by noon`: expected a duration such as 12s, 50ms or 2min, found `noon`");
    assert_complaint(
        "wall_s < 80 by round 3",
        "s.yaml:12:5: `wall_s < 80 by round 3`: `wall_s` is known at the end only, not `by` a round or a time");
    assert_complaint("accuracy >= 80 by round 0",
                     "s.yaml:12:5: `accuracy >= 80 by round 0`: the limit behind `by` must be above 0");
    assert_complaint(
        "event leader-restord",
        "s.yaml:12:5: `event leader-restord`: unknown event `leader-restord`; did you mean `leader-restored`?");
    assert_complaint(
        "event thunderstorm",
        "s.yaml:12:5: `event thunderstorm`: unknown event `thunderstorm`; `flosim help events` lists them");
    assert_complaint("no event round == 3",
                     "s.yaml:12:5: `no event round == 3`: nothing may follow `no event` and its name");
    assert_complaint(
        "no rounds",
        "s.yaml:12:5: `no rounds`: expected `no round longer than` a duration, or `no event` and its name");
    assert_complaint("event round within 2s after kill",
                     "s.yaml:12:5: `event round within 2s after kill`: expected `within` a duration `of` an event");
    assert_complaint(
        "event round soon",
        "s.yaml:12:5: `event round soon`: expected a comparison, or `within` a duration `of` another event");
    assert_complaint("event round within 2s of kill or so",
                     "s.yaml:12:5: `event round within 2s of kill or so`: something follows that is not understood");
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
        verdicts[i] = expectation_judge(&expectations[i], &run, NULL);
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
