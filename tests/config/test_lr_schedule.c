/* Learning rates by hand-computed values, and what is refused. */
#include <criterion/criterion.h>
#include <string.h>

#include "config/lr_schedule.h"

static struct lr_schedule read(const char *text, struct diags *diags)
{
    struct lr_schedule schedule;
    struct yaml_doc *doc;

    cr_assert_eq(yaml_load_text(text, strlen(text), "s.yaml", 0, &doc, diags), OK);
    lr_schedule_read(yaml_root(doc), &schedule, diags);
    yaml_unref(doc);
    return schedule;
}

static double factor(const char *text, int64_t round, int64_t num_rounds)
{
    struct diags *diags = diags_new();
    struct lr_schedule schedule = read(text, diags);

    cr_assert_eq(diags_errors(diags), 0, "%s", text);
    diags_free(diags);
    return lr_schedule_factor(&schedule, round, num_rounds);
}

Test(lr_schedule, values)
{
    static const struct {
        const char *text;
        int64_t round;
        double expected;
    } cases[] = {
        {"constant", 99, 1},
        {"{name: step, args: {every: 10, factor: 0.5}}", 9, 1},
        {"{name: step, args: {every: 10, factor: 0.5}}", 10, 0.5},
        {"{name: step, args: {step_size: 10, gamma: 0.5}}", 39, 0.125},
        {"{name: step, args: {every: 3}}", 6, 0.01},
        {"{name: exponential, args: {factor: 0.9}}", 0, 1},
        {"{name: exponential, args: {factor: 0.9}}", 3, 0.729},
        {"cosine", 0, 1},
        {"cosine", 50, 0.5},
        {"cosine", 100, 0},
        {"{name: cosine, args: {final_share: 0.1}}", 50, 0.55},
        {"{name: cosine, args: {rounds: 11, final_share: 0.1}}", 10, 0.1},
        {"{name: cosine, args: {rounds: 11, final_share: 0.1}}", 90, 0.1},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_float_eq(factor(cases[i].text, cases[i].round, 101), cases[i].expected, 1e-12, "%s, round %lld",
                           cases[i].text, (long long)cases[i].round);
    cr_expect_eq(factor("cosine", 0, 1), 1, "a session of one round trains at the full rate");
}

Test(lr_schedule, refuses_what_it_does_not_know)
{
    static const char *const bad[] = {"cosin",
                                      "{name: step}",
                                      "{name: step, args: {every: 0}}",
                                      "{args: {every: 3}}",
                                      "[step]",
                                      "{name: exponential, args: {factor: 1.5}}",
                                      "{name: constant, args: {every: 1}}",
                                      "{name: cosine, final_share: 0.5}"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct diags *diags = diags_new();

        read(bad[i], diags);
        cr_expect_eq(diags_errors(diags), 1, "%s", bad[i]);
        diags_free(diags);
    }
}
